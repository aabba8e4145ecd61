"""GET /_matrix/client/v3/admin/whois/{userId}

Shows where somebody is signed in: to an operator, and to themselves.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid
"""

from msgspec import Struct

from posthouse.accounts.model import Device
from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, get
from posthouse.matrix import DeviceId, UserId


class Request(Struct, frozen=True):
    user_id: UserId


class Connection(Struct, frozen=True, omit_defaults=True):
    ip: str | None = None
    last_seen: int = 0

    @classmethod
    def of(cls, device: Device) -> "Connection":
        return cls(device.last_seen_ip, device.last_seen_ms)


class Session(Struct, frozen=True):
    connections: list[Connection]


class DeviceInfo(Struct, frozen=True):
    sessions: list[Session]


class Response(Struct, frozen=True):
    user_id: UserId
    devices: dict[DeviceId, DeviceInfo]


@get("/_matrix/client/v3/admin/whois/{user_id}", Limit.READS)
async def get_who_is(accounts: Accounts, caller: Caller, request: Request) -> Response:
    devices = await accounts.devices_seen_by(caller, request.user_id)
    return Response(
        request.user_id,
        {device.device_id: DeviceInfo([Session([Connection.of(device)])]) for device in devices},
    )
