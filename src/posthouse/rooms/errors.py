"""What the domain of rooms declines, and the errcode of each."""

from posthouse.matrix import ErrCode, Forbidden, InvalidParam, NotFound, Refusal


class NotInRoom(Forbidden):
    """The same for a room that isn't there and for one that the caller may not know of."""

    message = "You aren't in this room, or it doesn't exist."


class CannotJoin(Forbidden):
    """The same for a room that isn't there and for one that the caller may not enter."""

    message = "You can't join this room: nobody invited you, or it doesn't exist."


class NoSuchEvent(NotFound):
    message = "There is no such event, or you may not see it."


class NoSuchState(NotFound):
    message = "The room has no such state."


class ForeignUser(Forbidden):
    message = "This server doesn't talk to other servers: only people of this one can be invited."


class NoSuchUser(NotFound):
    message = "There is no such person on this server."


class NoThirdPartyInvites(Refusal):
    errcode = ErrCode.THREEPID_DENIED
    status = 403
    message = "People are invited by their user id here, not by e-mail address or phone number."


class NoSuchAlias(NotFound):
    message = "This name stands for no room."


class NoAliasesYet(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 400
    message = "Rooms can't have a public name on this server yet. Leave out room_alias_name."


class NoDelayedEvents(Refusal):
    errcode = ErrCode.UNRECOGNIZED
    status = 400
    message = "This server sends no delayed events: nothing was sent."


class StillInRoom(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 400
    message = "Leave the room before you forget it."


class InvalidRoomState(Refusal):
    errcode = ErrCode.INVALID_ROOM_STATE
    status = 400
    message = "The room can't begin with this state."


class UnreadableToken(InvalidParam):
    message = "The token is of no place in this room's history. Use one that this server gave."
