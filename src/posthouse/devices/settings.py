"""What an operator may set of devices."""

from typing import Annotated

from msgspec import Meta, Struct


class DevicesSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of what is kept for devices."""

    pending_max: Annotated[
        int,
        Meta(ge=100, description="Messages that may wait for one device before it fetches them."),
    ] = 20_000
    pending_per_sender_max: Annotated[
        int, Meta(ge=100, description="How many of those may be of one sender.")
    ] = 8_000
    backup_keys_max: Annotated[
        int, Meta(ge=1, description="Room keys that one person's key backups may hold together.")
    ] = 500_000
