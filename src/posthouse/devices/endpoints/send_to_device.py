"""PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}

Sends a message to devices, each its own; the server keeps them until they are fetched.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid
"""

from typing import Annotated, Any, Final

import orjson
from msgspec import Meta, Struct

from posthouse.devices.errors import MessageTooLarge, TooManyTargets
from posthouse.devices.to_device import ToDevice
from posthouse.http import Caller, Limit, put
from posthouse.matrix import DeviceId, UserId, check_event_type, parse_user_id

MESSAGES_MAX: Final = 2_000
MESSAGE_BYTES_MAX: Final = 65_536
BODY_BYTES_MAX: Final = 4 << 20


class Request(Struct, frozen=True):
    event_type: str
    txn_id: Annotated[str, Meta(min_length=1, max_length=255)]
    messages: dict[str, dict[DeviceId, dict[str, Any]]]


class Response(Struct, frozen=True): ...


@put(
    "/_matrix/client/v3/sendToDevice/{event_type}/{txn_id}",
    Limit.TO_DEVICE,
    body_limit=BODY_BYTES_MAX,
)
async def send_to_device(to_device: ToDevice, caller: Caller, request: Request) -> Response:
    if sum(map(len, request.messages.values())) > MESSAGES_MAX:
        raise TooManyTargets()
    event_type = check_event_type(request.event_type)
    messages = {
        parse_user_id(user): {
            device: _event(event_type, caller.user_id, content)
            for device, content in by_device.items()
        }
        for user, by_device in request.messages.items()
    }
    await to_device.send((caller.user_id, caller.device_id), request.txn_id, messages)
    return Response()


def _event(event_type: str, sender: UserId, content: dict[str, Any]) -> bytes:
    """The event as a sync answer carries it."""
    event = orjson.dumps({"type": event_type, "sender": sender, "content": content})
    if len(event) > MESSAGE_BYTES_MAX:
        raise MessageTooLarge()
    return event
