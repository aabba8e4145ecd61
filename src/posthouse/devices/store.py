"""The SQL of device keys, one-time keys, cross-signing and to-device messages.

All tables are those of people. Functions that write take the `Write` of a person's stream;
functions that read take any reader, a `Write` included.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from posthouse.devices.model import (
    CrossSigningKey,
    DehydratedDevice,
    KeySignature,
    NewKey,
    StoredKey,
    Usage,
)
from posthouse.matrix import DeviceId, UserId
from posthouse.storage import Dialects, Insert, Reader, Transaction
from posthouse.streams import Write

DeviceOf = tuple[UserId, DeviceId]


def _among(sqlite: str, postgresql: str, statement: str) -> Dialects:
    """A statement with one `{among}`: a column's membership in a list parameter."""
    return Dialects(statement.format(among=sqlite), statement.format(among=postgresql))


# -- identity keys -------------------------------------------------------------------------------

_DEVICE_KEYS_OF_USERS: Final = _among(
    "user_id IN (SELECT value FROM json_each($1))",
    "user_id = ANY($1)",
    "SELECT user_id, device_id, key_json, position FROM device_keys WHERE {among}",
)


async def device_keys_of(
    reader: Reader, user_ids: Sequence[UserId]
) -> dict[UserId, dict[DeviceId, StoredKey]]:
    """Every device that published keys, of every person named."""
    found: dict[UserId, dict[DeviceId, StoredKey]] = {}
    for user, device, content, position in await reader.fetch_all(
        _DEVICE_KEYS_OF_USERS, list(user_ids)
    ):
        found.setdefault(UserId(user), {})[DeviceId(device)] = StoredKey(content, position)
    return found


_DEVICE_KEYS: Final = """
    SELECT key_json, position FROM device_keys WHERE user_id = $1 AND device_id = $2
"""


async def device_keys(reader: Reader, user_id: UserId, device_id: DeviceId) -> StoredKey | None:
    row = await reader.fetch_one(_DEVICE_KEYS, user_id, device_id)
    return StoredKey(row[0], row[1]) if row else None


_PUT_DEVICE_KEYS: Final = """
    INSERT INTO device_keys (user_id, device_id, key_json, position) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, device_id) DO UPDATE
        SET key_json = excluded.key_json, position = excluded.position
"""


async def put_device_keys(
    write: Write, user_id: UserId, device_id: DeviceId, content: bytes, position: int
) -> None:
    await write.execute(_PUT_DEVICE_KEYS, user_id, device_id, content, position)


_DELETE_DEVICE_KEYS: Final = """
    DELETE FROM device_keys WHERE user_id = $1 AND device_id = $2 AND position < $3
"""


async def delete_device_keys(
    write: Write, user_id: UserId, device_id: DeviceId, *, before: int
) -> bool:
    """Whether there were any from before that position."""
    return await write.execute(_DELETE_DEVICE_KEYS, user_id, device_id, before) > 0


_MARK_LIST_CHANGED: Final = """
    INSERT INTO device_lists (user_id, position) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET position = excluded.position
        WHERE device_lists.position < excluded.position
"""


async def mark_list_changed(write: Write, user_id: UserId, position: int) -> None:
    await write.execute(_MARK_LIST_CHANGED, user_id, position)


_LIST_CHANGED: Final = "SELECT position FROM device_lists WHERE user_id = $1"


async def list_changed_at(reader: Reader, user_id: UserId) -> int:
    """The position of the newest change of a person's own list; 0 for none."""
    row = await reader.fetch_one(_LIST_CHANGED, user_id)
    return row[0] if row else 0


# -- one-time and fallback keys --------------------------------------------------------------------

_ONE_TIME_COUNTS: Final = """
    SELECT algorithm, COUNT(*) FROM one_time_keys
    WHERE user_id = $1 AND device_id = $2 GROUP BY algorithm
"""


async def one_time_counts(reader: Reader, user_id: UserId, device_id: DeviceId) -> dict[str, int]:
    rows = await reader.fetch_all(_ONE_TIME_COUNTS, user_id, device_id)
    return {row[0]: row[1] for row in rows}


_KEY_COUNTS: Final = """
    SELECT algorithm, COUNT(*), 0 FROM one_time_keys
    WHERE user_id = $1 AND device_id = $2 GROUP BY algorithm
    UNION ALL
    SELECT algorithm, 0, 1 FROM fallback_keys WHERE user_id = $1 AND device_id = $2 AND used = 0
"""


