"""The command `posthouse`.

A command reads its options into `Settings` and hands them on; what it imports for its work it
imports when it runs, so that help is instant.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from posthouse import __version__
from posthouse.app.config import ConfigRefused, Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}


def main() -> None:
    """The entry point of the console script."""
    cli(prog_name="posthouse")


@click.group(context_settings=_HELP)
@click.version_option(__version__, message="posthouse %(version)s")
def cli() -> None:
    """Posthouse: the messenger that a country, a city or an organisation runs itself.

    \b
    posthouse serve                            serve on http://127.0.0.1:8008, data in ./data
    posthouse serve --config posthouse.toml    with a configuration
    posthouse admin create-user ada            make an account (the server must not be running
                                               on an embedded database)
    """


def configured(command: F) -> F:
    """Gives a command the options that settings come from."""
    for option in (
        click.option(
            "--set",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="A setting that goes before the file's, as often as needed.",
        ),
        click.option(
            "--data",
            metavar="DIR",
            help="The data folder: the setting server.data.  [default: data]",
        ),
        click.option(
            "--config",
            "file",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="POSTHOUSE_CONFIG",
            show_envvar=True,
            help="The configuration, TOML.",
        ),
    ):
        command = option(command)
    return command


@cli.command()
@configured
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where to listen: the setting http.listen.  [default: 127.0.0.1:8008]",
)
def serve(
    file: Path | None, data: str | None, overrides: tuple[str, ...], listen: str | None
) -> None:
    """Serves until SIGTERM or Ctrl-C.

    \b
    posthouse serve --listen 127.0.0.1:9000 --data /srv/posthouse
    posthouse serve --set server.name=example.org --set registration.mode=token
    """
    listening = [f'http.listen=["{listen}"]'] if listen is not None else []
    settings = _settings(file, data, (*overrides, *listening))
    from posthouse.app import server

    _report_refusals(lambda: server.run(settings))


@cli.command(short_help="Verifies the stored data.")
@configured
def check(file: Path | None, data: str | None, overrides: tuple[str, ...]) -> None:
    """Verifies the invariants of the stored data; says what is wrong and exits 1 if anything is.

    It changes nothing. An embedded database must not be in use meanwhile.
    """
    settings = _settings(file, data, overrides)
    from posthouse.app import operations

    problems = _report_refusals(lambda: operations.check(settings))
    for problem in problems:
        click.echo(problem)
    if problems:
        click.echo(f"{len(problems)} problems.")
        sys.exit(1)
    click.echo("The data is sound.")


@cli.group()
def admin() -> None:
    """What an operator does by hand."""


@admin.command("create-user")
@configured
@click.argument("localpart")
@click.option("--admin", "is_admin", is_flag=True, help="May use the administration endpoints.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def create_user(
    file: Path | None,
    data: str | None,
    overrides: tuple[str, ...],
    localpart: str,
    is_admin: bool,
    password_stdin: bool,
) -> None:
    """Makes the account @LOCALPART:server.name; asks for its password.

    \b
    posthouse admin create-user ada
    posthouse admin create-user olga --admin --password-stdin < password.txt
    """
    settings = _settings(file, data, overrides)
    password = _password(password_stdin)
    from posthouse.app import operations

    user_id = _report_refusals(
        lambda: operations.create_user(settings, localpart, password, is_admin=is_admin)
    )
    click.echo(f"Made {user_id}.")


@admin.command("reset-password")
@configured
@click.argument("user_id")
@click.option("--keep-devices", is_flag=True, help="Leave the person's devices signed in.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def reset_password(
    file: Path | None,
    data: str | None,
    overrides: tuple[str, ...],
    user_id: str,
    keep_devices: bool,
    password_stdin: bool,
) -> None:
    """Gives USER_ID (@ada:example.org) a new password and signs its devices out.

    The person's encrypted messages stay locked without one of their devices or their recovery key.
    """
    settings = _settings(file, data, overrides)
    password = _password(password_stdin)
    from posthouse.app import operations

    _report_refusals(
        lambda: operations.reset_password(settings, user_id, password, keep_devices=keep_devices)
    )
    click.echo(f"{user_id} has a new password.")


@admin.command("create-token")
@configured
@click.option("--uses", type=click.IntRange(min=1), help="How many may register with it.")
@click.option("--days", type=click.IntRange(min=1), default=7, help="How long it is good.")
def create_token(
    file: Path | None, data: str | None, overrides: tuple[str, ...], uses: int | None, days: int
) -> None:
    """Makes a registration token and prints it."""
    settings = _settings(file, data, overrides)
    from posthouse.app import operations

    click.echo(
        _report_refusals(
            lambda: operations.create_registration_token(
                settings, uses=uses, lifetime=timedelta(days=days)
            )
        )
    )


@admin.command()
@configured
@click.option("--days", type=click.IntRange(min=1), default=30, help="How far back.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="At most so many.")
def reports(
    file: Path | None, data: str | None, overrides: tuple[str, ...], days: int, limit: int
) -> None:
    """Lists what people reported, the newest first: when, who, what, and why, a line each.

    An embedded database must not be in use meanwhile.
    """
    settings = _settings(file, data, overrides)
    from posthouse.app import operations

    found = _report_refusals(
        lambda: operations.reports(settings, lifetime=timedelta(days=days), limit=limit)
    )
    for report in found:
        when = datetime.fromtimestamp(report.reported_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        what = " ".join(part for part in (report.room_id, report.event_id, report.user_id) if part)
        # Quoted: a reason is a stranger's text, and one line stays one line.
        reason = msgspec.json.encode(report.reason).decode()
        click.echo(f"{when} {report.reporter} reported {what}: {reason}")


@admin.command("new-generation")
@configured
def new_generation(file: Path | None, data: str | None, overrides: tuple[str, ...]) -> None:
    """After an older copy of the data was put back: makes every client synchronise anew.

    Without it, clients that saw more than the restored copy holds would miss what comes next.
    """
    settings = _settings(file, data, overrides)
    from posthouse.app import operations

    _report_refusals(lambda: operations.new_generation(settings))
    click.echo("The data is a new generation: clients synchronise anew.")


@admin.command()
@configured
@click.option("--rooms", type=click.IntRange(min=1), required=True, help="Streams for rooms.")
@click.option("--users", type=click.IntRange(min=1), required=True, help="Streams for people.")
def split(
    file: Path | None, data: str | None, overrides: tuple[str, ...], rooms: int, users: int
) -> None:
    """Splits the streams, so that more processes can write. They are never merged again.

    Counts are powers of two, and not smaller than what there is.

    \b
    posthouse admin split --rooms 4 --users 2
    """
    settings = _settings(file, data, overrides)
    from posthouse.app import operations

    _report_refusals(lambda: operations.split(settings, room_streams=rooms, user_streams=users))
    click.echo(f"There are {rooms} room streams and {users} user streams.")


@cli.group()
def config() -> None:
    """Settings: what there is, and what is in force."""


@config.command()
def reference() -> None:
    """Prints the reference page of all settings, Markdown."""
    from posthouse.app.config_reference import reference_page

    click.echo(reference_page(), nl=False)


@config.command()
@configured
def show(file: Path | None, data: str | None, overrides: tuple[str, ...]) -> None:
    """Prints the settings in force as TOML; passwords in addresses are left out."""
    from posthouse.app.config_reference import as_toml

    click.echo(as_toml(_settings(file, data, overrides)), nl=False)


def _settings(file: Path | None, data: str | None, overrides: tuple[str, ...]) -> Settings:
    folder = (f"server.data={msgspec.json.encode(data).decode()}",) if data is not None else ()
    try:
        return load_settings(file, (*overrides, *folder))
    except ConfigRefused as refused:
        raise _ConfigDeclined(_in_lines(refused)) from refused


def _in_lines(refused: ConfigRefused) -> str:
    return "\n".join(["The configuration is refused:", *(f"  {p}" for p in refused.problems)])


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    entered: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return entered


T = TypeVar("T")


def _report_refusals(work: Callable[[], T]) -> T:
    """Turns what the operator can mend into one sentence; a bug keeps its traceback."""
    from posthouse.app.identity import NameRefused
    from posthouse.matrix import Refusal
    from posthouse.std.faults import Unavailable
    from posthouse.storage import FolderInUse, SchemaRefused
    from posthouse.streams import CannotSplit

    try:
        return work()
    except Exception as error:
        cause = _only_cause(error)
        if isinstance(cause, Refusal):
            raise _Declined(cause.message) from error
        if isinstance(cause, ConfigRefused):
            raise _ConfigDeclined(_in_lines(cause)) from error
        if isinstance(
            cause,
            NameRefused | FolderInUse | SchemaRefused | CannotSplit | Unavailable | OSError,
        ):
            raise _Declined(str(cause)) from error
        raise


def _only_cause(error: Exception) -> Exception:
    """What a task group wraps, where that is one thing."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class _Declined(click.ClickException):
    """What can't be done, as a sentence on standard error."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class _ConfigDeclined(_Declined):
    exit_code = 2
