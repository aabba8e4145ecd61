"""What `push` declines."""

from posthouse.matrix import ErrCode, InvalidParam, MissingParam, Refusal, TooLarge


class PusherIncomplete(MissingParam):
    """The message names what is missing."""


class BadPusher(InvalidParam):
    """A part of a pusher has a value that it can't have; the message names it."""


class PusherTooLarge(TooLarge):
    usual_message = "`data` of a pusher is larger than 16 KiB."


class TooManyPushers(Refusal):
    errcode = ErrCode.USER_LIMIT_EXCEEDED
    usual_message = "You have as many pushers as one person may. Remove one first."
