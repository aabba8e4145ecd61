"""All the SQL of accounts."""

from collections.abc import Sequence
from typing import Final

from posthouse.accounts.model import (
    AccessToken,
    AccountDatum,
    Device,
    RefreshToken,
    RegistrationToken,
    User,
)
from posthouse.matrix import DeviceId, RoomId, UserId
from posthouse.storage import Dialects, Reader, Row, Transaction
from posthouse.streams import Write

# --- people

_USER: Final = """
    SELECT user_id, created_ms, password_hash, is_admin, deactivated_ms, erased
    FROM users WHERE user_id = $1
"""


async def user_of(reader: Reader | Write, user_id: UserId) -> User | None:
    row = await reader.fetch_one(_USER, user_id)
    if row is None:
        return None
    return User(UserId(row[0]), row[1], row[2], bool(row[3]), row[4], bool(row[5]))


_EXISTING: Final = Dialects(
    sqlite="SELECT user_id FROM users WHERE user_id IN (SELECT value FROM json_each($1))",
    postgresql="SELECT user_id FROM users WHERE user_id = ANY($1)",
)


async def existing_users(reader: Reader, users: Sequence[UserId]) -> set[UserId]:
    """Those of the people who have, or had, an account."""
    return {UserId(row[0]) for row in await reader.fetch_all(_EXISTING, list(users))}


_ADD_USER: Final = """
    INSERT INTO users (user_id, created_ms, password_hash, is_admin, deactivated_ms, erased)
    VALUES ($1, $2, $3, $4, NULL, 0)
"""


async def add_user(write: Write, user_id: UserId, password_hash: str, *, is_admin: bool) -> None:
    await write.execute(_ADD_USER, user_id, write.now_ms, password_hash, int(is_admin))


_SET_PASSWORD: Final = "UPDATE users SET password_hash = $2 WHERE user_id = $1"


async def set_password(write: Write, user_id: UserId, password_hash: str) -> None:
    await write.execute(_SET_PASSWORD, user_id, password_hash)


_DEACTIVATE: Final = "UPDATE users SET deactivated_ms = $2, is_admin = 0 WHERE user_id = $1"
_ERASE_USER: Final = "UPDATE users SET erased = 1, password_hash = NULL WHERE user_id = $1"
_ERASE_PROFILE: Final = "DELETE FROM profile_fields WHERE user_id = $1"
_ERASE_ACCOUNT_DATA: Final = "DELETE FROM account_data WHERE user_id = $1"
_ERASE_FILTERS: Final = "DELETE FROM filters WHERE user_id = $1"


async def deactivate(write: Write, user_id: UserId) -> None:
    await write.execute(_DEACTIVATE, user_id, write.now_ms)


async def erase(write: Write, user_id: UserId) -> None:
    """Forgets what a person left here apart from events; the name stays taken."""
    for statement in (_ERASE_USER, _ERASE_PROFILE, _ERASE_ACCOUNT_DATA, _ERASE_FILTERS):
        await write.execute(statement, user_id)


# --- devices

_DEVICES: Final = """
    SELECT device_id, display_name, created_ms, last_seen_ms, last_seen_ip
    FROM sign_in_devices WHERE user_id = $1 ORDER BY device_id
"""
_DEVICE: Final = """
    SELECT device_id, display_name, created_ms, last_seen_ms, last_seen_ip
    FROM sign_in_devices WHERE user_id = $1 AND device_id = $2
"""


async def devices_of(reader: Reader | Write, user_id: UserId) -> list[Device]:
    rows = await reader.fetch_all(_DEVICES, user_id)
    return [Device(DeviceId(row[0]), *row[1:]) for row in rows]


async def device_of(reader: Reader | Write, user_id: UserId, device_id: DeviceId) -> Device | None:
    row = await reader.fetch_one(_DEVICE, user_id, device_id)
    return None if row is None else Device(DeviceId(row[0]), *row[1:])


