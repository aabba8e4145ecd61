"""What `devices` declines."""

from posthouse.matrix import (
    BadJson,
    ErrCode,
    Forbidden,
    InvalidParam,
    InvalidSignature,
    MissingParam,
    NotFound,
    Refusal,
    TooLarge,
    UnknownToken,
)


class NotYourDevice(InvalidParam):
    usual_message = "Device keys must name the user and the device that upload them."


class BadKey(BadJson):
    """A key that isn't shaped as the specification says; the message names the member."""


class KeyChanged(InvalidParam):
    """A one-time key's id stands for its first content for good."""

    usual_message = "Another key was uploaded under this id. Use a new id for each key."


class KeyTooLarge(TooLarge):
    usual_message = "A key is larger than a key may be."


class TooManyKeys(TooLarge):
    usual_message = "More keys than a device may keep here. Upload new ones when some were claimed."


class TooManyTargets(TooLarge):
    usual_message = "The request names more devices than one request may. Split it."


class MessageTooLarge(TooLarge):
    usual_message = "A message to a device is larger than 64 KiB."


class NoMasterKey(MissingParam):
    usual_message = "There is no master key: upload it first, or together with the others."


class NotSignedByMaster(InvalidSignature):
    usual_message = "The key is not signed by the master key."


class ProofNeeded(Forbidden):
    """The request replaces cross-signing keys: the person must prove anew who they are.

    Endpoints turn it into a challenge; a client sees it only where a proof was given and other
    keys came in between.
    """

    usual_message = "The keys were replaced meanwhile. Try again."


class SignedOut(UnknownToken):
    """The device was signed out while its request was under way."""


class BackupNotFound(NotFound):
    usual_message = "You have no such key backup."


class BackupKeyNotFound(NotFound):
    usual_message = "There is no such key in this backup."


class WrongBackupVersion(Refusal):
    """Keys go into the newest backup only; `current_version` names it."""

    errcode = ErrCode.WRONG_ROOM_KEYS_VERSION
    usual_message = "There is a newer key backup: keys go into that one."


class OtherAlgorithm(InvalidParam):
    usual_message = "A key backup keeps the algorithm that it was made with."


class OtherVersion(InvalidParam):
    usual_message = "`version` in the body is not that of the path."


class BackupKeyTooLarge(TooLarge):
    """A part of a key backup is larger than such a part may be; the message names it."""


class BackupTooLarge(Refusal):
    """Somebody's backups would hold more keys than one person's may."""

    errcode = ErrCode.USER_LIMIT_EXCEEDED


class TooManyBackups(Refusal):
    errcode = ErrCode.USER_LIMIT_EXCEEDED
    usual_message = "You have too many key backups. Delete one first."


class TooManyBackedUp(TooLarge):
    usual_message = "The request stores more keys than one request may. Split it."


class NoDehydratedDevice(NotFound):
    usual_message = "You have no dehydrated device."


class NotYourDehydratedDevice(Forbidden):
    usual_message = "Only the messages of your own dehydrated device are yours to read."


class NotDehydrated(InvalidParam):
    """The device that was uploaded can't be told from one that somebody is signed in on."""
