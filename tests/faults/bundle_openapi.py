"""Makes `vectors/client-server-openapi.json` of the specification's data: what may be asked, inlined.

python -m tests.faults.bundle_openapi ../shared/matrix-spec/data/api/client-server

The data is the Matrix specification's (v1.19, Apache-2.0). Kept is what a request is made of: paths,
parameters and bodies; prose, examples and responses are left out.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

_PROSE: Final = ("description", "summary", "tags", "example", "examples", "externalDocs", "title")
_METHODS: Final = ("get", "put", "post", "delete", "patch", "options", "head")


class Bundle:
    """One folder of YAML files, references resolved in place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, Any] = {}

    def document(self) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for file in sorted(self._folder.glob("*.yaml")):
            data = self._load(file)
            base = data["servers"][0]["variables"]["basePath"]["default"]
            for path, item in data["paths"].items():
                for method, operation in item.items():
                    if method in _METHODS:
                        kept = self._operation(operation, file, item.get("parameters", []))
                        paths.setdefault(base + path, {})[method] = kept
        return {
            "openapi": "3.1.0",
            "info": {"title": "Matrix client-server API", "version": "1.19"},
            "paths": dict(sorted(paths.items())),
        }

    def _operation(self, operation: Any, file: Path, shared: list[Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {"operationId": operation["operationId"]}
        parameters = [*shared, *operation.get("parameters", [])]
        if parameters:
            kept["parameters"] = [self._inlined(p, file, ()) for p in parameters]
        if "requestBody" in operation:
            kept["requestBody"] = self._inlined(operation["requestBody"], file, ())
        return kept | {"responses": {"200": {"description": ""}}}

    def _inlined(self, node: Any, file: Path, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [self._inlined(one, file, inside) for one in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            place, _, pointer = node["$ref"].partition("#")
            target = (file.parent / place).resolve() if place else file
            name = f"{target}#{pointer}"
            if name in inside:
                return {}  # A schema inside itself: anything may stand there.
            return self._inlined(self._at(target, pointer), target, (*inside, name))
        return {
            key: self._properties(value, file, inside)
            if key == "properties"
            else self._inlined(value, file, inside)
            for key, value in node.items()
            if key not in _PROSE and not str(key).startswith("x-")
        }

    def _properties(self, node: dict[str, Any], file: Path, inside: tuple[str, ...]) -> Any:
        """Keys here are names of fields, none of them prose."""
        return {key: self._inlined(value, file, inside) for key, value in node.items()}

    def _at(self, file: Path, pointer: str) -> Any:
        node = self._load(file)
        for step in pointer.strip("/").split("/") if pointer.strip("/") else []:
            node = node[int(step) if isinstance(node, list) else step]
        return node

    def _load(self, file: Path) -> Any:
        file = file.resolve()
        if file not in self._files:
            self._files[file] = yaml.safe_load(file.read_text())
        return self._files[file]


if __name__ == "__main__":
    made = Bundle(Path(sys.argv[1])).document()
    target = Path(__file__).resolve().parent.parent / "vectors" / "client-server-openapi.json"
    target.write_text(json.dumps(made, separators=(",", ":"), ensure_ascii=False) + "\n")
