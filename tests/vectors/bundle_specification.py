"""Makes `specification.json`: the shapes of answers and events, from the specification's data.

    python -m tests.vectors.bundle_specification FOLDER

FOLDER is `data/` of the Matrix specification (v1.19, Apache-2.0). Each `$ref` to another file
becomes one to `$defs`, and what only people read is left out.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

TARGET: Final = Path(__file__).parent / "specification.json"
NOTICE: Final = (
    "Shapes taken from the data of the Matrix specification v1.19, "
    "Copyright The Matrix.org Foundation C.I.C. and contributors, Apache License 2.0. "
    "Made by bundle_specification.py."
)

_FOR_PEOPLE: Final = {"$schema", "default", "deprecated", "description", "example", "examples"} | {
    "externalDocs",
    "readOnly",
    "title",
}
_SCHEMAS_BY_NAME: Final = {"properties", "patternProperties"}


class Bundle:
    """The schemas found so far; `defs` are those that others refer to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.defs: dict[str, Any] = {}
        self._files: dict[Path, Any] = {}

    def operations(self) -> dict[str, dict[str, Any]]:
        """By operation and status the schema of a JSON answer; None where there is none."""
        found: dict[str, dict[str, Any]] = {}
        for file in sorted((self.folder / "api/client-server").glob("*.yaml")):
            for methods in self._read(file)["paths"].values():
                for operation in methods.values():
                    found[operation["operationId"]] = {
                        str(status): self._response(response, file)
                        for status, response in operation["responses"].items()
                    }
        return dict(sorted(found.items()))

    def _response(self, response: Any, file: Path) -> Any:
        if "$ref" in response:
            target, file = self._resolve(response["$ref"], file)
            return self._response(target, file)
        content = response.get("content", {}).get("application/json")
        return self._schema(content["schema"], file) if content and "schema" in content else None

    def events(self) -> dict[str, Any]:
        """By event type, for messages with the message type behind a `$`."""
        folder = self.folder / "event-schemas/schema"
        return {
            file.stem: self._schema(self._read(file), file) for file in sorted(folder.glob("m.*"))
        }

    def _schema(self, schema: Any, file: Path) -> Any:
        if isinstance(schema, list):
            return [self._schema(one, file) for one in schema]
        if not isinstance(schema, dict):
            return schema
        kept: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _FOR_PEOPLE or key.startswith("x-"):
                continue
            if key == "$ref":
                kept[key] = self._define(value, file)
            elif key in _SCHEMAS_BY_NAME:
                kept[key] = {name: self._schema(one, file) for name, one in value.items()}
            elif key == "oneOf":
                # Where it says "any object, or an event", an event is both.
                kept["anyOf"] = self._schema(value, file)
            else:
                kept[key] = self._schema(value, file)
        return kept

    def _define(self, ref: str, file: Path) -> str:
        """The reference within the bundle, whose target is in `defs` from now on."""
        target, home = self._resolve(ref, file)
        fragment = ref.partition("#")[2].replace("/", ".")
        name = str(home.relative_to(self.folder).with_suffix("")).replace("/", ".") + fragment
        if name not in self.defs:
            self.defs[name] = {}  # it may refer to itself
            self.defs[name] = self._schema(target, home)
        return f"#/$defs/{name}"

    def _resolve(self, ref: str, file: Path) -> tuple[Any, Path]:
        path, _, fragment = ref.partition("#")
        home = (file.parent / path).resolve() if path else file
        target = self._read(home)
        for step in fragment.split("/")[1:]:
            target = target[step]
        return target, home

    def _read(self, file: Path) -> Any:
        if file not in self._files:
            self._files[file] = yaml.safe_load(file.read_text(encoding="utf-8"))
        return self._files[file]


def main(folder: str) -> None:
    bundle = Bundle(Path(folder).resolve())
    operations, events = bundle.operations(), bundle.events()
    lines = [
        f'"notice": {json.dumps(NOTICE)}',
        *(
            f'"{name}": {{\n{_one_a_line(part)}\n}}'
            for name, part in (
                ("operations", operations),
                ("events", events),
                ("$defs", bundle.defs),
            )
        ),
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _one_a_line(part: dict[str, Any]) -> str:
    return ",\n".join(
        f"{json.dumps(name)}: {json.dumps(part[name], ensure_ascii=False, separators=(',', ':'))}"
        for name in sorted(part)
    )


if __name__ == "__main__":
    main(sys.argv[1])
