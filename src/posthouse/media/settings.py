"""What an operator may set about media."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct


class MediaSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Uploads: where they lie, how large they may be, how much each person may keep."""

    folder: Annotated[
        str, Meta(description="Where uploaded files lie; empty for `media` in the data folder.")
    ] = ""
    upload_bytes_max: Annotated[
        int, Meta(ge=1, description="The largest single file, in bytes.")
    ] = 100 * 1024 * 1024
    person_bytes_max: Annotated[
        int,
        Meta(ge=0, description="What all uploads of one person may take together, in bytes."),
    ] = 10 * 1024 * 1024 * 1024
    person_uploads_max: Annotated[
        int, Meta(ge=1, description="How many files one person may be uploading at the same time.")
    ] = 16
    free_bytes_min: Annotated[
        int,
        Meta(
            ge=0,
            description="Uploads are refused for the time being while the disk has less than this "
            "free, so that a database on the same disk keeps its room.",
        ),
    ] = 256 * 1024 * 1024
    sweep_every: Annotated[
        timedelta,
        Meta(description="How often files that belong to no upload are looked for and removed."),
    ] = timedelta(hours=24)
    orphan_age_min: Annotated[
        timedelta,
        Meta(
            description="How old a file without an upload must be before it is removed: longer than "
            "the time between writing a file and committing its row."
        ),
    ] = timedelta(hours=1)
