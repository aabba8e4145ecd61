"""What media declines."""

from posthouse.matrix import ErrCode, Forbidden, LimitExceeded, NotFound, Refusal, TooLarge


class UploadTooLarge(TooLarge):
    """A file is over the size that one upload may have."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"A file may have at most {bytes_max} bytes here.")


class AllowanceUsedUp(Forbidden):
    """A person's files together would be over what one person may keep."""

    def __init__(self, quota_bytes: int) -> None:
        super().__init__(
            f"Your uploads would take more than the {quota_bytes} bytes that each person has here. "
            "Nothing of this file was kept."
        )


class NoSuchMedia(NotFound):
    """There is no such media here; also the answer for what the caller may not see."""

    def __init__(self) -> None:
        super().__init__("There is no such media on this server.")


class NotYetUploaded(Refusal):
    """It was announced, and its content didn't come while the caller waited."""

    errcode = ErrCode.NOT_YET_UPLOADED
    usual_message = "This file was announced and is not there yet."


class AlreadyUploaded(Refusal):
    """An announced upload has its content; nothing ever replaces it."""

    errcode = ErrCode.CANNOT_OVERWRITE_MEDIA
    usual_message = "There is a file under this identifier already."


class AnnouncedByAnother(Forbidden):
    """Only who announced an upload may send it."""

    usual_message = "This upload was announced by somebody else."


class TooManyAnnounced(LimitExceeded):
    """A person has announced more uploads than they have sent."""

    def __init__(self, count_max: int, retry_after_ms: int) -> None:
        super().__init__(
            f"You have announced {count_max} uploads that have not come yet. "
            "Send them, or wait until they expire.",
            retry_after_ms=retry_after_ms,
        )


class NoThumbnail(Refusal):
    """It isn't a picture that is read here, or it is damaged."""

    errcode = ErrCode.UNKNOWN
    status = 400
    usual_message = "No thumbnail can be made of this file."


class PictureTooLarge(TooLarge):
    """A picture would take more pixels, memory or time than one may."""

    usual_message = "This picture is too large to make a thumbnail of it."
