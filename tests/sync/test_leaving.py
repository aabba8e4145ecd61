"""What a sync tells of rooms that were left."""

from tests.sync.polls import knows, said
from tests.world import V3, World


async def test_a_room_that_was_forgotten_on_one_device_is_left_on_the_others(world: World) -> None:
    """Whoever still shows the room learns that it was left, and nothing of what was said."""
    ada, boris = await world.person("ada"), await world.person("boris")
    laptop = await world.another_device(boris)
    room = await world.room(ada, boris)
    await laptop.syncs()
    await ada.phone.says(room, "hello")

    await boris.phone.leaves(room)
    await boris.phone.ask("POST", f"{V3}/rooms/{room}/forget", {})

    answers = [await laptop.syncs(), await laptop.syncs()]
    assert [room in a.get("rooms", {}).get("leave", {}) for a in answers] == [True, False]
    own = knows(answers, room, "m.room.member", boris.user_id)
    assert own is not None
    assert own["membership"] == "leave"
    assert said(answers, room) == []


async def test_a_forgotten_room_comes_back_with_an_invite(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, name="Post")
    await boris.phone.syncs()
    await boris.phone.leaves(room)
    await boris.phone.ask("POST", f"{V3}/rooms/{room}/forget", {})
    await boris.phone.syncs()

    await ada.phone.invites(room, boris.user_id)
    invited = await boris.phone.syncs()
    await boris.phone.joins(room)
    joined = await boris.phone.syncs()

    assert room in invited["rooms"]["invite"]
    assert knows([joined], room, "m.room.name") == {"name": "Post"}