async def key_counts(
    reader: Reader, user_id: UserId, device_id: DeviceId
) -> tuple[dict[str, int], list[str]]:
    """How many one-time keys of each algorithm a device has, and its unused fallback keys'."""
    rows = await reader.fetch_all(_KEY_COUNTS, user_id, device_id)
    one_time = {row[0]: row[1] for row in rows if not row[2]}
    return one_time, sorted(row[0] for row in rows if row[2])


_KEYS_BY_ID: Final = """
    SELECT algorithm, key_id, key_json FROM {table}
    WHERE user_id = $1 AND device_id = $2 AND {among}
"""
_HELD_KEYS: Final = Dialects(
    _KEYS_BY_ID.format(table="one_time_keys", among="key_id IN (SELECT value FROM json_each($3))"),
    _KEYS_BY_ID.format(table="one_time_keys", among="key_id = ANY($3)"),
)
_CLAIMED_KEYS: Final = Dialects(
    _KEYS_BY_ID.format(table="claimed_keys", among="key_id IN (SELECT value FROM json_each($3))"),
    _KEYS_BY_ID.format(table="claimed_keys", among="key_id = ANY($3)"),
)


async def known_keys(
    reader: Reader, user_id: UserId, device_id: DeviceId, keys: Iterable[NewKey]
) -> dict[str, bytes]:
    """What the names of these keys stand for already, held or lately given out."""
    ids = [key.key_id for key in keys]
    found: dict[str, bytes] = {}
    for statement in (_HELD_KEYS, _CLAIMED_KEYS):
        for algorithm, key_id, content in await reader.fetch_all(
            statement, user_id, device_id, ids
        ):
            found[f"{algorithm}:{key_id}"] = content
    return found


_ONE_TIME_KEYS: Final = Insert(
    "one_time_keys",
    (
        ("user_id", "text"),
        ("device_id", "text"),
        ("algorithm", "text"),
        ("key_id", "text"),
        ("key_json", "bytea"),
        ("position", "bigint"),
    ),
)


