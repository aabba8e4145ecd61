"""Cases as data, for what is evaluated here and elsewhere alike."""

import json
from pathlib import Path
from typing import Any


def vectors(name: str) -> Any:
    """The content of one file of cases."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
