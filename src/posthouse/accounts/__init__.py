"""Accounts: who exists, how they prove it, where they are signed in, what only they see.

Owns people, sign-in devices, tokens, profiles, account data and filters (in the person's stream),
and invitations to register (global). What others rely on:

(1) No token works once its sign-out, or the change of password that ended it, was answered.
(2) An unknown name and a wrong password look and cost the same.
(3) A name that was taken stays taken, also when its account is closed.
(4) A device that ends is one SIGNED_OUT entry, an account that ends one DEACTIVATED entry, in the
    transaction that ends it: other domains forget what is theirs by reading them.
"""

from posthouse.accounts.confirmation import AuthData, UserIdentifier
from posthouse.accounts.errors import AuthenticationNeeded
from posthouse.accounts.filter_shelf import parse_history_filter
from posthouse.accounts.filters import (
    EVERYTHING,
    EventFilter,
    Filter,
    RoomEventFilter,
    RoomFilter,
    includes_room,
    matches,
)
from posthouse.accounts.model import (
    GLOBAL_DATA,
    AccountDatum,
    Device,
    Profile,
    RegistrationToken,
    SignIn,
)
from posthouse.accounts.service import Accounts, open_accounts
from posthouse.accounts.settings import AccountSettings, PasswordSettings, RegistrationMode

__all__ = [
    "EVERYTHING",
    "GLOBAL_DATA",
    "AccountDatum",
    "AccountSettings",
    "Accounts",
    "AuthData",
    "AuthenticationNeeded",
    "Device",
    "EventFilter",
    "Filter",
    "PasswordSettings",
    "Profile",
    "RegistrationMode",
    "RegistrationToken",
    "RoomEventFilter",
    "RoomFilter",
    "SignIn",
    "UserIdentifier",
    "includes_room",
    "matches",
    "open_accounts",
    "parse_history_filter",
]
