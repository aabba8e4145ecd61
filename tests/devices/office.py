"""A post office on a fresh database: people, their devices, real keys, and the services."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from posthouse.accounts import (
    Accounts,
    AccountSettings,
    PasswordSettings,
    RegistrationMode,
    open_accounts,
)
from posthouse.accounts.model import DeviceWish
from posthouse.devices import (
    CrossSigning,
    DehydratedDevices,
    Devices,
    DevicesSettings,
    ForgetSignedOut,
    KeyBackups,
    ToDevice,
    Usage,
)
from posthouse.devices.endpoints import (
    claim_keys,
    query_keys,
    send_to_device,
    upload_cross_signing_keys,
    upload_cross_signing_signatures,
    upload_keys,
)
from posthouse.http import Caller, LimitSettings
from posthouse.matrix import DeviceId, ServerName, SigningKey, UserId, sign_json
from posthouse.std.clock import SystemRandomness
from posthouse.storage import Database
from posthouse.streams import ConsumerLoop, UserEntry, UserStreams, load_facts

SERVER = ServerName("example.org")
PASSWORD = "correct horse"
Json = dict[str, Any]


@dataclass
class OwnClock:
    """Time that moves when a test says so."""

    ms: int = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def key_pair(name: str, version: str | None = None) -> SigningKey:
    """A signing key that is always the same for a name; its own public key is its version."""
    seed = hashlib.sha256(name.encode()).digest()
    return SigningKey(seed, version or SigningKey(seed, "x").public_key)


@dataclass
class Phone:
    """One device of a person, as its client drives it."""

    office: "Office"
    user_id: UserId
    device_id: DeviceId
    token: str = ""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def caller(self) -> Caller:
        return Caller(self.user_id, self.device_id, b"")

    @property
    def key(self) -> SigningKey:
        return key_pair(f"{self.user_id} {self.device_id}", self.device_id)

    def device_keys(self, **more: Any) -> Json:
        keys = {f"ed25519:{self.device_id}": self.key.public_key}
        value = {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": keys,
            **more,
        }
        return sign_json(value, self.user_id, self.key)

    async def uploads(self, **parts: Any) -> dict[str, int]:
        answer = await upload_keys.upload_keys(
            self.office.devices, self.caller, upload_keys.Request(**parts)
        )
        return answer.one_time_key_counts

    async def publishes(self) -> None:
        await self.uploads(device_keys=self.device_keys())

    async def asks_for(self, *users: UserId, devices: list[DeviceId] | None = None) -> Json:
        request = query_keys.Request({user: devices or [] for user in users})
        answer = await query_keys.query_keys(self.office.devices, self.caller, request)
        return _json(answer.body)

    async def claims(self, *phones: "Phone", algorithm: str = "signed_curve25519") -> Json:
        wanted: dict[str, dict[DeviceId, str]] = {}
        for phone in phones:
            wanted.setdefault(phone.user_id, {})[phone.device_id] = algorithm
        request = claim_keys.Request(wanted)
        answer = await claim_keys.claim_keys(self.office.devices, self.caller, request)
        return _json(answer.body)

    async def claims_one(self, phone: "Phone") -> str | None:
        """The name of the key that another's device gave, None for none."""
        found = (await self.claims(phone))["one_time_keys"]
        names = list(found.get(phone.user_id, {}).get(phone.device_id, {}))
        return names[0] if names else None

    async def sends(
        self,
        messages: Mapping[UserId, Mapping[str, Json]],
        *,
        txn: str | None = None,
        type_: str = "m.test",
    ) -> None:
        by_device = {
            str(user): {DeviceId(device): content for device, content in some.items()}
            for user, some in messages.items()
        }
        request = send_to_device.Request(type_, txn or f"t{next(self._numbers)}", by_device)
        await send_to_device.send_to_device(self.office.to_device, self.caller, request)

    async def fetches(
        self, after: int = 0, *, up_to: int | None = None, limit: int = 100
    ) -> tuple[list[Json], int]:
        head = self.office.streams.head_of(self.user_id) if up_to is None else up_to
        events, reached = await self.office.to_device.to_device_since(
            self.user_id, self.device_id, after, head, limit
        )
        return [_json(event) for event in events], reached

    async def received(self) -> list[Any]:
        """The contents of all that waits, in order."""
        return [event["content"] for event in (await self.fetches())[0]]

    async def signs_out(self) -> None:
        await self.office.accounts.sign_out(self.user_id, [self.device_id])

    def cross_signing(self, usage: Usage, *, name: str = "first") -> SigningKey:
        return key_pair(f"{self.user_id} {usage} {name}")

    def cross_signing_key(self, usage: Usage, *, name: str = "first") -> Json:
        """A cross-signing key of this person, signed by the master key of the same name."""
        public = self.cross_signing(usage, name=name).public_key
        value: Json = {
            "user_id": self.user_id,
            "usage": [usage.value],
            "keys": {f"ed25519:{public}": public},
        }
        if usage is Usage.MASTER:
            return value
        return sign_json(value, self.user_id, self.cross_signing(Usage.MASTER, name=name))

    async def cross_signs(
        self, *usages: Usage, name: str = "first", auth: Any = None, **keys: Any
    ) -> None:
        for usage in usages or tuple(Usage):
            keys.setdefault(f"{usage}_key", self.cross_signing_key(usage, name=name))
        await upload_cross_signing_keys.upload_cross_signing_keys(
            self.office.cross_signing,
            self.office.accounts,
            self.caller,
            upload_cross_signing_keys.Request(auth=auth, **keys),
        )

    async def uploads_signatures(self, signed: Json) -> Json:
        answer = await upload_cross_signing_signatures.upload_cross_signing_signatures(
            self.office.cross_signing,
            self.caller,
            upload_cross_signing_signatures.Request(orjson.dumps(signed)),
        )
        return {
            user: {key: failure.errcode for key, failure in by_key.items()}
            for user, by_key in answer.failures.items()
        }


