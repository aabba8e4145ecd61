"""A token deletes messages only for the device that it was given to."""

from typing import Any
from urllib.parse import quote

import pytest

from posthouse.http import Caller
from posthouse.streams import SyncToken
from posthouse.sync import Sync
from tests.world import V3, World


async def _told_after_a_foreign_token(world: World) -> list[str]:
    """Ada's phone is sent a message, presents the laptop's newer token, then its own older one.
    Returns what that brings.
    """
    ada, boris = await world.person("ada"), await world.person("boris")
    laptop = await world.another_device(ada)
    await ada.phone.syncs()
    before = ada.phone.since
    messages = {ada.user_id: {ada.phone.device_id: {"body": "for the phone"}}}
    await boris.phone.ask("PUT", f"{V3}/sendToDevice/m.test/{quote('1')}", {"messages": messages})
    assert (await ada.phone.syncs())["to_device"]["events"]
    await laptop.syncs()

    await ada.phone.syncs(since=laptop.since)
    await world.services.settled()
    again = await ada.phone.syncs(since=before)

    events = again.get("to_device", {}).get("events", [])
    return [event["content"]["body"] for event in events]


async def test_another_devices_token_deletes_nothing(world: World) -> None:
    assert await _told_after_a_foreign_token(world) == ["for the phone"]


async def test_a_server_that_ignored_the_device_of_a_token_would_lose_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Sync._acknowledge

    def acknowledge(self: Sync, caller: Caller, since: SyncToken, exchange: Any) -> None:
        real(self, caller, self._start_token(caller, since), exchange)

    monkeypatch.setattr(Sync, "_acknowledge", acknowledge)

    assert await _told_after_a_foreign_token(world) == []
