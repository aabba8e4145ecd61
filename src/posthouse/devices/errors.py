"""What `devices` declines."""

from posthouse.matrix import (
    BadJson,
    Forbidden,
    InvalidParam,
    InvalidSignature,
    MissingParam,
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
