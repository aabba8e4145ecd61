"""The repository read as a whole: what must agree with the specification, and with itself.

`vectors/endpoints.json` is the specification's own table (v1.19) of methods, paths, authentication
and rate limits, one row for each route.
"""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from posthouse.app.routes import handlers
from posthouse.http import Auth, Handler, Route, routes_of
from posthouse.matrix import ErrCode

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "posthouse"

AUTH: Final = {"required": Auth.REQUIRED, "optional": Auth.OPTIONAL, "none": Auth.NONE}

AUTH_DIFFERS: Final = {
    "getContent": "without a token it answers as if frozen, with one as the authenticated route",
    "getContentOverrideName": "the same",
    "getContentThumbnail": "the same",
}
"""Where another authentication than the specification's is served, and why."""


class Specified(NamedTuple):
    """A route of the specification."""

    method: str
    path: str
    operation: str
    auth: str
    rate_limited: bool
    deprecated: bool

    @property
    def key(self) -> str:
        return f"{self.method} {nameless(self.path)}"


def nameless(path: str) -> str:
    """A path template without the names of its parameters, which the code spells its own way."""
    return re.sub(r"\{[^}]*\}", "{}", path)


@cache
def specified() -> dict[str, Specified]:
    rows = json.loads((ROOT / "tests" / "vectors" / "endpoints.json").read_text())
    return {row.key: row for row in (Specified(**fields) for fields in rows)}


@cache
def served() -> dict[str, tuple[Route, Handler]]:
    return {
        f"{route.method} {nameless(route.path)}": (route, handler)
        for handler in handlers()
        for route in routes_of(handler)
    }


@cache
def unserved() -> dict[str, str]:
    """The reason for each route of the specification that is not served."""
    listed = tomllib.loads((ROOT / "docs/reference/unserved-endpoints.toml").read_text())
    return {
        nameless(route): group["reason"]
        for group in listed["unserved"]
        for route in group["routes"]
    }


def served_by_the_specification() -> Iterator[tuple[Specified, Route, Handler]]:
    for key, row in specified().items():
        if key in served():
            route, handler = served()[key]
            yield row, route, handler


def test_every_endpoint_of_the_specification_is_served_or_its_absence_explained() -> None:
    rest = specified().keys() - served().keys()

    assert sorted(rest - unserved().keys()) == [], "not served, and not listed as unserved"
    assert sorted(unserved().keys() - rest) == [], "listed as unserved, but served or unknown"
    assert all(reason.endswith(".") for reason in unserved().values())


def test_each_asks_for_an_access_token_as_the_specification_says() -> None:
    wrong = [
        f"{row.key}: {row.auth}, served with {route.auth.value}"
        for row, route, _ in served_by_the_specification()
        if AUTH[row.auth] is not route.auth and row.operation not in AUTH_DIFFERS
    ]

    assert wrong == []


def test_each_that_the_specification_limits_is_limited() -> None:
    unlimited = [
        row.key
        for row, route, _ in served_by_the_specification()
        if row.rate_limited and route.limit is None
    ]

    assert unlimited == []


def test_module_and_handler_have_the_name_that_the_specification_gives() -> None:
    """`setProfileField` is in `set_profile_field.py`, which has the function of that name."""
    wrong = []
    for row, _, handler in served_by_the_specification():
        module = handler.__module__.rpartition(".")[2]
        if module != handler.__name__ or plain(module) != plain(row.operation):
            wrong.append(f"{row.operation}: {handler.__module__}.{handler.__name__}")

    assert wrong == []


def plain(name: str) -> str:
    return name.replace("_", "").lower()


def test_each_endpoints_docstring_names_its_route_and_links_the_specification() -> None:
    wrong = []
    for row, _, handler in served_by_the_specification():
        module = source_of(handler)
        documentation = ast.get_docstring(ast.parse(module.read_text())) or ""
        if row.key not in {nameless(line) for line in documentation.splitlines()}:
            wrong.append(f"{module.relative_to(ROOT)}: no line {row.method} {row.path}")
        if "https://spec.matrix.org/v1.19/client-server-api/#" not in documentation:
            wrong.append(f"{module.relative_to(ROOT)}: links no section of the specification")

    assert wrong == []