async def add_one_time_keys(
    write: Write, user_id: UserId, device_id: DeviceId, keys: Sequence[NewKey], position: int
) -> None:
    await write.insert_many(
        _ONE_TIME_KEYS,
        [(user_id, device_id, k.algorithm, k.key_id, k.content, position) for k in keys],
    )


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A one-time key that may be claimed, or a fallback key."""

    user_id: UserId
    device_id: DeviceId
    algorithm: str
    key_id: str
    content: bytes
    position: int
    """Of its upload."""
    used: int = 0
    """Only of a fallback key: 1 where it was given out before."""

    @property
    def slot(self) -> "Slot":
        return self.user_id, self.device_id, self.algorithm


Slot = tuple[UserId, DeviceId, str]
"""A device and an algorithm of its keys."""

# A list of tuples travels as a list of JSON arrays, which both engines take apart.
_OLDEST_KEYS: Final = Dialects(
    sqlite="""
        SELECT k.user_id, k.device_id, k.algorithm, k.key_id, k.key_json, k.position
        FROM json_each($1) AS slot CROSS JOIN one_time_keys AS k
        WHERE k.user_id = slot.value ->> 0 AND k.device_id = slot.value ->> 1
            AND k.algorithm = slot.value ->> 2
            AND k.key_id = (
                SELECT key_id FROM one_time_keys
                WHERE user_id = slot.value ->> 0 AND device_id = slot.value ->> 1
                    AND algorithm = slot.value ->> 2
                ORDER BY position, key_id LIMIT 1
            )
    """,
    postgresql="""
        SELECT k.user_id, k.device_id, k.algorithm, k.key_id, k.key_json, k.position
        FROM unnest($1::text[]) AS slot (value) CROSS JOIN LATERAL (
            SELECT user_id, device_id, algorithm, key_id, key_json, position FROM one_time_keys
            WHERE user_id = slot.value::json ->> 0 AND device_id = slot.value::json ->> 1
                AND algorithm = slot.value::json ->> 2
            ORDER BY position, key_id LIMIT 1
        ) AS k
    """,
)


async def oldest_one_time_keys(reader: Reader, slots: Iterable[Slot]) -> list[HeldKey]:
    """For each device and algorithm the key that was uploaded first, where any is left."""
    rows = await reader.fetch_all(_OLDEST_KEYS, _tuples(slots))
    return [HeldKey(*row) for row in rows]


_DELETE_KEYS: Final = Dialects(
    sqlite="""
        DELETE FROM one_time_keys WHERE (user_id, device_id, algorithm, key_id) IN (
            SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1)
        )
    """,
    postgresql="""
        DELETE FROM one_time_keys AS k USING unnest($1::text[]) AS gone (value)
        WHERE k.user_id = gone.value::json ->> 0 AND k.device_id = gone.value::json ->> 1
            AND k.algorithm = gone.value::json ->> 2 AND k.key_id = gone.value::json ->> 3
    """,
)
_CLAIMED: Final = Insert("claimed_keys", (*_ONE_TIME_KEYS.columns, ("claimed_ms", "bigint")))


async def mark_claimed(write: Write, keys: Sequence[HeldKey]) -> None:
    """Takes one-time keys away: nobody gets them again, and they are remembered as given."""
    gone = await write.execute(_DELETE_KEYS, _tuples((*key.slot, key.key_id) for key in keys))
    if gone != len(keys):
        raise LookupError(f"one_time_keys: {len(keys)} keys were read and {gone} deleted")
    await write.insert_many(
        _CLAIMED,
        [(*k.slot, k.key_id, k.content, k.position, write.now_ms) for k in keys],
    )


_FALLBACKS_FOR: Final = Dialects(
    sqlite="""
        SELECT k.user_id, k.device_id, k.algorithm, k.key_id, k.key_json, k.position, k.used
        FROM json_each($1) AS slot CROSS JOIN fallback_keys AS k
        WHERE k.user_id = slot.value ->> 0 AND k.device_id = slot.value ->> 1
            AND k.algorithm = slot.value ->> 2
    """,
    postgresql="""
        SELECT k.user_id, k.device_id, k.algorithm, k.key_id, k.key_json, k.position, k.used
        FROM unnest($1::text[]) AS slot (value) JOIN fallback_keys AS k
            ON k.user_id = slot.value::json ->> 0 AND k.device_id = slot.value::json ->> 1
                AND k.algorithm = slot.value::json ->> 2
    """,
)


async def fallback_keys_for(reader: Reader, slots: Iterable[Slot]) -> list[HeldKey]:
    rows = await reader.fetch_all(_FALLBACKS_FOR, _tuples(slots))
    return [HeldKey(*row) for row in rows]


_USE_FALLBACKS: Final = Dialects(
    sqlite="""
        UPDATE fallback_keys SET used = 1 WHERE (user_id, device_id, algorithm) IN (
            SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)
        )
    """,
    postgresql="""
        UPDATE fallback_keys AS k SET used = 1 FROM unnest($1::text[]) AS slot (value)
        WHERE k.user_id = slot.value::json ->> 0 AND k.device_id = slot.value::json ->> 1
            AND k.algorithm = slot.value::json ->> 2
    """,
)


async def mark_fallbacks_used(write: Write, keys: Iterable[HeldKey]) -> None:
    await write.execute(_USE_FALLBACKS, _tuples(key.slot for key in keys))


def _tuples(values: Iterable[tuple[str, ...]]) -> list[str]:
    return [orjson.dumps(value).decode() for value in values]


_FALLBACKS: Final = """
    SELECT algorithm, key_id, key_json, used FROM fallback_keys
    WHERE user_id = $1 AND device_id = $2 ORDER BY algorithm
"""


@dataclass(frozen=True, slots=True)
class Fallback:
    """A device's fallback key for one algorithm."""

    algorithm: str
    key_id: str
    content: bytes
    used: bool


async def fallbacks_of(reader: Reader, user_id: UserId, device_id: DeviceId) -> list[Fallback]:
    rows = await reader.fetch_all(_FALLBACKS, user_id, device_id)
    return [Fallback(row[0], row[1], row[2], bool(row[3])) for row in rows]


_PUT_FALLBACK: Final = """
    INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, key_json, used, position)
    VALUES ($1, $2, $3, $4, $5, 0, $6)
    ON CONFLICT (user_id, device_id, algorithm) DO UPDATE
        SET key_id = excluded.key_id, key_json = excluded.key_json, used = 0,
            position = excluded.position
"""


async def put_fallback(
    write: Write, user_id: UserId, device_id: DeviceId, key: NewKey, position: int
) -> None:
    await write.execute(
        _PUT_FALLBACK, user_id, device_id, key.algorithm, key.key_id, key.content, position
    )


# -- cross-signing -------------------------------------------------------------------------------

_CROSS_SIGNING_OF_USERS: Final = _among(
    "user_id IN (SELECT value FROM json_each($1))",
    "user_id = ANY($1)",
    "SELECT user_id, usage, public_key, key_json, position FROM cross_signing_keys WHERE {among}",
)


