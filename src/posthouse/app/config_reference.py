"""The settings as a page to read and as TOML to copy, both made from the structs."""

import enum
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from posthouse.app.config import Settings
from posthouse.app.setting_types import description_of, in_words, struct_in

_HEAD: Final = """\
# Configuration

Settings are TOML (`posthouse serve --config FILE`), a section for each part of the server;
`--set KEY=VALUE` goes before the file. A setting that does not exist, or takes something else, is
refused with its path. Durations are written `"PT24H"` or `"P7D"` (ISO 8601), sizes in bytes.
`posthouse config show` prints what is in force.

This page is made by `posthouse config reference`.
"""


def reference_page() -> str:
    """Every setting with what it takes, its default and what it is for, as Markdown."""
    return _HEAD + "".join(_section(Settings(), ""))


def as_toml(settings: Settings) -> str:
    """The settings as a file that reads back as the same, but for passwords in addresses."""
    return "\n".join(_tables(settings, "")).lstrip("\n") + "\n"


def _section(struct: Struct, path: str) -> Iterator[str]:
    """A struct's own settings as one table, then each struct in it."""
    fields = msgspec.structs.fields(struct)
    rows = [
        f"| `{path}{field.encode_name}` | {_cell(in_words(field.type))} "
        f"| {_default(getattr(struct, field.name))} | {_cell(description_of(field.type))} |\n"
        for field in fields
        if not isinstance(getattr(struct, field.name), Struct)
    ]
    if path:
        yield f"\n## {path[:-1]}\n\n{_first_sentence(type(struct))}\n"
    if rows:
        yield "\n| key | takes | default | what it is |\n|---|---|---|---|\n"
        yield from rows
    for field in fields:
        inner = getattr(struct, field.name)
        if isinstance(inner, Struct):
            yield from _section(inner, f"{path}{field.encode_name}.")
        elif (table := struct_in(field.type)) is not None:
            yield from _list_of_tables(table, f"{path}{field.encode_name}")


def _list_of_tables(struct: type[Struct], path: str) -> Iterator[str]:
    yield f"\nEach table of `{path}`:\n\n| key | takes | what it is |\n|---|---|---|\n"
    for field in msgspec.structs.fields(struct):
        yield (
            f"| `{field.encode_name}` | {_cell(in_words(field.type))} "
            f"| {_cell(description_of(field.type))} |\n"
        )


def _first_sentence(struct: type[Struct]) -> str:
    paragraph = (struct.__doc__ or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def _default(value: Any) -> str:
    return "none" if value is None else f"`{_literal(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _tables(struct: Struct, path: str) -> Iterator[str]:
    values = {
        field.encode_name: getattr(struct, field.name) for field in msgspec.structs.fields(struct)
    }
    plain = {k: v for k, v in values.items() if v is not None and not isinstance(v, Struct)}
    if plain:
        yield f"\n[{path[:-1]}]"
        yield from (f"{key} = {_literal(value)}" for key, value in plain.items())
    for key, value in values.items():
        if isinstance(value, Struct):
            yield from _tables(value, f"{path}{key}.")


def _literal(value: Any) -> str:
    """A value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case enum.Enum():
            return _literal(value.value)
        case timedelta():
            return f'"{_duration(value)}"'
        case str():
            return json.dumps(_without_password(value), ensure_ascii=False)
        case tuple() | list() | frozenset():
            return f"[{', '.join(map(_literal, value))}]"
        case Struct():
            pairs = msgspec.structs.asdict(value).items()
            return f"{{ {', '.join(f'{k} = {_literal(v)}' for k, v in pairs if v is not None)} }}"
    raise TypeError(f"settings have no {type(value).__name__}: say how TOML writes it")


def _duration(span: timedelta) -> str:
    """In the largest unit that needs no fraction, as a person would write it."""
    seconds = span.total_seconds()
    for unit, name, before in ((86400, "D", "P"), (3600, "H", "PT"), (60, "M", "PT")):
        if seconds and seconds % unit == 0 and (unit < 86400 or seconds >= 2 * unit):
            return f"{before}{int(seconds // unit)}{name}"
    return f"PT{seconds:g}S"


def _without_password(text: str) -> str:
    return re.sub(r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)", r"\1:[removed]", text)
