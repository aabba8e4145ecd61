"""A server with a name of its own is joined by invitation: a token that the operator makes."""

import aiohttp

from tests.databases import Place
from tests.server_process import ServerProcess

PASSWORD = "correct horse battery"
REGISTER = "/_matrix/client/v3/register"


async def test_who_has_the_operators_token_signs_up_as_element_does(place: Place) -> None:
    """Flows first; then the form, a wrong token and the right one in one session."""
    url = place.settings.url if place.engine == "postgresql" else None
    server = ServerProcess(
        place.data, storage_url=url, settings={"server.name": "posthouse.example"}
    )
    del server.settings["registration.mode"]
    token = server.runs("admin", "create-token", "--uses", "1").strip()
    server.start()

    try:
        async with aiohttp.ClientSession(server.url) as client:
            await _sign_up(client, token)
    finally:
        server.close()


async def _sign_up(client: aiohttp.ClientSession, token: str) -> None:
    status, answer = await _post(client, {})
    assert (status, answer["flows"]) == (401, [{"stages": ["m.login.registration_token"]}])
    form = {
        "username": "ada",
        "password": PASSWORD,
        "initial_device_display_name": "Element on a table",
    }
    status, answer = await _post(client, form)
    assert status == 401
    assert "errcode" not in answer
    assert await _is_valid(client, token)
    proof = {"type": "m.login.registration_token", "session": answer["session"]}

    status, refused = await _post(client, {**form, "auth": {**proof, "token": "wrong"}})
    assert (status, refused["errcode"]) == (401, "M_UNAUTHORIZED")
    assert refused["session"]
    status, refused = await _post(client, {**form, "auth": {"type": "m.login.dummy"}})
    assert status == 401
    status, account = await _post(client, {**form, "auth": {**proof, "token": token}})
    assert (status, account["user_id"]) == (200, "@ada:posthouse.example")
    assert account["access_token"]
    assert not await _is_valid(client, token), "it was good for one"


async def _post(client: aiohttp.ClientSession, body: object) -> tuple[int, dict[str, object]]:
    async with client.post(REGISTER, json=body) as answer:
        return answer.status, await answer.json()


async def _is_valid(client: aiohttp.ClientSession, token: str) -> bool:
    path = "/_matrix/client/v1/register/m.login.registration_token/validity"
    async with client.get(path, params={"token": token}) as answer:
        return bool((await answer.json())["valid"])