async def cross_signing_keys_of(
    reader: Reader, user_ids: Sequence[UserId]
) -> dict[UserId, dict[Usage, CrossSigningKey]]:
    found: dict[UserId, dict[Usage, CrossSigningKey]] = {}
    for user, usage, public_key, content, position in await reader.fetch_all(
        _CROSS_SIGNING_OF_USERS, list(user_ids)
    ):
        key = CrossSigningKey(Usage(usage), public_key, content, position)
        found.setdefault(UserId(user), {})[key.usage] = key
    return found


_PUT_CROSS_SIGNING: Final = """
    INSERT INTO cross_signing_keys (user_id, usage, public_key, key_json, position)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, usage) DO UPDATE
        SET public_key = excluded.public_key, key_json = excluded.key_json,
            position = excluded.position
"""


async def put_cross_signing_key(
    write: Write, user_id: UserId, key: CrossSigningKey, position: int
) -> None:
    await write.execute(
        _PUT_CROSS_SIGNING, user_id, key.usage.value, key.public_key, key.content, position
    )


_DELETE_CROSS_SIGNING: Final = "DELETE FROM cross_signing_keys WHERE user_id = $1 AND usage = $2"


async def delete_cross_signing_key(write: Write, user_id: UserId, usage: Usage) -> None:
    await write.execute(_DELETE_CROSS_SIGNING, user_id, usage.value)


_SIGNATURE_COLUMNS: Final = "user_id, target_user_id, target_key_id, signer_key_id, signature"
_SIGNATURES_ON_OWN: Final = _among(
    "user_id IN (SELECT value FROM json_each($1))",
    "user_id = ANY($1)",
    f"SELECT {_SIGNATURE_COLUMNS} FROM key_signatures WHERE {{among}} AND target_user_id = user_id",
)
_SIGNATURES_ON_OTHERS: Final = _among(
    "target_user_id IN (SELECT value FROM json_each($2))",
    "target_user_id = ANY($2)",
    f"SELECT {_SIGNATURE_COLUMNS} FROM key_signatures"
    " WHERE user_id = $1 AND {among} AND target_user_id <> user_id",
)


async def signatures_seen_by(
    reader: Reader, viewer: UserId, targets: Sequence[UserId]
) -> dict[tuple[UserId, str], list[KeySignature]]:
    """By (person, key): the signatures people made on their own keys, and those of the viewer.

    Nobody sees what another signed of a third person's: it would tell who knows whom.
    """
    rows = await reader.fetch_all(_SIGNATURES_ON_OWN, list(targets))
    rows += await reader.fetch_all(_SIGNATURES_ON_OTHERS, viewer, list(targets))
    found: dict[tuple[UserId, str], list[KeySignature]] = {}
    for signer, target, key_id, signer_key_id, signature in rows:
        found.setdefault((UserId(target), key_id), []).append(
            KeySignature(UserId(signer), signer_key_id, UserId(target), key_id, signature)
        )
    return found


_PUT_SIGNATURE: Final = """
    INSERT INTO key_signatures
        (user_id, target_user_id, target_key_id, signer_key_id, signature, position)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (user_id, target_user_id, target_key_id, signer_key_id) DO UPDATE
        SET signature = excluded.signature, position = excluded.position
"""


async def put_signature(write: Write, signature: KeySignature, position: int) -> None:
    await write.execute(
        _PUT_SIGNATURE,
        signature.signer,
        signature.target,
        signature.target_key_id,
        signature.signer_key_id,
        signature.signature,
        position,
    )


_SIGNATURE: Final = """
    SELECT signature FROM key_signatures
    WHERE user_id = $1 AND target_user_id = $2 AND target_key_id = $3 AND signer_key_id = $4
"""


async def has_signature(reader: Reader, signature: KeySignature) -> bool:
    """Whether exactly this signature is stored."""
    row = await reader.fetch_one(
        _SIGNATURE,
        signature.signer,
        signature.target,
        signature.target_key_id,
        signature.signer_key_id,
    )
    return row is not None and row[0] == signature.signature


_SIGNED_BETWEEN: Final = """
    SELECT DISTINCT target_user_id FROM key_signatures
    WHERE user_id = $1 AND target_user_id <> user_id AND position > $2
"""


async def signed_since(reader: Reader, signer: UserId, after: int) -> list[UserId]:
    """Whose keys the person has signed since."""
    return [UserId(row[0]) for row in await reader.fetch_all(_SIGNED_BETWEEN, signer, after)]


