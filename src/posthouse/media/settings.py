"""What an operator may set about media."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct


class ThumbnailSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Thumbnails: what may be spent on one, and on keeping them.

    Each picture is decoded in a process of its own, which the kernel holds to these bounds.
    """

    processes: Annotated[
        int, Meta(ge=1, le=64, description="How many are made at the same time; others wait.")
    ] = 2
    pixels_max: Annotated[
        int,
        Meta(
            ge=1,
            description="The most pixels of a picture, all frames of an animation together. One "
            "that has more gets no thumbnail; an animation gets a still one.",
        ),
    ] = 8192 * 8192
    frames_max: Annotated[
        int, Meta(ge=1, description="The most frames of an animation that is kept moving.")
    ] = 500
    memory_bytes_max: Annotated[
        int,
        Meta(ge=128 * 1024 * 1024, description="Address space of the process for one picture."),
    ] = 1024 * 1024 * 1024
    cpu_seconds_max: Annotated[
        int, Meta(ge=1, le=600, description="CPU time for one picture, in seconds.")
    ] = 10
    cache_bytes_max: Annotated[
        int,
        Meta(
            ge=0,
            description="What all thumbnails may take on disk, in bytes; those that nobody asked "
            "for go first. They are made again when needed, and need no backup.",
        ),
    ] = 2 * 1024 * 1024 * 1024


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
    retention: Annotated[
        timedelta | None,
        Meta(
            description="How long an upload is kept after it was fetched last, pictures of people "
            "and rooms included. Unset: for ever."
        ),
    ] = None
    announced_lifetime: Annotated[
        timedelta,
        Meta(description="How long an upload that was announced in advance may take to come."),
    ] = timedelta(hours=24)
    person_announced_max: Annotated[
        int, Meta(ge=1, description="How many announced uploads of one person may be outstanding.")
    ] = 32
    wait_max: Annotated[
        timedelta,
        Meta(description="How long a download of what was announced waits for it at most."),
    ] = timedelta(minutes=1)
    thumbnails: ThumbnailSettings = ThumbnailSettings()