_NAMES: Final = Dialects(
    sqlite="""
        SELECT user_id, device_id, display_name FROM sign_in_devices
        WHERE user_id IN (SELECT value FROM json_each($1)) ORDER BY user_id, device_id
    """,
    postgresql="""
        SELECT user_id, device_id, display_name FROM sign_in_devices
        WHERE user_id = ANY($1) ORDER BY user_id, device_id
    """,
)


async def device_names(
    reader: Reader | Write, users: Sequence[UserId]
) -> dict[UserId, dict[DeviceId, str | None]]:
    names: dict[UserId, dict[DeviceId, str | None]] = {}
    for user_id, device_id, name in await reader.fetch_all(_NAMES, list(users)):
        names.setdefault(UserId(user_id), {})[DeviceId(device_id)] = name
    return names


_COUNT_DEVICES: Final = "SELECT COUNT(*) FROM sign_in_devices WHERE user_id = $1"


async def count_devices(write: Write, user_id: UserId) -> int:
    row = await write.fetch_one(_COUNT_DEVICES, user_id)
    assert row is not None
    return int(row[0])


_PUT_DEVICE: Final = """
    INSERT INTO sign_in_devices
        (user_id, device_id, display_name, created_ms, last_seen_ms, last_seen_ip)
    VALUES ($1, $2, $3, $4, $4, $5)
    ON CONFLICT (user_id, device_id) DO UPDATE
        SET last_seen_ms = excluded.last_seen_ms, last_seen_ip = excluded.last_seen_ip
"""


async def put_device(
    write: Write,
    user_id: UserId,
    device_id: DeviceId,
    *,
    display_name: str | None,
    address: str | None,
) -> None:
    """A sign-in on a device. One that is known keeps its name and its age."""
    await write.execute(_PUT_DEVICE, user_id, device_id, display_name, write.now_ms, address)


_RENAME_DEVICE: Final = """
    UPDATE sign_in_devices SET display_name = $3 WHERE user_id = $1 AND device_id = $2
"""


async def rename_device(
    write: Write, user_id: UserId, device_id: DeviceId, display_name: str
) -> None:
    await write.execute(_RENAME_DEVICE, user_id, device_id, display_name)


_SEEN: Final = """
    UPDATE sign_in_devices SET last_seen_ms = $3
    WHERE user_id = $1 AND device_id = $2 AND last_seen_ms < $4
"""


async def note_seen(
    write: Write, user_id: UserId, device_id: DeviceId, *, unless_since_ms: int
) -> None:
    await write.execute(_SEEN, user_id, device_id, write.now_ms, unless_since_ms)


_DELETE_DEVICE: Final = "DELETE FROM sign_in_devices WHERE user_id = $1 AND device_id = $2"


async def delete_device(write: Write, user_id: UserId, device_id: DeviceId) -> None:
    """Forgets a device and every token of it."""
    await write.execute(_DELETE_DEVICE, user_id, device_id)
    await delete_tokens(write, user_id, device_id)


# --- tokens

_ACCESS_TOKEN: Final = """
    SELECT token_hash, user_id, device_id, expires_ms, refresh_hash, fresh
    FROM access_tokens WHERE token_hash = $1
"""


async def access_token(reader: Reader | Write, token_hash: bytes) -> AccessToken | None:
    row = await reader.fetch_one(_ACCESS_TOKEN, token_hash)
    return None if row is None else _access_token(row)


def _access_token(row: Row) -> AccessToken:
    return AccessToken(row[0], UserId(row[1]), DeviceId(row[2]), row[3], row[4], bool(row[5]))


_TOKEN_OWNER: Final = """
    SELECT t.token_hash, t.user_id, t.device_id, t.expires_ms, t.refresh_hash, t.fresh, u.is_admin
    FROM access_tokens t JOIN users u ON u.user_id = t.user_id
    WHERE t.token_hash = $1 AND u.deactivated_ms IS NULL
"""


async def token_owner(reader: Reader, token_hash: bytes) -> tuple[AccessToken, bool] | None:
    """An access token of an account in use, and whether that is an operator's."""
    row = await reader.fetch_one(_TOKEN_OWNER, token_hash)
    return None if row is None else (_access_token(row), bool(row[6]))


_REFRESH_TOKEN: Final = """
    SELECT token_hash, user_id, device_id, fresh FROM refresh_tokens WHERE token_hash = $1
"""


