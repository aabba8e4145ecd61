"""The directory: names that lead to rooms, and the list of rooms that anybody may look through.

Owns two global tables. It knows rooms by their ids alone: who may name or publish a room is said
by `rooms`, which asks this domain to write it down.

(1) An alias leads to one room at a time; two people who ask for the same one get it once.
(2) What the list tells of a room is a copy of the room's state at a position. An older copy never
    replaces a newer one.
(3) A room is in the list when it was published and its state, as copied, lets strangers know of it.
"""

from posthouse.directory.errors import AliasTaken, NoSuchAlias, OtherServersRooms, TooManyAliases
from posthouse.directory.model import Alias, Listing
from posthouse.directory.service import Directory

__all__ = [
    "Alias",
    "AliasTaken",
    "Directory",
    "Listing",
    "NoSuchAlias",
    "OtherServersRooms",
    "TooManyAliases",
]
