"""The command `posthouse`, as an operator types it."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from posthouse.app.cli import cli
from tests.server_process import ServerProcess, environment


def posthouse(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=given)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data")
    process.start()
    yield process
    process.close()


def fetch(url: str, method: str = "GET", body: Any = None, token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def run(process: ServerProcess, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        process.command(*words),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("serve",),
        ("check",),
        ("admin",),
        ("admin", "create-user"),
        ("admin", "reset-password"),
        ("admin", "create-token"),
        ("admin", "new-generation"),
        ("admin", "reports"),
        ("admin", "split"),
        ("config",),
        ("config", "reference"),
        ("config", "show"),
    ],
)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = posthouse(*words, "--help")

    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_a_setting_that_is_not_understood_is_named_and_nothing_starts() -> None:
    result = posthouse("serve", "--set", "server.nam=example.org")

    assert result.exit_code == 2
    assert "server.nam: there is no such setting, did you mean server.name?" in result.output


def test_short_options_are_settings(tmp_path: Path) -> None:
    result = posthouse("config", "show", "--data", "12", "--set", "server.data=elsewhere")

    assert 'data = "12"' in result.output


def test_a_server_tells_clients_what_it_is(server: ServerProcess) -> None:
    status, versions = fetch(f"{server.url}/_matrix/client/versions")
    assert status == 200
    assert versions["versions"] == [f"v1.{minor}" for minor in range(1, 13)]
    assert all(isinstance(value, bool) for value in versions["unstable_features"].values())

    status, known = fetch(f"{server.url}/.well-known/matrix/client")
    assert (status, known) == (200, {"m.homeserver": {"base_url": server.url}})

    status, refusal = fetch(f"{server.url}/.well-known/matrix/support")
    assert (status, refusal["errcode"]) == (404, "M_NOT_FOUND")

    status, refusal = fetch(f"{server.url}/_matrix/client/v3/capabilities")
    assert (status, refusal["errcode"]) == (401, "M_MISSING_TOKEN")


def test_someone_signed_in_learns_what_they_may_do(server: ServerProcess) -> None:
    registration = {"auth": {"type": "m.login.dummy"}, "username": "ada", "password": "long enough"}
    status, account = fetch(f"{server.url}/_matrix/client/v3/register", "POST", registration)
    assert status == 200, account

    status, answer = fetch(
        f"{server.url}/_matrix/client/v3/capabilities", token=account["access_token"]
    )

    assert status == 200
    versions = answer["capabilities"]["m.room_versions"]
    assert versions["default"] == "12"
    assert versions["available"] == {"10": "stable", "11": "stable", "12": "stable"}
    assert answer["capabilities"]["m.change_password"] == {"enabled": True}
    assert answer["capabilities"]["m.3pid_changes"] == {"enabled": False}


def test_a_server_that_is_told_to_stop_ends_in_good_order_and_starts_again(
    server: ServerProcess,
) -> None:
    server.stop()

    server.start_again()

    assert fetch(f"{server.url}/_matrix/client/versions")[0] == 200


def test_the_operator_makes_accounts_beside_a_stopped_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", settings={"server.name": "example.org"})

    made = run(server, "admin", "create-user", "olga", "--password-stdin", given="long enough\n")
    assert (made.returncode, made.stdout) == (0, "Made @olga:example.org.\n")

    again = run(server, "admin", "create-user", "olga", "--password-stdin", given="long enough\n")
    assert again.returncode == 1
    assert "Traceback" not in again.stderr

    reset = run(
        server,
        *("admin", "reset-password", "@olga:example.org", "--password-stdin"),
        given="another one\n",
    )
    assert reset.returncode == 0, reset.stderr

    token = run(server, "admin", "create-token", "--uses", "1").stdout.strip()
    assert len(token) >= 16

    checked = run(server, "check")
    assert (checked.returncode, checked.stdout) == (0, "The data is sound.\n")


def test_a_server_keeps_the_name_that_it_began_with(tmp_path: Path) -> None:
    first = ServerProcess(tmp_path / "data", settings={"server.name": "example.org"})
    assert run(first, "check").returncode == 0
    first.start()
    first.stop()

    renamed = run(
        ServerProcess(tmp_path / "data", settings={"server.name": "example.com"}), "serve"
    )

    assert renamed.returncode == 1
    assert "belongs to the server example.org" in renamed.stderr
    assert "example.com" in renamed.stderr


@pytest.mark.parametrize("address", ["9000", "localhost", "::1:9000", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused_in_words(tmp_path: Path, address: str) -> None:
    refused = run(ServerProcess(tmp_path / "data"), "serve", "--listen", address)

    assert refused.returncode == 2
    assert f"http.listen: {address!r}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_operator_splits_streams_and_clients_go_on(server: ServerProcess) -> None:
    registration = {"auth": {"type": "m.login.dummy"}, "username": "ada", "password": "long enough"}
    _, account = fetch(f"{server.url}/_matrix/client/v3/register", "POST", registration)
    server.stop()

    split = run(server, "admin", "split", "--rooms", "4", "--users", "2")
    assert (split.returncode, split.stdout) == (
        0,
        "There are 4 room streams and 2 user streams.\n",
    ), split.stderr
    joined = run(server, "admin", "split", "--rooms", "2", "--users", "2")
    assert (joined.returncode, joined.stdout) == (1, "")
    assert "Traceback" not in joined.stderr

    server.start_again()
    status, who = fetch(
        f"{server.url}/_matrix/client/v3/account/whoami", token=account["access_token"]
    )
    assert (status, who["user_id"]) == (200, "@ada:localhost")


def test_the_operator_reads_what_people_reported(server: ServerProcess) -> None:
    registration = {"auth": {"type": "m.login.dummy"}, "username": "ada", "password": "long enough"}
    _, account = fetch(f"{server.url}/_matrix/client/v3/register", "POST", registration)
    path = f"{server.url}/_matrix/client/v3/users/@ada:localhost/report"
    reason = {"reason": "two\nlines"}
    assert fetch(path, "POST", reason, account["access_token"])[0] == 200
    server.stop()

    told = run(server, "admin", "reports", "--days", "1")

    assert told.returncode == 0, told.stderr
    assert told.stdout.endswith('Z @ada:localhost reported @ada:localhost: "two\\nlines"\n')
    assert told.stdout.count("\n") == 1


def test_a_restored_copy_becomes_a_new_generation_and_is_sound(server: ServerProcess) -> None:
    server.kill()

    assert run(server, "admin", "new-generation").returncode == 0

    checked = run(server, "check")
    assert (checked.returncode, checked.stdout) == (0, "The data is sound.\n"), checked.stderr


def test_two_servers_never_share_a_data_folder(server: ServerProcess) -> None:
    second = run(server, "check")

    assert second.returncode == 1
    assert f"in use by process {server.pid}" in second.stderr
