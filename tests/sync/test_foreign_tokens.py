"""A token deletes messages only for the device that it was given to."""

from urllib.parse import quote

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
