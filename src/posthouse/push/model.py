"""A pusher, as a value."""

from typing import Any

from msgspec import Struct


class Pusher(Struct, frozen=True, omit_defaults=True):
    """An app that wants to be told of news; spelled as on the wire."""

    app_id: str
    pushkey: str
    kind: str
    app_display_name: str
    device_display_name: str
    lang: str
    data: dict[str, Any]
    profile_tag: str | None = None
