"""Devices' keys and what travels between devices, as values."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from posthouse.matrix import DeviceId, UserId

DEFAULT_ALGORITHM: Final = "signed_curve25519"
"""Always counted, also at zero: clients refill their one-time keys only when they are told so."""


class Usage(enum.StrEnum):
    """What a cross-signing key is for."""

    MASTER = "master"
    SELF_SIGNING = "self_signing"
    USER_SIGNING = "user_signing"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A one-time or fallback key as uploaded; `content` is canonical JSON."""

    algorithm: str
    key_id: str
    content: bytes

    @property
    def name(self) -> str:
        return f"{self.algorithm}:{self.key_id}"


@dataclass(frozen=True, slots=True)
class KeyUpload:
    """What one device publishes; `device_keys` is canonical JSON, None where unchanged."""

    device_keys: bytes | None = None
    one_time_keys: tuple[NewKey, ...] = ()
    fallback_keys: tuple[NewKey, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A device's identity keys as stored, and when they changed last."""

    content: bytes
    position: int


@dataclass(frozen=True, slots=True)
class CrossSigningKey:
    """A cross-signing key; `content` is canonical JSON, signatures included."""

    usage: Usage
    public_key: str
    content: bytes
    position: int = 0


CrossSigningKeys = Mapping[Usage, CrossSigningKey]


@dataclass(frozen=True, slots=True)
class KeySignature:
    """A signature that was uploaded apart from what it signs."""

    signer: UserId
    signer_key_id: str
    target: UserId
    target_key_id: str
    signature: str


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many one-time keys a device has left, and which fallback keys are still unused."""

    one_time: dict[str, int]
    unused_fallback: list[str]
    fragment: bytes = field(init=False)
    """Both as members of a sync answer, without the braces."""

    def __post_init__(self) -> None:
        members = {
            "device_one_time_keys_count": self.one_time,
            "device_unused_fallback_key_types": self.unused_fallback,
        }
        object.__setattr__(self, "fragment", orjson.dumps(members)[1:-1])


@dataclass(frozen=True, slots=True)
class DehydratedDevice:
    """A device that is asleep on the server; `data` is JSON that its owner encrypted."""

    device_id: DeviceId
    data: bytes
    display_name: str | None


@dataclass(frozen=True, slots=True)
class DeviceChanges:
    """Whose devices changed, and with whom no encrypted room is shared any more."""

    changed: list[UserId]
    left: list[UserId]


_DEVICE: Final = "device:"
_CROSS_SIGNING: Final = "cross-signing"
_USER_SIGNING: Final = "user-signing"
_SIGNED: Final = "signed:"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What an entry DEVICE_KEYS of a person's log says; `subject` is how the entry spells it."""

    subject: str

    @classmethod
    def of_device(cls, device_id: DeviceId) -> "KeyChange":
        """A device's keys came, changed or went: everybody who shares a room is to know."""
        return cls(_DEVICE + device_id)

    @classmethod
    def of_cross_signing(cls) -> "KeyChange":
        """The master or self-signing key changed, or a signature on one of them."""
        return cls(_CROSS_SIGNING)

    @classmethod
    def of_user_signing(cls) -> "KeyChange":
        """The user-signing key changed, which only its owner sees."""
        return cls(_USER_SIGNING)

    @classmethod
    def of_signature_on(cls, target: UserId) -> "KeyChange":
        """The person signed another's master key, which only the signer sees."""
        return cls(_SIGNED + target)

    @property
    def is_shared(self) -> bool:
        """Whether people who share a room see it; else only the person's own devices do."""
        return self.subject.startswith(_DEVICE) or self.subject == _CROSS_SIGNING

    def concerns(self, owner: UserId) -> UserId:
        """Whose keys are to be fetched again by those who see the change."""
        if self.subject.startswith(_SIGNED):
            return UserId(self.subject.removeprefix(_SIGNED))
        return owner
