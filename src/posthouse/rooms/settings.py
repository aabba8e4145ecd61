"""What an operator decides about rooms."""

from typing import Annotated

from msgspec import Meta, Struct


class RoomSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Rooms and their history."""

    default_version: Annotated[
        str, Meta(description="The room version of new rooms: 10, 11 or 12.", pattern="^1[0-2]$")
    ] = "12"