@dataclass
class Office:
    """The services, on one database, with two user streams."""

    database: Database
    clock: OwnClock
    streams: UserStreams
    accounts: Accounts
    devices: Devices
    cross_signing: CrossSigning
    to_device: ToDevice
    backups: KeyBackups
    dehydrated: DehydratedDevices
    forgetting: ConsumerLoop
    heard: list[UserEntry] = field(default_factory=list, init=False)
    """All that was announced; no field of `init`, for hypothesis prints those of each example."""

    async def phone(self, name: str, device: str = "PHONE") -> Phone:
        """A device on which a person is signed in; the person is made at their first one."""
        user_id = UserId(f"@{name}:{SERVER}")
        if not await self.accounts.exists(user_id):
            await self.accounts.create_user(name, PASSWORD)
        return await self.signs_in(user_id, device)

    async def signs_in(self, user_id: UserId, device: str) -> Phone:
        device_id = DeviceId(device)
        wish = DeviceWish(device_id=device_id, display_name=f"{device} of somebody")
        signed_in = await self.accounts.sign_in(user_id, PASSWORD, wish)
        return Phone(self, user_id, device_id, signed_in.tokens.access_token)

    async def settles(self) -> None:
        """Waits until sign-outs were followed."""
        for stream in self.streams.streams.ids:
            assert await self.forgetting.wait_until(
                stream, self.forgetting._targets[stream], timeout_s=10
            )

    def key_changes(self, user_id: UserId) -> list[str]:
        """The subjects of the entries DEVICE_KEYS that were announced."""
        return [
            e.subject for e in self.heard if e.user_id == user_id and e.kind.name == "DEVICE_KEYS"
        ]


@asynccontextmanager
async def open_office(
    database: Database, settings: DevicesSettings | None = None
) -> AsyncIterator[Office]:
    clock = OwnClock()
    facts = await load_facts(
        database, SystemRandomness(), server_name=SERVER, room_streams=1, user_streams=2
    )
    streams = UserStreams(database, facts.users, clock)
    accounts = await open_accounts(
        database,
        streams,
        AccountSettings(passwords=PasswordSettings(memory_kib=8, passes=1)),
        server=SERVER,
        registration=RegistrationMode.OPEN,
        clock=clock,
        random=SystemRandomness(),
        limits=LimitSettings(enabled=False),
    )
    settings = settings or DevicesSettings()
    devices = Devices(streams, accounts)
    to_device = ToDevice(streams, accounts, clock, settings)
    backups = KeyBackups(streams, accounts, settings)
    dehydrated = DehydratedDevices(streams, accounts, to_device)
    office = Office(
        database,
        clock,
        streams,
        accounts,
        devices,
        CrossSigning(streams, accounts),
        to_device,
        backups,
        dehydrated,
        ConsumerLoop(streams, ForgetSignedOut(devices, backups, dehydrated)),
    )
    streams.listen(office.heard.extend)
    await streams.take_over()
    await office.forgetting.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(streams.run())
        group.create_task(office.forgetting.run())
        try:
            yield office
        finally:
            office.forgetting.close()
            streams.close()
            accounts.close()


def one_time_keys(*names: str) -> Json:
    """One-time keys named `signed_curve25519:…`, each with a content of its own."""
    return {f"signed_curve25519:{name}": {"key": f"key {name}", "signatures": {}} for name in names}


def _json(raw: bytes) -> Json:
    value: Json = orjson.loads(raw)
    return value
