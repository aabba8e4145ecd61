"""What an operator may choose about accounts."""

import enum
from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct


class RegistrationMode(enum.StrEnum):
    """Who may register."""

    OPEN = "open"
    TOKEN = "token"
    CLOSED = "closed"


class PasswordSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How passwords are judged and kept."""

    length_min: Annotated[
        int, Meta(ge=1, le=256, description="Characters that a new password needs at least.")
    ] = 8
    memory_kib: Annotated[
        int, Meta(ge=8, le=4_194_304, description="Argon2id: memory for one hash, in KiB.")
    ] = 19_456
    passes: Annotated[int, Meta(ge=1, le=64, description="Argon2id: passes over the memory.")] = 2
    threads: Annotated[
        int, Meta(ge=1, le=64, description="Hashes computed at the same time; others wait.")
    ] = 2
    waiting_max: Annotated[
        int, Meta(ge=1, le=10_000, description="Hashes that may wait before 429 is answered.")
    ] = 64


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Accounts, sign-ins and what is kept for a person."""

    access_token_lifetime: Annotated[
        timedelta,
        Meta(description="How long an access token lives where the client can refresh it."),
    ] = timedelta(hours=1)
    session_lifetime: Annotated[
        timedelta,
        Meta(description="How long a client may take to answer a question for the password."),
    ] = timedelta(minutes=30)
    devices_max: Annotated[
        int, Meta(ge=1, description="Devices that one person may be signed in on.")
    ] = 1_000
    filters_max: Annotated[int, Meta(ge=1, description="Filters stored for one person.")] = 1_000
    account_data_max: Annotated[
        int, Meta(ge=1, description="Pieces of account data stored for one person.")
    ] = 20_000
    passwords: PasswordSettings = PasswordSettings()