_DROP_SIGNATURES_ON: Final = """
    DELETE FROM key_signatures
    WHERE user_id = $1 AND target_user_id = $1 AND target_key_id = $2 AND position < $3
"""


async def drop_own_signatures_on(
    write: Write, user_id: UserId, key_id: str, *, before: int
) -> None:
    """Forgets what the person signed of a key of their own that is gone."""
    await write.execute(_DROP_SIGNATURES_ON, user_id, key_id, before)


_DROP_SIGNATURES_BY: Final = "DELETE FROM key_signatures WHERE user_id = $1 AND signer_key_id = $2"


async def drop_signatures_by(write: Write, user_id: UserId, signer_key_id: str) -> None:
    """Forgets what a replaced key of the person has signed."""
    await write.execute(_DROP_SIGNATURES_BY, user_id, signer_key_id)


# -- to-device messages ----------------------------------------------------------------------------

_TO_DEVICE: Final = Insert(
    "to_device",
    (
        ("id", "bigint"),
        ("user_id", "text"),
        ("device_id", "text"),
        ("position", "bigint"),
        ("sender_id", "text"),
        ("content", "bytea"),
    ),
)


async def add_messages(write: Write, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (id, user, device, position, sender, content)."""
    await write.insert_many(_TO_DEVICE, rows)


_MESSAGES: Final = """
    SELECT position, content FROM to_device
    WHERE user_id = $1 AND device_id = $2 AND position > $3 AND position <= $4
    ORDER BY position LIMIT $5
"""


async def messages_between(
    reader: Reader, user_id: UserId, device_id: DeviceId, after: int, up_to: int, limit: int
) -> list[tuple[int, bytes]]:
    rows = await reader.fetch_all(_MESSAGES, user_id, device_id, after, up_to, limit)
    return [(row[0], row[1]) for row in rows]


_HAS_MESSAGES: Final = """
    SELECT 1 FROM to_device WHERE user_id = $1 AND device_id = $2 AND position <= $3 LIMIT 1
"""


async def has_messages(reader: Reader, user_id: UserId, device_id: DeviceId, *, up_to: int) -> bool:
    return await reader.fetch_one(_HAS_MESSAGES, user_id, device_id, up_to) is not None


_DELETE_MESSAGES: Final = """
    DELETE FROM to_device WHERE user_id = $1 AND device_id = $2 AND position <= $3
"""


async def delete_messages(write: Write, user_id: UserId, device_id: DeviceId, *, up_to: int) -> int:
    return await write.execute(_DELETE_MESSAGES, user_id, device_id, up_to)


_PENDING: Final = _among(
    "user_id IN (SELECT value FROM json_each($1))",
    "user_id = ANY($1)",
    "SELECT user_id, device_id, sender_id, COUNT(*) FROM to_device"
    " WHERE {among} GROUP BY user_id, device_id, sender_id",
)


async def pending_by_sender(
    reader: Reader, user_ids: Iterable[UserId]
) -> dict[DeviceOf, dict[str, int]]:
    """How many messages of whom wait for each device of these people."""
    found: dict[DeviceOf, dict[str, int]] = {}
    for user, device, sender, count in await reader.fetch_all(_PENDING, list(user_ids)):
        found.setdefault((UserId(user), DeviceId(device)), {})[sender] = count
    return found


_SERVED: Final = """
    SELECT served FROM to_device_transactions
    WHERE sender_id = $1 AND sender_device_id = $2 AND txn_id = $3
"""


async def served_by(reader: Reader, sender: DeviceOf, txn_id: str) -> list[bytes]:
    """The lists of people that a transaction of this device has served."""
    return [row[0] for row in await reader.fetch_all(_SERVED, *sender, txn_id)]


_REMEMBER_SERVED: Final = """
    INSERT INTO to_device_transactions
        (sender_id, sender_device_id, txn_id, user_id, served, created_ms)
    VALUES ($1, $2, $3, $4, $5, $6)
"""


async def remember_served(
    write: Write, sender: DeviceOf, txn_id: str, one_of_them: UserId, served: bytes
) -> None:
    await write.execute(_REMEMBER_SERVED, *sender, txn_id, one_of_them, served, write.now_ms)


# -- the dehydrated device -------------------------------------------------------------------------

_DEHYDRATED: Final = """
    SELECT device_id, device_data, display_name FROM dehydrated_devices WHERE user_id = $1
"""


async def dehydrated_device(reader: Reader, user_id: UserId) -> DehydratedDevice | None:
    row = await reader.fetch_one(_DEHYDRATED, user_id)
    return None if row is None else DehydratedDevice(DeviceId(row[0]), row[1], row[2])


_DEHYDRATED_OF_USERS: Final = _among(
    "user_id IN (SELECT value FROM json_each($1))",
    "user_id = ANY($1)",
    "SELECT user_id, device_id, display_name FROM dehydrated_devices WHERE {among}",
)


async def dehydrated_devices_of(
    reader: Reader, user_ids: Sequence[UserId]
) -> list[tuple[UserId, DeviceId, str | None]]:
    """The dehydrated devices of several people, with their names."""
    rows = await reader.fetch_all(_DEHYDRATED_OF_USERS, list(user_ids))
    return [(UserId(row[0]), DeviceId(row[1]), row[2]) for row in rows]


_PUT_DEHYDRATED: Final = """
    INSERT INTO dehydrated_devices (user_id, device_id, device_data, display_name, position)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id) DO UPDATE
        SET device_id = excluded.device_id, device_data = excluded.device_data,
            display_name = excluded.display_name, position = excluded.position
