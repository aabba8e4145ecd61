"""What media declines."""

from posthouse.matrix import Forbidden, NotFound, TooLarge


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
