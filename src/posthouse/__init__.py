"""Posthouse: the messenger that a country, a city or an organisation runs itself.

One folder per domain, each importing only what stands below it (docs/architecture.md §7).
"""

__version__ = "0.1.0"
