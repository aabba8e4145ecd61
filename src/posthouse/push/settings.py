"""What an operator may set of push."""

from typing import Annotated

from msgspec import Meta, Struct


class PushSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How apps are told of news."""

    pushers_max: Annotated[
        int, Meta(ge=1, description="Pushers that one person may have: commonly one a device.")
    ] = 1_000
