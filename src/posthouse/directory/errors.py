"""What the directory declines."""

from posthouse.matrix import ErrCode, Forbidden, InvalidParam, NotFound, Refusal


class NoSuchAlias(NotFound):
    usual_message = "This name stands for no room."


class AliasTaken(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 409
    usual_message = "This name stands for a room already."


class TooManyAliases(Forbidden):
    usual_message = "There are too many names already, of this room or made by you."


class OtherServersRooms(NotFound):
    """Never an empty list: that would say that the other server has no rooms."""

    usual_message = "This server doesn't talk to other servers, and can't show their rooms."


class UnreadablePage(InvalidParam):
    usual_message = "The list has no such page. Use a token that this server gave."
