"""Every service made once, with what it depends on; tasks started, and closed in turn.

The order is that of the layers: what stands below is made first and closed last.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from posthouse.accounts import Accounts
from posthouse.app.ground import Ground
from posthouse.devices import (
    CrossSigning,
    DehydratedDevices,
    Devices,
    ForgetSignedOut,
    KeyBackups,
    SharedRooms,
    ToDevice,
)
from posthouse.directory import Directory
from posthouse.matrix import ServerName
from posthouse.media import Media
from posthouse.push import ForgetPushers, Pushers
from posthouse.reports import Reports
from posthouse.rooms import (
    Departures,
    DeviceNotes,
    Hierarchy,
    MembershipProjector,
    Previews,
    ProfileCopies,
    Reading,
    RoomListing,
    RoomMemory,
    RoomNames,
    Rooms,
    RoomViews,
    TransactionIndex,
    TypingNotices,
    Upgrades,
)
from posthouse.streams import ConsumerLoop, RoomStreams
from posthouse.sync import Assembler, DeviceListReader, KeyChanges, Sync


@dataclass(frozen=True, slots=True)
class Services:
    """What endpoints are given, by type."""

    accounts: Accounts
    devices: Devices
    to_device: ToDevice
    cross_signing: CrossSigning
    backups: KeyBackups
    dehydrated: DehydratedDevices
    pushers: Pushers
    media: Media
    memory: RoomMemory
    room_streams: RoomStreams
    directory: Directory
    listing: RoomListing
    rooms: Rooms
    names: RoomNames
    previews: Previews
    hierarchy: Hierarchy
    upgrades: Upgrades
    reports: Reports
    views: RoomViews
    reading: Reading
    typing: TypingNotices
    sync: Sync
    key_changes: KeyChanges
    consumers: Sequence[ConsumerLoop]
    projector: MembershipProjector

    async def settled(self) -> None:
        """Returns when everything that was committed has been consumed."""
        await self.projector.wait_until_even()
        for consumer in self.consumers:
            await consumer.wait_until_idle()
        await self.listing.wait_until_idle()

    def by_type(self) -> dict[type, object]:
        """As the endpoints' parameters name them."""
        return {
            Accounts: self.accounts,
            Devices: self.devices,
            ToDevice: self.to_device,
            CrossSigning: self.cross_signing,
            KeyBackups: self.backups,
            DehydratedDevices: self.dehydrated,
            Pushers: self.pushers,
            Media: self.media,
            RoomMemory: self.memory,
            Directory: self.directory,
            Rooms: self.rooms,
            RoomNames: self.names,
            Previews: self.previews,
            Hierarchy: self.hierarchy,
            Upgrades: self.upgrades,
            Reports: self.reports,
            RoomViews: self.views,
            Reading: self.reading,
            TypingNotices: self.typing,
            Sync: self.sync,
            SharedRooms: self.key_changes,
        }


