"""The garbage collector's settings of a long-running server."""

import gc
from typing import Final

_THRESHOLDS: Final = 50_000, 20, 100
"""Objects before a young collection, then how many of each before the next older one. What lives
per connection has no cycles (docs/architecture.md §4), so that rare collections lose nothing."""


def settle() -> None:
    """After start: what lives for good is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
