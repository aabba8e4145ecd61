"""The moment that an answer is of: captured at once, before anything is read."""

from dataclasses import dataclass

from posthouse.streams import SyncToken


@dataclass(frozen=True, slots=True)
class Cut:
    """The heads of everything one device follows, at one moment of the event loop.

    The room heads and the person's head are taken without a pause between them. A pointer is
    committed after the event it points to was announced, so it lies within `rooms`; and a
    to-device key acknowledged before its message was sent lies within `user`.
    """

    rooms: tuple[int, ...]
    touched: tuple[int, ...]
    user: int
    serial: int

    def token(self, since: SyncToken, *, to_device: int) -> SyncToken:
        """The token of an answer that carries everything up to here, `to_device` apart."""
        return SyncToken(
            since.generation,
            since.room_level,
            self.rooms,
            self.touched,
            since.user_level,
            to_device,
            self.user,
            since.epoch,
            self.serial,
            since.device,
        )