@asynccontextmanager
async def compose(here: Ground) -> AsyncIterator[Services]:
    """Runs the domains above the accounts; at the end, what was accepted is committed.

    The consumers have caught up with their streams when it yields: what they follow may be told.
    """
    server_name = ServerName(here.facts.server_name)
    memory = RoomMemory(here.database, here.facts.rooms, here.clock)
    room_streams = RoomStreams(here.database, here.facts.rooms, memory, here.ownership)
    await room_streams.take_over()
    await memory.start({stream: room_streams.head(stream) for stream in here.facts.rooms.ids})
    projector = MembershipProjector(memory, room_streams, here.user_streams)
    reading = Reading(memory)
    typing = TypingNotices(here.clock)
    devices = Devices(here.user_streams, here.accounts)
    to_device = ToDevice(here.user_streams, here.accounts, here.clock, here.settings.devices)
    backups = KeyBackups(here.user_streams, here.accounts, here.settings.devices)
    dehydrated = DehydratedDevices(here.user_streams, here.accounts, to_device)
    pushers = Pushers(here.user_streams, here.accounts, here.settings.push)
    transaction_index = TransactionIndex(memory, room_streams, here.clock)
    directory = Directory(here.database, server_name, here.clock)
    listing = RoomListing(memory, reading, room_streams, directory)
    rooms = Rooms(
        memory=memory,
        room_streams=room_streams,
        user_streams=here.user_streams,
        projector=projector,
        transaction_index=transaction_index,
        directory=directory,
        listing=listing,
        accounts=here.accounts,
        settings=here.settings.rooms,
        server_name=server_name,
        clock=here.clock,
        random=here.random,
    )
    views = RoomViews(
        facts=here.facts,
        memory=memory,
        reading=reading,
        room_streams=room_streams,
        user_streams=here.user_streams,
        clock=here.clock,
    )
    previews = Previews(memory, reading, room_streams, here.user_streams)
    device_lists = DeviceListReader(memory, reading)
    sync = Sync(
        facts=here.facts,
        epoch=int.from_bytes(here.random.token_bytes(4), "big"),
        memory=memory,
        room_streams=room_streams,
        user_streams=here.user_streams,
        projector=projector,
        typing=typing,
        reading=reading,
        accounts=here.accounts,
        devices=devices,
        to_device=to_device,
        assembler=Assembler(
            memory=memory,
            reading=reading,
            typing=typing,
            accounts=here.accounts,
            devices=devices,
            to_device=to_device,
            device_lists=device_lists,
            user_streams=here.user_streams,
            rooms=here.facts.rooms,
        ),
        clock=here.clock,
    )
    consumers = [
        ConsumerLoop(here.user_streams, ForgetSignedOut(devices, backups, dehydrated)),
        ConsumerLoop(here.user_streams, ForgetPushers(pushers)),
        ConsumerLoop(here.user_streams, DeviceNotes(memory, room_streams, here.user_streams)),
        ConsumerLoop(here.user_streams, ProfileCopies(rooms, here.user_streams)),
        ConsumerLoop(here.user_streams, Departures(rooms, here.user_streams)),
    ]
    await projector.start()
    await transaction_index.start()
    for consumer in consumers:
        await consumer.start()
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(here.media.run()),
            group.create_task(to_device.run()),
            group.create_task(backups.run()),
            group.create_task(transaction_index.run()),
            group.create_task(listing.run()),
        ]
        group.create_task(room_streams.run())
        group.create_task(projector.run())
        for consumer in consumers:
            group.create_task(consumer.run())
        group.create_task(sync.run())
        await projector.wait_until_even()
        try:
            yield Services(
                accounts=here.accounts,
                devices=devices,
                to_device=to_device,
                cross_signing=CrossSigning(here.user_streams, here.accounts),
                backups=backups,
                dehydrated=dehydrated,
                pushers=pushers,
                media=here.media,
                memory=memory,
                room_streams=room_streams,
                directory=directory,
                listing=listing,
                rooms=rooms,
                names=RoomNames(
                    rooms=rooms,
                    memory=memory,
                    views=views,
                    directory=directory,
                    listing=listing,
                ),
                previews=previews,
                hierarchy=Hierarchy(previews),
                upgrades=Upgrades(
                    rooms=rooms,
                    memory=memory,
                    reading=reading,
                    streams=room_streams,
                    accounts=here.accounts,
                    listing=listing,
                ),
                reports=Reports(
                    database=here.database,
                    accounts=here.accounts,
                    memory=memory,
                    views=views,
                    clock=here.clock,
                ),
                views=views,
                reading=reading,
                typing=typing,
                sync=sync,
                consumers=consumers,
                projector=projector,
                key_changes=KeyChanges(
                    facts=here.facts,
                    memory=memory,
                    reading=reading,
                    device_lists=device_lists,
                    devices=devices,
                    user_streams=here.user_streams,
                ),
            )
        finally:
            sync.close()
            for consumer in consumers:
                consumer.close()
            projector.close()
            room_streams.close()
            for task in background:
                task.cancel()