def source_of(handler: Handler) -> Path:
    return ROOT / "src" / Path(*handler.__module__.split(".")).with_suffix(".py")


OF_FEDERATION: Final = frozenset(
    {
        "GET /.well-known/matrix/server",
        "GET /_matrix/federation/v1/openid/userinfo",
        "GET /_matrix/federation/v1/version",
    }
)
"""What of the server-server API is served: services ask whose OpenID token they hold."""


def test_what_is_beyond_the_specification_says_so_in_its_path() -> None:
    """An older spelling of a specified route, or one under an unstable name; nothing else."""
    beyond = [
        f"{route.method} {route.path}"
        for key, (route, _) in served().items()
        if key not in specified().keys() | OF_FEDERATION and not is_known_spelling(route)
    ]

    assert beyond == []


def is_known_spelling(route: Route) -> bool:
    if "/unstable/" in route.path:
        return True
    newer = re.sub(r"^/_matrix/(client|media)/(r0|v1|v3)/", r"/_matrix/\1/v3/", route.path)
    if f"{route.method} {nameless(newer)}" in specified():
        return True
    # `PUT …/state/{eventType}` without a key means the empty one; the specification says it in prose.
    return "/state/{" in newer and f"{route.method} {nameless(newer)}/{{}}" in specified()


def test_no_file_names_where_packages_come_from() -> None:
    hosts = re.compile(
        r"(?i)pypi\.org|pythonhosted\.org|npmjs\.(org|com)|crates\.io|proxy\.golang\.org"
        r"|(extra-)?index-url|find-links|deb\.debian\.org"
    )
    places = [SOURCE, ROOT / "requirements", ROOT / "docs", ROOT / ".ci"]
    files = [file for place in places for file in place.rglob("*") if file.is_file()]
    files += [ROOT / "pyproject.toml", ROOT / "README.md"]
    naming = [
        str(file.relative_to(ROOT))
        for file in files
        if file.suffix in {".py", ".md", ".toml", ".txt", ".in", ".html", ".sql", ""}
        and hosts.search(file.read_text(errors="replace"))
    ]

    assert naming == []


def test_every_locked_package_carries_its_hashes() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        entries = re.split(r"\n(?=\S)", lock.read_text().strip())
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_servers_versions_are_those_that_the_tests_ran_with() -> None:
    def pinned(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))

    assert pinned("server.txt") <= pinned("dev.txt")
    assert pinned("build.txt") <= pinned("dev.txt")


def test_every_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    named = {
        re.split(r"[\[><=~; ]", line)[0]
        for file in (ROOT / "requirements").glob("*.in")
        for line in file.read_text().splitlines()
        if line and line[0].isalnum()
    }

    assert [name for name in sorted(named) if not re.search(rf"\b{name}\b", page)] == []


def test_every_errcode_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "errcodes.md").read_text()
    explained = re.findall(r"^\| `(M_[A-Z0-9_]+)` \|", page, re.MULTILINE)

    assert sorted(explained) == sorted(code.value for code in ErrCode)
    assert explained == sorted(explained)


def test_another_domain_is_entered_by_its_front_door_only() -> None:
    """`app`, which puts the server together, may also take endpoints and settings."""
    inside = []
    for file in SOURCE.glob("*/**/*.py"):
        domain = file.relative_to(SOURCE).parts[0]
        allowed = {"endpoints", "settings"} if domain == "app" else set()
        for module in imports_of(file):
            parts = module.split(".")
            if parts[0] != "posthouse" or len(parts) < 3 or parts[1] in {domain, "std"}:
                continue
            if parts[2] not in allowed:
                inside.append(f"{file.relative_to(ROOT)}: {module}")

    assert inside == []


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("place", ["src", "tests"])
def test_every_module_and_package_opens_with_what_it_is(place: str) -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in (ROOT / place).rglob("*.py")
        if file.stat().st_size and not ast.get_docstring(ast.parse(file.read_text()))
    ]

    assert silent == []
