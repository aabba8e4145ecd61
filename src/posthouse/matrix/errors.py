"""Refusals: the answers that say no, each with its errcode and the words for the person.

One class per reason; domains subclass these in their own `errors.py`. The `errcode` gives a class
its usual status, and a class may differ.
https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final


class ErrCode(StrEnum):
    """The errcodes of the specification that this server answers with."""

    APPSERVICE_LOGIN_UNSUPPORTED = "M_APPSERVICE_LOGIN_UNSUPPORTED"
    BAD_ALIAS = "M_BAD_ALIAS"
    BAD_JSON = "M_BAD_JSON"
    BAD_STATE = "M_BAD_STATE"
    BAD_STATUS = "M_BAD_STATUS"
    CANNOT_OVERWRITE_MEDIA = "M_CANNOT_OVERWRITE_MEDIA"
    CAPTCHA_INVALID = "M_CAPTCHA_INVALID"
    CAPTCHA_NEEDED = "M_CAPTCHA_NEEDED"
    DUPLICATE_ANNOTATION = "M_DUPLICATE_ANNOTATION"
    EXCLUSIVE = "M_EXCLUSIVE"
    FORBIDDEN = "M_FORBIDDEN"
    GUEST_ACCESS_FORBIDDEN = "M_GUEST_ACCESS_FORBIDDEN"
    INCOMPATIBLE_ROOM_VERSION = "M_INCOMPATIBLE_ROOM_VERSION"
    INVALID_PARAM = "M_INVALID_PARAM"
    INVALID_ROOM_STATE = "M_INVALID_ROOM_STATE"
    INVALID_SIGNATURE = "M_INVALID_SIGNATURE"
    INVALID_USERNAME = "M_INVALID_USERNAME"
    INVITE_BLOCKED = "M_INVITE_BLOCKED"
    KEY_TOO_LARGE = "M_KEY_TOO_LARGE"
    LIMIT_EXCEEDED = "M_LIMIT_EXCEEDED"
    MISSING_PARAM = "M_MISSING_PARAM"
    MISSING_TOKEN = "M_MISSING_TOKEN"
    NOT_FOUND = "M_NOT_FOUND"
    NOT_JSON = "M_NOT_JSON"
    NOT_YET_UPLOADED = "M_NOT_YET_UPLOADED"
    PROFILE_TOO_LARGE = "M_PROFILE_TOO_LARGE"
    RESOURCE_LIMIT_EXCEEDED = "M_RESOURCE_LIMIT_EXCEEDED"
    ROOM_IN_USE = "M_ROOM_IN_USE"
    THREEPID_DENIED = "M_THREEPID_DENIED"
    THREEPID_IN_USE = "M_THREEPID_IN_USE"
    THREEPID_MEDIUM_NOT_SUPPORTED = "M_THREEPID_MEDIUM_NOT_SUPPORTED"
    THREEPID_NOT_FOUND = "M_THREEPID_NOT_FOUND"
    TOO_LARGE = "M_TOO_LARGE"
    UNAUTHORIZED = "M_UNAUTHORIZED"
    UNKNOWN = "M_UNKNOWN"
    UNKNOWN_DEVICE = "M_UNKNOWN_DEVICE"
    UNKNOWN_POS = "M_UNKNOWN_POS"
    UNKNOWN_TOKEN = "M_UNKNOWN_TOKEN"
    UNRECOGNIZED = "M_UNRECOGNIZED"
    UNSUPPORTED_ROOM_VERSION = "M_UNSUPPORTED_ROOM_VERSION"
    USER_DEACTIVATED = "M_USER_DEACTIVATED"
    USER_IN_USE = "M_USER_IN_USE"
    USER_LIMIT_EXCEEDED = "M_USER_LIMIT_EXCEEDED"
    USER_LOCKED = "M_USER_LOCKED"
    USER_SUSPENDED = "M_USER_SUSPENDED"
    WEAK_PASSWORD = "M_WEAK_PASSWORD"
    WRONG_ROOM_KEYS_VERSION = "M_WRONG_ROOM_KEYS_VERSION"


USUAL_STATUS: Final[Mapping[ErrCode, int]] = MappingProxyType(
    dict.fromkeys(ErrCode, 400)
    | {
        ErrCode.MISSING_TOKEN: 401,
        ErrCode.UNKNOWN_TOKEN: 401,
        ErrCode.USER_LOCKED: 401,
        ErrCode.CANNOT_OVERWRITE_MEDIA: 409,
        ErrCode.FORBIDDEN: 403,
        ErrCode.GUEST_ACCESS_FORBIDDEN: 403,
        ErrCode.INVITE_BLOCKED: 403,
        ErrCode.RESOURCE_LIMIT_EXCEEDED: 403,
        ErrCode.THREEPID_DENIED: 403,
        ErrCode.UNAUTHORIZED: 403,
        ErrCode.USER_DEACTIVATED: 403,
        ErrCode.USER_LIMIT_EXCEEDED: 403,
        ErrCode.USER_SUSPENDED: 403,
        ErrCode.WRONG_ROOM_KEYS_VERSION: 403,
        ErrCode.NOT_FOUND: 404,
        ErrCode.UNRECOGNIZED: 404,
        ErrCode.TOO_LARGE: 413,
        ErrCode.LIMIT_EXCEEDED: 429,
        ErrCode.UNKNOWN: 500,
        ErrCode.NOT_YET_UPLOADED: 504,
    }
)
"""What an errcode is answered with, where its class says nothing else."""


class Refusal(Exception):
    """An answer: understood and declined. Never logged as an error.

    `message` is for the person and names the reason; `extra` is merged into the JSON body.
    """

    errcode: ClassVar[ErrCode] = ErrCode.UNKNOWN
    status: ClassVar[int] = 400
    usual_message: ClassVar[str] = "The request was declined."

    def __init_subclass__(cls) -> None:
        """A class that names its errcode and no status gets the errcode's usual one."""
        super().__init_subclass__()
        if "errcode" in cls.__dict__ and "status" not in cls.__dict__:
            cls.status = USUAL_STATUS[cls.errcode]

    def __init__(self, message: str | None = None, **extra: Any) -> None:
        self.message: str = self.usual_message if message is None else message
        self.extra: dict[str, Any] = extra
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON object that the client gets."""
        return {"errcode": self.errcode, "error": self.message, **self.extra}


class BadJson(Refusal):
    """The JSON is well-formed and still not what may be said here."""

    errcode = ErrCode.BAD_JSON
    usual_message = "The JSON has a missing key or a wrong value."


class NotJson(Refusal):
    errcode = ErrCode.NOT_JSON
    usual_message = "The body is not valid JSON."


class InvalidParam(Refusal):
    errcode = ErrCode.INVALID_PARAM
    usual_message = "A parameter has a wrong value."


class MissingParam(Refusal):
    errcode = ErrCode.MISSING_PARAM
    usual_message = "A required parameter is missing."


class InvalidUsername(Refusal):
    errcode = ErrCode.INVALID_USERNAME
    usual_message = "This name can't be that of an account."


class InvalidSignature(Refusal):
    errcode = ErrCode.INVALID_SIGNATURE
    usual_message = "A signature does not verify."


class UnsupportedRoomVersion(Refusal):
    errcode = ErrCode.UNSUPPORTED_ROOM_VERSION
    usual_message = "This server does not know that room version."


class TooLarge(Refusal):
    errcode = ErrCode.TOO_LARGE
    usual_message = "This is larger than may be sent."


class Forbidden(Refusal):
    errcode = ErrCode.FORBIDDEN
    usual_message = "This is not allowed."


class NotAuthorised(Forbidden):
    """The room's rules don't let this event be; the message names the rule."""


class BadCreation(NotAuthorised):
    """A create event that no room can begin with."""


class WrongRoom(NotAuthorised):
    """There is no create event, or not that of the room which the event is for."""


class OtherServer(NotAuthorised):
    """The room is closed to people of other servers than its creator's."""