"""


async def put_dehydrated_device(
    write: Write, user_id: UserId, device: DehydratedDevice, position: int
) -> None:
    """In the place of the one that the person had."""
    await write.execute(
        _PUT_DEHYDRATED, user_id, device.device_id, device.data, device.display_name, position
    )


_DELETE_DEHYDRATED: Final = "DELETE FROM dehydrated_devices WHERE user_id = $1"


async def delete_dehydrated_device(write: Write, user_id: UserId) -> None:
    await write.execute(_DELETE_DEHYDRATED, user_id)


# -- forgetting ----------------------------------------------------------------------------------

_DEVICE_TABLES: Final = ("one_time_keys", "claimed_keys", "fallback_keys", "to_device")
_FORGET_OF_DEVICE: Final = tuple(
    f"DELETE FROM {table} WHERE user_id = $1 AND device_id = $2 AND position < $3"
    for table in _DEVICE_TABLES
)


async def forget_of_device(
    write: Write, user_id: UserId, device_id: DeviceId, *, before: int
) -> None:
    """Drops one-time and fallback keys and pending messages from before a position."""
    for statement in _FORGET_OF_DEVICE:
        await write.execute(statement, user_id, device_id, before)


_FORGET_OF_PERSON: Final = (
    "DELETE FROM cross_signing_keys WHERE user_id = $1 AND position < $2",
    "DELETE FROM key_signatures WHERE user_id = $1 AND position < $2",
)


async def forget_of_person(write: Write, user_id: UserId, *, before: int) -> None:
    """Drops cross-signing keys, and what they signed, from before a position."""
    for statement in _FORGET_OF_PERSON:
        await write.execute(statement, user_id, before)


_OLD_CLAIMS: Final = """
    SELECT user_id, device_id, algorithm, key_id FROM claimed_keys
    WHERE claimed_ms < $1 ORDER BY claimed_ms LIMIT $2
"""
_OLD_TRANSACTIONS: Final = """
    SELECT user_id, sender_id, sender_device_id, txn_id FROM to_device_transactions
    WHERE created_ms < $1 ORDER BY created_ms LIMIT $2
"""
_DELETE_CLAIM: Final = """
    DELETE FROM claimed_keys
    WHERE user_id = $1 AND device_id = $2 AND algorithm = $3 AND key_id = $4
"""
_DELETE_TRANSACTION: Final = """
    DELETE FROM to_device_transactions
    WHERE user_id = $1 AND sender_id = $2 AND sender_device_id = $3 AND txn_id = $4
"""

Expired = Mapping[UserId, list[tuple[str, tuple[Any, ...]]]]


async def expired(reader: Reader, *, before_ms: int, limit: int) -> Expired:
    """By person, the statements that delete what is remembered from before that time."""
    found: dict[UserId, list[tuple[str, tuple[Any, ...]]]] = {}
    for old, delete in ((_OLD_CLAIMS, _DELETE_CLAIM), (_OLD_TRANSACTIONS, _DELETE_TRANSACTION)):
        for row in await reader.fetch_all(old, before_ms, limit):
            found.setdefault(UserId(row[0]), []).append((delete, tuple(row)))
    return found


_EMPTY_ONE_TIME_KEYS: Final = "DELETE FROM one_time_keys"


async def empty_one_time_keys(tx: Transaction) -> None:
    await tx.execute(_EMPTY_ONE_TIME_KEYS)
