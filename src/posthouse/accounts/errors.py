"""What accounts decline, and the errcode of each."""

from collections.abc import Sequence
from typing import Any

from posthouse.matrix import (
    BadJson,
    ErrCode,
    Forbidden,
    InvalidParam,
    MissingParam,
    NotFound,
    Refusal,
    TooLarge,
    UnknownToken,
)


class AuthenticationNeeded(Refusal):
    """The client is to prove who it is, by one of the flows, and send the request again.

    Not an error the first time: then the body has no errcode, which clients take for "wrong
    password". https://spec.matrix.org/v1.19/client-server-api/#user-interactive-api-in-the-rest-api
    """

    errcode = ErrCode.FORBIDDEN
    status = 401
    usual_message = "Prove who you are, then send the request again."

    def __init__(
        self,
        *,
        session: str,
        flows: Sequence[Sequence[str]],
        failed: Refusal | None = None,
    ) -> None:
        super().__init__(None if failed is None else failed.message)
        self.failed = failed
        self.session = session
        self.extra: dict[str, Any] = {
            "session": session,
            "flows": [{"stages": list(stages)} for stages in flows],
            "params": {},
            "completed": [],
        }

    def body(self) -> dict[str, Any]:
        """The whole answer; a first question carries no errcode."""
        if self.failed is None:
            return self.extra
        return {"errcode": self.failed.errcode, "error": self.message, **self.extra}


class WrongSignIn(Forbidden):
    """The same words for an unknown person and a wrong password."""

    usual_message = "The name or the password is wrong."


class DeactivatedUser(Refusal):
    """Told only to who knows the password."""

    errcode = ErrCode.USER_DEACTIVATED
    usual_message = "This account has been closed for good."


class Unproven(Forbidden):
    usual_message = "This proves nothing."


class WrongRegistrationToken(Refusal):
    errcode = ErrCode.UNAUTHORIZED
    usual_message = "This registration token is not valid, or was used up."


class UnknownLoginType(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 400
    usual_message = "This server signs people in with m.login.password only."


class UnknownIdentifier(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 400
    usual_message = "People are named by m.id.user on this server."


class UserInUse(Refusal):
    errcode = ErrCode.USER_IN_USE
    usual_message = "This name is taken."


class WeakPassword(Refusal):
    errcode = ErrCode.WEAK_PASSWORD
    usual_message = "This password is too easy to guess."


class PasswordMissing(MissingParam):
    usual_message = "A password is required."


class GuestsNotServed(Refusal):
    errcode = ErrCode.GUEST_ACCESS_FORBIDDEN
    usual_message = "This server has no guest accounts."


class RegistrationClosed(Forbidden):
    usual_message = "New accounts are made by the operator of this server."


class ReservedDeviceId(Forbidden):
    """A device named like a cross-signing key would be taken for one in signatures."""

    usual_message = "A device can't have the name of a key."


class TooManyDevices(Forbidden):
    usual_message = "You are signed in on too many devices. Sign out on some of them first."


class RevokedToken(UnknownToken):
    """A refresh token that stands for nothing (any more)."""

    usual_message = "This refresh token is not valid, or was used already."


class NotYours(Forbidden):
    usual_message = "This belongs to somebody else."


class UserNotFound(NotFound):
    usual_message = "There is nobody with that name on this server."


class DeviceNotFound(NotFound):
    usual_message = "You have no such device."


class ProfileNotFound(NotFound):
    usual_message = "There is no such profile, or no such field in it."


class WrongProfileValue(BadJson):
    usual_message = "This field can't have that value."


class ProfileTooLarge(Refusal):
    errcode = ErrCode.PROFILE_TOO_LARGE
    usual_message = "A profile has less than 64 KiB in all."


class ProfileKeyTooLarge(Refusal):
    errcode = ErrCode.KEY_TOO_LARGE
    usual_message = "The name of a profile field has at most 255 bytes."


class ReservedType(BadJson):
    """Account data that only the server writes."""

    status = 405
    usual_message = "This type is set through an endpoint of its own."


class AccountDataNotFound(NotFound):
    usual_message = "Nothing is stored under this type."


class FilterNotFound(NotFound):
    usual_message = "You have no such filter."


class ValueTooLarge(TooLarge):
    usual_message = "This is larger than 64 KiB."


class TooMuchStored(InvalidParam):
    usual_message = "You have stored as much of this as one person may."