async def refresh_token(reader: Reader | Write, token_hash: bytes) -> RefreshToken | None:
    row = await reader.fetch_one(_REFRESH_TOKEN, token_hash)
    if row is None:
        return None
    return RefreshToken(row[0], UserId(row[1]), DeviceId(row[2]), bool(row[3]))


_ADD_ACCESS: Final = """
    INSERT INTO access_tokens
        (token_hash, user_id, device_id, created_ms, expires_ms, refresh_hash, fresh)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_ADD_REFRESH: Final = """
    INSERT INTO refresh_tokens (token_hash, user_id, device_id, created_ms, fresh)
    VALUES ($1, $2, $3, $4, $5)
"""


async def add_access_token(write: Write, token: AccessToken) -> None:
    await write.execute(
        _ADD_ACCESS,
        token.token_hash,
        token.user_id,
        token.device_id,
        write.now_ms,
        token.expires_ms,
        token.refresh_hash,
        int(token.fresh),
    )


async def add_refresh_token(write: Write, token: RefreshToken) -> None:
    await write.execute(
        _ADD_REFRESH,
        token.token_hash,
        token.user_id,
        token.device_id,
        write.now_ms,
        int(token.fresh),
    )


_DELETE_ACCESS: Final = "DELETE FROM access_tokens WHERE user_id = $1 AND device_id = $2"
_DELETE_REFRESH: Final = "DELETE FROM refresh_tokens WHERE user_id = $1 AND device_id = $2"


async def delete_tokens(write: Write, user_id: UserId, device_id: DeviceId) -> None:
    await write.execute(_DELETE_ACCESS, user_id, device_id)
    await write.execute(_DELETE_REFRESH, user_id, device_id)


_SETTLE_ACCESS: Final = "UPDATE access_tokens SET fresh = 0 WHERE token_hash = $1"
_SETTLE_REFRESH: Final = "UPDATE refresh_tokens SET fresh = 0 WHERE token_hash = $1"
_DELETE_OTHER_ACCESS: Final = """
    DELETE FROM access_tokens WHERE user_id = $1 AND device_id = $2 AND token_hash <> $3
"""
_DELETE_OTHER_REFRESH: Final = """
    DELETE FROM refresh_tokens WHERE user_id = $1 AND device_id = $2 AND token_hash <> $3
"""
_DELETE_ACCESS_BESIDE: Final = """
    DELETE FROM access_tokens
    WHERE user_id = $1 AND device_id = $2 AND (refresh_hash IS NULL OR refresh_hash <> $3)
"""


async def settle_access_token(write: Write, token: AccessToken) -> None:
    """A refreshed access token was used: it and its refresh token are the device's only ones."""
    assert token.refresh_hash is not None
    await write.execute(_SETTLE_ACCESS, token.token_hash)
    await write.execute(_SETTLE_REFRESH, token.refresh_hash)
    await write.execute(_DELETE_OTHER_ACCESS, token.user_id, token.device_id, token.token_hash)
    await write.execute(_DELETE_OTHER_REFRESH, token.user_id, token.device_id, token.refresh_hash)


async def settle_refresh_token(write: Write, token: RefreshToken) -> None:
    """A refresh token was used: those beside it, and the access tokens of those, are gone."""
    await write.execute(_SETTLE_REFRESH, token.token_hash)
    await write.execute(_DELETE_OTHER_REFRESH, token.user_id, token.device_id, token.token_hash)
    await write.execute(_DELETE_ACCESS_BESIDE, token.user_id, token.device_id, token.token_hash)


_FRESH_SIBLINGS: Final = """
    SELECT token_hash FROM refresh_tokens
    WHERE user_id = $1 AND device_id = $2 AND fresh = 1 ORDER BY created_ms DESC, token_hash
"""
_DELETE_ONE_REFRESH: Final = "DELETE FROM refresh_tokens WHERE token_hash = $1"
_DELETE_ACCESS_OF: Final = """
    DELETE FROM access_tokens WHERE user_id = $1 AND device_id = $2 AND refresh_hash = $3
"""


