"""What every other test of this folder relies on: a server that starts, ends, and starts again."""

from pathlib import Path

import aiohttp
import pytest

from tests.server_process import ServerDidNotStart, ServerProcess, running_server

PASSWORD = "correct horse battery staple"


async def signed_up(session: aiohttp.ClientSession, url: str, name: str) -> dict[str, str]:
    """A new person's `Authorization` header."""
    body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    async with session.post(f"{url}/_matrix/client/v3/register", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


@pytest.mark.parametrize("crash", [False, True], ids=["after a stop", "after a crash"])
async def test_a_session_and_a_file_outlive_the_process(server: ServerProcess, crash: bool) -> None:
    async with aiohttp.ClientSession() as session:
        ada = await signed_up(session, server.url, "ada")
        upload = f"{server.url}/_matrix/media/v3/upload"
        async with session.post(upload, data=b"a picture", headers=ada) as answer:
            uri = (await answer.json())["content_uri"].removeprefix("mxc://")
        first_pid = server.pid

        if crash:
            server.kill()
        else:
            server.stop()
        server.start_again()

        assert server.pid != first_pid
        download = f"{server.url}/_matrix/client/v1/media/download/{uri}"
        async with session.get(download, headers=ada) as answer:
            assert await answer.read() == b"a picture"


async def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    """The folder's lock is the embedded engine's."""
    with running_server(tmp_path / "data") as first:
        second = ServerProcess(first.data)

        with pytest.raises(ServerDidNotStart, match="in use"):
            second.start()


async def test_no_password_and_no_token_is_written_to_the_log(server: ServerProcess) -> None:
    async with aiohttp.ClientSession() as session:
        ada = await signed_up(session, server.url, "ada")
        async with session.get(
            f"{server.url}/_matrix/client/v3/account/whoami",
            params={"access_token": ada["Authorization"].removeprefix("Bearer ")},
        ) as answer:
            assert answer.status == 200
        async with session.get(
            f"{server.url}/_matrix/client/v3/account/whoami",
            headers={"Authorization": "Bearer not-a-token-of-ours"},
        ) as answer:
            assert answer.status == 401
    server.stop()

    log = server.log_text()
    assert "ready" in log
    for secret in (PASSWORD, ada["Authorization"].removeprefix("Bearer "), "not-a-token-of-ours"):
        assert secret not in log
