"""What clients ask of every server, and this one answers with "none", or with where it is."""

import msgspec
import pytest

import posthouse
from posthouse.app.config import ServerSettings, Settings
from posthouse.app.discovery import Discovery
from tests.world import V3, World


async def test_there_is_no_turn_server_and_no_bridge(world: World) -> None:
    ada = (await world.person("ada")).phone

    assert await ada.ask("GET", f"{V3}/voip/turnServer") == {}
    assert await ada.ask("GET", f"{V3}/thirdparty/protocols") == {}
    for path in (
        "protocol/irc",
        "location/irc?channel=x",
        "user/irc?nick=x",
        "location?alias=%23a:localhost",
        "user?userid=%40a:localhost",
    ):
        refused = await ada.refusal("GET", f"{V3}/thirdparty/{path}")
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND"), path
    for path in ("location", "user"):
        refused = await ada.refusal("GET", f"{V3}/thirdparty/{path}")
        assert (refused.status, refused.errcode) == (400, "M_MISSING_PARAM"), path


async def test_only_who_is_signed_in_is_told(world: World) -> None:
    for path in ("voip/turnServer", "thirdparty/protocols", "thirdparty/user?userid=x"):
        status, answer = await world.request("GET", f"{V3}/{path}")
        assert (status, answer["errcode"]) == (401, "M_MISSING_TOKEN"), path


async def test_of_federation_there_is_where_and_what_and_nothing_else(world: World) -> None:
    server = {"name": "Posthouse", "version": posthouse.__version__}
    where = world.address.removeprefix("http://")

    answer = await world.request("GET", "/_matrix/federation/v1/version")
    assert answer == (200, {"server": server})
    assert await world.request("GET", "/.well-known/matrix/server") == (200, {"m.server": where})
    for path in ("/_matrix/federation/v1/event/$a", "/_matrix/key/v2/server"):
        status, refused = await world.request("GET", path)
        assert (status, refused["errcode"]) == (404, "M_UNRECOGNIZED"), path


@pytest.mark.parametrize(
    ("server", "address"),
    [
        (ServerSettings(name="example.org"), "example.org:443"),
        (ServerSettings(name="example.org:8448"), "example.org:8448"),
        (ServerSettings("a.org", "https://matrix.a.org/"), "matrix.a.org:443"),
        (ServerSettings("a.org", "https://matrix.a.org:444"), "matrix.a.org:444"),
        (ServerSettings("a.org", "http://[::1]:8008"), "[::1]:8008"),
        (ServerSettings("a.org", "http://b.org"), "b.org:80"),
    ],
)
def test_other_services_are_told_a_name_with_a_port(server: ServerSettings, address: str) -> None:
    settings = msgspec.structs.replace(Settings(), server=server)

    assert Discovery(settings).server_address("127.0.0.1:1") == address