async def drop_fresh_tokens(
    write: Write, user_id: UserId, device_id: DeviceId, *, keep: int
) -> None:
    """Leaves the newest of the tokens that were given out and never used."""
    rows = await write.fetch_all(_FRESH_SIBLINGS, user_id, device_id)
    for (token_hash,) in rows[keep:]:
        await write.execute(_DELETE_ONE_REFRESH, token_hash)
        await write.execute(_DELETE_ACCESS_OF, user_id, device_id, token_hash)


# --- profiles

_PROFILE: Final = "SELECT field, value FROM profile_fields WHERE user_id = $1 ORDER BY field"


async def profile_fields(reader: Reader | Write, user_id: UserId) -> dict[str, bytes]:
    """Each field with its value as JSON."""
    return {row[0]: bytes(row[1]) for row in await reader.fetch_all(_PROFILE, user_id)}


_SET_FIELD: Final = """
    INSERT INTO profile_fields (user_id, field, value) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, field) DO UPDATE SET value = excluded.value
"""
_DELETE_FIELD: Final = "DELETE FROM profile_fields WHERE user_id = $1 AND field = $2"


async def set_profile_field(write: Write, user_id: UserId, field: str, value: bytes) -> None:
    await write.execute(_SET_FIELD, user_id, field, value)


async def delete_profile_field(write: Write, user_id: UserId, field: str) -> None:
    await write.execute(_DELETE_FIELD, user_id, field)


# --- account data

_DATUM: Final = """
    SELECT content FROM account_data WHERE user_id = $1 AND room_id = $2 AND type = $3
"""


async def account_datum(
    reader: Reader | Write, user_id: UserId, room_id: RoomId, type_: str
) -> bytes | None:
    row = await reader.fetch_one(_DATUM, user_id, room_id, type_)
    return None if row is None else bytes(row[0])


_COUNT_DATA: Final = "SELECT COUNT(*) FROM account_data WHERE user_id = $1"


async def count_account_data(write: Write, user_id: UserId) -> int:
    row = await write.fetch_one(_COUNT_DATA, user_id)
    assert row is not None
    return int(row[0])


_PUT_DATUM: Final = """
    INSERT INTO account_data (user_id, room_id, type, content, position)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, room_id, type) DO UPDATE
        SET content = excluded.content, position = excluded.position
"""


async def put_account_datum(write: Write, user_id: UserId, datum: AccountDatum) -> None:
    await write.execute(
        _PUT_DATUM, user_id, datum.room_id, datum.type, datum.content, datum.position
    )


_DATA_SINCE: Final = """
    SELECT room_id, type, content, position FROM account_data
    WHERE user_id = $1 AND position > $2 AND position <= $3 ORDER BY position
"""


async def account_data_since(
    reader: Reader, user_id: UserId, after: int, up_to: int
) -> list[AccountDatum]:
    rows = await reader.fetch_all(_DATA_SINCE, user_id, after, up_to)
    return [AccountDatum(RoomId(row[0]), row[1], bytes(row[2]), row[3]) for row in rows]


_DATA_OF_ROOMS: Final = Dialects(
    sqlite="""
        SELECT room_id, type, content, position FROM account_data
        WHERE user_id = $1 AND room_id IN (SELECT value FROM json_each($2)) AND position <= $3
        ORDER BY position
    """,
    postgresql="""
        SELECT room_id, type, content, position FROM account_data
        WHERE user_id = $1 AND room_id = ANY($2::text[]) AND position <= $3
        ORDER BY position
    """,
)


async def account_data_of_rooms(
    reader: Reader, user_id: UserId, rooms: Sequence[RoomId], up_to: int
) -> list[AccountDatum]:
    rows = await reader.fetch_all(_DATA_OF_ROOMS, user_id, list(rooms), up_to)
    return [AccountDatum(RoomId(row[0]), row[1], bytes(row[2]), row[3]) for row in rows]


# --- filters

