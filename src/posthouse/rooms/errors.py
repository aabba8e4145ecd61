"""What the domain of rooms declines, and the errcode of each."""

from posthouse.matrix import ErrCode, Forbidden, InvalidParam, NotFound, Refusal


class NotInRoom(Forbidden):
    """The same for a room that isn't there and for one that the caller may not know of."""

    usual_message = "You aren't in this room, or it doesn't exist."


class CannotJoin(Forbidden):
    """The same for a room that isn't there and for one that the caller may not enter."""

    usual_message = "You can't join this room: nobody invited you, or it doesn't exist."


class NoSuchEvent(NotFound):
    usual_message = "There is no such event, or you may not see it."


class NoSuchState(NotFound):
    usual_message = "The room has no such state."


class ForeignUser(Forbidden):
    usual_message = (
        "This server doesn't talk to other servers: only people of this one can be invited."
    )


class NoSuchUser(NotFound):
    usual_message = "There is no such person on this server."


class NoThirdPartyInvites(Refusal):
    errcode = ErrCode.THREEPID_DENIED
    status = 403
    usual_message = (
        "People are invited by their user id here, not by e-mail address or phone number."
    )


class NoSuchRoom(NotFound):
    """The same for a room that isn't there and for one that the caller may not know of."""

    usual_message = "There is no such room, or none that you may know of."


class RoomInUse(Refusal):
    errcode = ErrCode.ROOM_IN_USE
    usual_message = "This name stands for another room already."


class BadAlias(Refusal):
    errcode = ErrCode.BAD_ALIAS
    usual_message = "This name doesn't lead to this room."


class NotYoursToName(Forbidden):
    usual_message = "You may not say by which names this room is found."


class CannotKnock(Forbidden):
    """The same for a room that isn't there and for one where nobody may knock."""

    usual_message = "You can't knock at this room: it takes no knocks, or it doesn't exist."


class CannotUpgrade(Forbidden):
    usual_message = "You may not replace this room by a new one."


class InviteBlocked(Refusal):
    errcode = ErrCode.INVITE_BLOCKED
    usual_message = "This person doesn't accept invitations."


class NoDelayedEvents(Refusal):
    errcode = ErrCode.UNRECOGNIZED
    status = 400
    usual_message = "This server sends no delayed events: nothing was sent."


class NobodyToRemove(Forbidden):
    usual_message = "There is nobody to remove: this person isn't in the room."


class NotBanned(Forbidden):
    usual_message = "This person isn't banned from the room."


class StillInRoom(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 400
    usual_message = "Leave the room before you forget it."


class InvalidRoomState(Refusal):
    errcode = ErrCode.INVALID_ROOM_STATE
    status = 400
    usual_message = "The room can't begin with this state."


class UnreadableToken(InvalidParam):
    usual_message = (
        "The token is of no place in this room's history. Use one that this server gave."
    )