class BadMembership(NotAuthorised):
    """A membership event that says nothing, or nothing that can be."""


class Banned(NotAuthorised):
    """The person is banned from the room."""


class NotInRoom(NotAuthorised):
    """The sender is not, or not in the way that it takes, in the room."""


class AlreadyInRoom(NotAuthorised):
    """The person is in the room, or invited, already."""


class JoinNotAllowed(NotAuthorised):
    """The room's join rule doesn't let this person in, or doesn't let people knock."""


class PowerTooLow(NotAuthorised):
    """It takes a higher power level than the sender has."""


class NotYourKey(NotAuthorised):
    """A state key that begins with '@' is its person's own."""


class BadPowerLevels(NotAuthorised):
    """A power levels event that is not made of integers, user ids and objects."""


class NotFound(Refusal):
    """Also the answer for what exists and may not be seen: the two look the same from outside."""

    errcode = ErrCode.NOT_FOUND
    usual_message = "There is no such thing here, or none that you may see."


class Unrecognized(Refusal):
    """No such route. Clients detect features by exactly this answer, never by M_NOT_FOUND."""

    errcode = ErrCode.UNRECOGNIZED
    usual_message = "Unrecognized request."


class WrongMethod(Unrecognized):
    """The route is served, with another method."""

    status = 405
    usual_message = "This path is not served with that method."


class MissingToken(Refusal):
    errcode = ErrCode.MISSING_TOKEN
    usual_message = "This request needs an access token."


class UnknownToken(Refusal):
    """The token stands for no session. `soft_logout` says that the device's keys are still good."""

    errcode = ErrCode.UNKNOWN_TOKEN
    usual_message = "This access token is not valid, or not any more."

    def __init__(self, message: str | None = None, *, soft_logout: bool = False) -> None:
        super().__init__(message, soft_logout=soft_logout)


class LimitExceeded(Refusal):
    """Too many requests; the renderer also says `Retry-After`, in seconds rounded up."""

    errcode = ErrCode.LIMIT_EXCEEDED
    usual_message = "Too many requests. Wait a while, then try again."

    def __init__(self, message: str | None = None, *, retry_after_ms: int) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)
        self.retry_after_ms = retry_after_ms


class UnknownPos(Refusal):
    """A sliding-sync connection that the server no longer holds: the client starts it anew."""

    errcode = ErrCode.UNKNOWN_POS
    usual_message = "This position is not known any more; start the connection anew."
