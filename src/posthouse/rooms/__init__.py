"""Rooms: who is in them, what was said, who may see it.

Owns the log of each room, its state, the pointers to memberships, and typing. What others rely on:

(1) The room's log is the truth about memberships; a pointer is a copy (`projector`).
(2) A room's history is linear: its log order is its truth.
(3) Who may see what is `Sight`, and nobody else decides it.
(4) Rows may change, positions may not.
"""

from posthouse.rooms.checking import RoomCheck
from posthouse.rooms.creation import StateGiven, Wish
from posthouse.rooms.facts import RoomFacts, facts_of
from posthouse.rooms.followers import Departures, DeviceNotes, ProfileCopies
from posthouse.rooms.hierarchy import Hierarchy
from posthouse.rooms.invite_permission import blocks_invites
from posthouse.rooms.listing import RoomListing
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import DeviceNote, Entry, Event, Pointer, StateEvent
from posthouse.rooms.naming import RoomNames
from posthouse.rooms.previews import Look, Previews
from posthouse.rooms.projector import MembershipProjector
from posthouse.rooms.reading import Reading, Sight, Span, as_seen, names_its_room
from posthouse.rooms.room import Room
from posthouse.rooms.service import Rooms
from posthouse.rooms.settings import RoomSettings
from posthouse.rooms.transaction_index import TransactionIndex
from posthouse.rooms.typing import TypingNotices
from posthouse.rooms.upgrading import Upgrades
from posthouse.rooms.views import RoomViews
from posthouse.rooms.wire import render, render_stripped, room_field

__all__ = [
    "Departures",
    "DeviceNote",
    "DeviceNotes",
    "Entry",
    "Event",
    "Hierarchy",
    "Look",
    "MembershipProjector",
    "Pointer",
    "Previews",
    "ProfileCopies",
    "Reading",
    "Room",
    "RoomCheck",
    "RoomFacts",
    "RoomListing",
    "RoomMemory",
    "RoomNames",
    "RoomSettings",
    "RoomViews",
    "Rooms",
    "Sight",
    "Span",
    "StateEvent",
    "StateGiven",
    "TransactionIndex",
    "TypingNotices",
    "Upgrades",
    "Wish",
    "as_seen",
    "blocks_invites",
    "facts_of",
    "names_its_room",
    "render",
    "render_stripped",
    "room_field",
]
