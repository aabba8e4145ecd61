"""What the transport itself declines, before any endpoint is asked."""

from posthouse.matrix import ErrCode, Refusal
from posthouse.std.faults import Unavailable


class MalformedRequest(Refusal):
    """Not HTTP/1.1 as RFC 9112 says, or framed so that two readers could disagree."""

    errcode = ErrCode.UNKNOWN
    status = 400
    usual_message = "The request is not well-formed HTTP."


class TargetTooLong(Refusal):
    errcode = ErrCode.TOO_LARGE
    status = 414
    usual_message = "The path and query are too long."


class HeadTooLarge(Refusal):
    errcode = ErrCode.TOO_LARGE
    status = 431
    usual_message = "The headers are too large or too many."


class TooSlow(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 408
    usual_message = "The request did not arrive in time."


class ExpectationUnknown(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 417
    usual_message = "Only 100-continue can be expected."


class CodingUnknown(Refusal):
    """RFC 9112 §6.1: a transfer coding that is not understood is answered 501."""

    errcode = ErrCode.UNKNOWN
    status = 501
    usual_message = "Bodies are taken plain or chunked, in no other coding."


class VersionUnsupported(Refusal):
    errcode = ErrCode.UNKNOWN
    status = 505
    usual_message = "HTTP/1.1 is spoken here."


class TooBusy(Unavailable):
    """One of the server's own bounds is reached; the operator's graphs tell, not the log."""


class ClientGone(Exception):
    """The client went away in the middle; nobody is left to answer. Ends a handler quietly."""
