"""All settings of one server: the domains' structs composed, read from TOML and `--set`.

A domain's struct lies beside its rules (`posthouse.<domain>.settings`); what belongs to no domain
is below. Whatever the file or the command line says that is not understood is refused with its
path: a setting that is misspelt must never be one that is silently not in force.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from posthouse.accounts import AccountSettings, RegistrationMode
from posthouse.app.setting_types import bare, field_types, in_words, struct_in
from posthouse.devices import DevicesSettings
from posthouse.http import HttpSettings, LimitSettings
from posthouse.matrix import InvalidParam, parse_server_name
from posthouse.media import MediaSettings
from posthouse.push import PushSettings
from posthouse.rooms import RoomSettings
from posthouse.storage import StorageSettings

LOCALHOST: Final = "localhost"


class ServerSettings(Struct, frozen=True):
    """Who this server is and where it answers."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=230,
            description="The domain in every user id (`@ada:NAME`). Recorded at the first start, "
            "never to be changed after it.",
        ),
    ] = LOCALHOST
    public_base_url: Annotated[
        str,
        Meta(
            description="The address that clients are told to use. Empty: `https://NAME`, and the "
            "address listened on while the name is `localhost`."
        ),
    ] = ""
    data: Annotated[
        str,
        Meta(min_length=1, description="The folder with the embedded database and uploaded files."),
    ] = "data"

    def __post_init__(self) -> None:
        try:
            parse_server_name(self.name)
        except InvalidParam as refusal:
            raise ValueError(f"name: {refusal.message}") from refusal
        if self.public_base_url and not self.public_base_url.startswith(("https://", "http://")):
            raise ValueError("public_base_url: it begins with https:// or http://")


class SupportContact(Struct, frozen=True):
    """Somebody to turn to about this server; one of `matrix_id` and `email_address` is needed."""

    role: Annotated[str, Meta(description="`m.role.admin`, `m.role.security` or a name of yours.")]
    matrix_id: Annotated[str, Meta(pattern="^@", description="Their user id.")] | None = None
    email_address: Annotated[str, Meta(pattern="@", description="Their address.")] | None = None

    def __post_init__(self) -> None:
        if self.matrix_id is None and self.email_address is None:
            raise ValueError("a contact needs a `matrix_id` or an `email_address`")


class SupportSettings(Struct, frozen=True):
    """Who helps people with this server; answered at `/.well-known/matrix/support`."""

    contacts: Annotated[
        tuple[SupportContact, ...],
        Meta(description="Tables with `role` and `matrix_id` or `email_address`."),
    ] = ()
    page: Annotated[str, Meta(description="The address of a help page of yours.")] = ""


class LogSettings(Struct, frozen=True):
    """What is written to standard error while the server runs."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="`auto` is `console` on a terminal and `json` elsewhere."),
    ] = "auto"


class RegistrationSettings(Struct, frozen=True):
    """Who may make an account."""

    mode: Annotated[
        RegistrationMode | None,
        Meta(
            description="`open` to everybody, with a `token` of the operator's, or `closed`. Unless "
            "set: `open` while the server's name is `localhost`, else `token`."
        ),
    ] = None


class StreamSettings(Struct, frozen=True):
    """How many logs with one writer each a new database begins with (docs/architecture.md §3).

    A database that exists keeps its own counts until `posthouse admin split`.
    """

    room_streams: Annotated[
        int, Meta(ge=1, le=4096, description="Streams for rooms, a power of two.")
    ] = 1
    user_streams: Annotated[
        int, Meta(ge=1, le=4096, description="Streams for people, a power of two.")
    ] = 1

    def __post_init__(self) -> None:
        for key in ("room_streams", "user_streams"):
            count = getattr(self, key)
            if count & (count - 1):
                raise ValueError(f"{key}: {count} is not a power of two")


class Settings(Struct, frozen=True, kw_only=True):
    """Everything an operator may set, a section each."""

    server: ServerSettings = ServerSettings()
    support: SupportSettings = SupportSettings()
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    storage: StorageSettings = StorageSettings()
    streams: StreamSettings = StreamSettings()
    registration: RegistrationSettings = RegistrationSettings()
    accounts: AccountSettings = AccountSettings()
    devices: DevicesSettings = DevicesSettings()
    media: MediaSettings = MediaSettings()
    rooms: RoomSettings = RoomSettings()
    push: PushSettings = PushSettings()

    @property
    def registration_mode(self) -> RegistrationMode:
        """The mode set, else the default for this server's name.

        A proxied server listens on loopback like one at home: only the name tells them apart.
        """
        if self.registration.mode is not None:
            return self.registration.mode
        is_local = self.server.name == LOCALHOST
        return RegistrationMode.OPEN if is_local else RegistrationMode.TOKEN


class ConfigRefused(Exception):
    """The configuration is not understood. `problems` are sentences that begin with a path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(file: Path | None, overrides: Iterable[str] = ()) -> Settings:
    """The settings of `file` with each `KEY=VALUE` of `overrides` laid over, the last one winning.

    Raises `ConfigRefused` with all unknown keys at once, else with the first wrong value.
    """
    tree = _read(file) if file is not None else {}
    for override in overrides:
        _lay_over(tree, override)
    problems = list(_unknown_keys(tree, Settings, ""))
    if problems:
        raise ConfigRefused(problems)
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigRefused([_in_words(str(error))]) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigRefused([f"{file}: can't be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigRefused([f"{file}: is not TOML: {error}"]) from error


def _lay_over(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ConfigRefused([f'"{override}": write KEY=VALUE, as in registration.mode=open'])
    here = tree
    for part in path[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise ConfigRefused([f"{key}: {part} is a value, it has no keys below it"])
    here[path[-1]] = _value_of(path, text.strip())


def _value_of(path: list[str], text: str) -> Any:
    """TOML where it is TOML, a bare word otherwise; a key that holds text keeps 123 as text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = parsed["value"]
    if len(parsed) > 1 or (_holds_text(path) and not isinstance(value, str)):
        return text
    return value


def _holds_text(path: list[str]) -> bool:
    return bare(_type_at(path)) is str


def _type_at(path: list[str]) -> Any:
    """The declared type of the setting at `path`; None where there is no such setting."""
    type_: Any = Settings
    for part in path:
        struct = struct_in(type_)
        type_ = field_types(struct).get(part) if struct is not None else None
    return type_


def _unknown_keys(tree: Mapping[str, Any], struct: type[Struct], path: str) -> Iterator[str]:
    known = field_types(struct)
    for key, value in tree.items():
        here = f"{path}{key}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f", did you mean {path}{near[0]}?" if near else ""
            yield f"{here}: there is no such setting{hint}"
            continue
        inner = struct_in(known[key])
        if inner is None:
            continue
        if isinstance(value, dict):
            yield from _unknown_keys(value, inner, f"{here}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _unknown_keys(item, inner, f"{here}[{index}].")


def _in_words(error: str) -> str:
    """msgspec's sentence with the path first, as it is written in the file, and what it takes."""
    what, _, path = error.rpartition(" - at `$")
    if not what:
        return error
    key = path.removesuffix("`").removeprefix(".")
    if not what.startswith(("Expected", "Invalid")):
        # A struct's own check: it says enough, and names the field itself where it means one.
        field, colon, rest = what.partition(": ")
        return f"{key}.{field}: {rest}" if colon and field.isidentifier() else f"{key}: {what}"
    type_ = _type_at(re.sub(r"\[[^]]*\]", "", key).split("."))
    takes = "" if type_ is None else f" ({in_words(type_)})"
    return f"{key}: {what[:1].lower()}{what[1:]}{takes}"