_FILTER: Final = "SELECT definition FROM filters WHERE user_id = $1 AND filter_id = $2"
_COUNT_FILTERS: Final = "SELECT COUNT(*) FROM filters WHERE user_id = $1"
_ADD_FILTER: Final = """
    INSERT INTO filters (user_id, filter_id, definition, created_ms) VALUES ($1, $2, $3, $4)
"""


async def filter_definition(
    reader: Reader | Write, user_id: UserId, filter_id: str
) -> bytes | None:
    row = await reader.fetch_one(_FILTER, user_id, filter_id)
    return None if row is None else bytes(row[0])


async def count_filters(write: Write, user_id: UserId) -> int:
    row = await write.fetch_one(_COUNT_FILTERS, user_id)
    assert row is not None
    return int(row[0])


async def add_filter(write: Write, user_id: UserId, filter_id: str, definition: bytes) -> None:
    await write.execute(_ADD_FILTER, user_id, filter_id, definition, write.now_ms)


# --- invitations to register (global)

_TOKEN: Final = """
    SELECT token, uses_allowed, completed, expires_ms FROM registration_tokens WHERE token = $1
"""
_ADD_TOKEN: Final = """
    INSERT INTO registration_tokens (token, uses_allowed, completed, expires_ms, created_ms)
    VALUES ($1, $2, 0, $3, $4) ON CONFLICT (token) DO NOTHING
"""
# Taken first in a transaction, this row keeps a second reservation out until the first is in.
_LOCK_TOKEN: Final = "UPDATE registration_tokens SET completed = completed WHERE token = $1"
_COMPLETE: Final = "UPDATE registration_tokens SET completed = completed + 1 WHERE token = $1"
_COUNT_RESERVED: Final = "SELECT COUNT(*) FROM registration_reservations WHERE token = $1"
_RESERVE: Final = """
    INSERT INTO registration_reservations (reservation, token, user_id, reserved_ms)
    VALUES ($1, $2, $3, $4)
"""
_RELEASE: Final = "DELETE FROM registration_reservations WHERE reservation = $1"
_STALE: Final = """
    SELECT reservation, user_id FROM registration_reservations
    WHERE token = $1 AND reserved_ms < $2 ORDER BY reserved_ms LIMIT 100
"""


async def registration_token(reader: Reader, token: str) -> RegistrationToken | None:
    row = await reader.fetch_one(_TOKEN, token)
    return None if row is None else RegistrationToken(*row)


async def add_registration_token(tx: Transaction, token: RegistrationToken, *, now_ms: int) -> bool:
    """False where there is one of that name already."""
    added = await tx.execute(_ADD_TOKEN, token.token, token.uses_allowed, token.expires_ms, now_ms)
    return added == 1


async def lock_registration_token(tx: Transaction, token: str) -> None:
    await tx.execute(_LOCK_TOKEN, token)


async def count_reserved(reader: Reader, token: str) -> int:
    row = await reader.fetch_one(_COUNT_RESERVED, token)
    assert row is not None
    return int(row[0])


async def reserve(
    tx: Transaction, reservation: bytes, token: str, user_id: UserId, *, now_ms: int
) -> None:
    await tx.execute(_RESERVE, reservation, token, user_id, now_ms)


async def stale_reservations(
    reader: Reader, token: str, *, before_ms: int
) -> list[tuple[bytes, UserId]]:
    rows = await reader.fetch_all(_STALE, token, before_ms)
    return [(bytes(row[0]), UserId(row[1])) for row in rows]


async def end_reservation(
    tx: Transaction, reservation: bytes, token: str, *, completed: bool
) -> None:
    """Frees the place, or counts it as used; once, however often it is said."""
    if await tx.execute(_RELEASE, reservation) and completed:
        await tx.execute(_COMPLETE, token)


# --- secrets (global)

_SECRET: Final = "SELECT value FROM account_secrets WHERE name = $1"
_ADD_SECRET: Final = """
    INSERT INTO account_secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
"""


async def secret(tx: Transaction, name: str, fresh: bytes) -> bytes:
    """A secret of the whole server; `fresh` becomes it where there is none yet."""
    await tx.execute(_ADD_SECRET, name, fresh)
    row = await tx.fetch_one(_SECRET, name)
    assert row is not None
    return bytes(row[0])
