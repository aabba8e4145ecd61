"""POST /_matrix/client/v3/pushers/set

Sets a pusher of the caller's, or removes it where `kind` is null.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
"""

from typing import Any

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.push.rules import check_address, parse_pusher
from posthouse.push.service import Pushers


class Request(Struct, frozen=True):
    app_id: str
    pushkey: str
    kind: str | None
    app_display_name: str | None = None
    device_display_name: str | None = None
    lang: str | None = None
    data: dict[str, Any] | None = None
    profile_tag: str | None = None
    append: bool = False


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/pushers/set", Limit.PUSH)
async def post_pusher(pushers: Pushers, caller: Caller, request: Request) -> Response:
    if request.kind is None:
        check_address(request.app_id, request.pushkey)
        await pushers.remove(caller.user_id, request.app_id, request.pushkey)
        return Response()
    pusher = parse_pusher(
        app_id=request.app_id,
        pushkey=request.pushkey,
        kind=request.kind,
        app_display_name=request.app_display_name,
        device_display_name=request.device_display_name,
        lang=request.lang,
        data=request.data,
        profile_tag=request.profile_tag,
    )
    await pushers.set(caller, pusher, append=request.append)
    return Response()
