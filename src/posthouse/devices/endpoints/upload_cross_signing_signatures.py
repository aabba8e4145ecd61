"""POST /_matrix/client/v3/keys/signatures/upload

Publishes signatures that the caller made on devices and on master keys.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
"""

from typing import Annotated, Any, Final

from msgspec import Struct

from posthouse.devices.cross_signing import CrossSigning
from posthouse.devices.errors import TooManyTargets
from posthouse.http import Caller, Limit, RawBody, post
from posthouse.matrix import BadJson, UserId, parse_json_object, parse_user_id

SIGNED_OBJECTS_MAX: Final = 500


class Request(Struct, frozen=True):
    body: Annotated[bytes, RawBody()]

    def signed(self) -> dict[UserId, dict[str, dict[str, Any]]]:
        """The body is itself the map: person, key, signed object."""
        found: dict[UserId, dict[str, dict[str, Any]]] = {}
        for user, objects in parse_json_object(self.body).items():
            if not isinstance(objects, dict):
                raise BadJson(f"`{user}` must be an object of signed objects.")
            if not all(isinstance(signed, dict) for signed in objects.values()):
                raise BadJson(f"Each key of `{user}` must be an object.")
            found[parse_user_id(user)] = objects
        if sum(map(len, found.values())) > SIGNED_OBJECTS_MAX:
            raise TooManyTargets()
        return found


class Failure(Struct, frozen=True):
    errcode: str
    error: str


class Response(Struct, frozen=True):
    failures: dict[UserId, dict[str, Failure]]


@post("/_matrix/client/v3/keys/signatures/upload", Limit.KEYS)
async def upload_cross_signing_signatures(
    cross_signing: CrossSigning, caller: Caller, request: Request
) -> Response:
    failures = await cross_signing.add_signatures(caller.user_id, request.signed())
    return Response(
        {
            user: {key: Failure(why.errcode, why.message) for key, why in by_key.items()}
            for user, by_key in failures.items()
        }
    )
