"""What a client learns about this server before and after it signs in."""

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

import posthouse
from posthouse.app.config import LOCALHOST, Settings
from posthouse.matrix import ROOM_VERSIONS, NotFound

VERSIONS: Final = tuple(f"v1.{minor}" for minor in range(1, 13))
"""Read by clients by exact string, so every version is listed, not only the newest."""

UNSTABLE_FEATURES: Final = {
    "org.matrix.e2e_cross_signing": True,
    "uk.half-shot.msc2666.query_mutual_rooms": True,
    "uk.tcpip.msc4133.stable": True,  # any profile field under /v3, which v1.16 made stable
}
"""Booleans only: the Rust SDK refuses the whole answer for anything else."""


class Discovery:
    """Answers that are the same for everybody, made once as far as they can be."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.versions: Final = _json({"versions": VERSIONS, "unstable_features": UNSTABLE_FEATURES})
        self.release: Final = _json(
            {"server": {"name": "Posthouse", "version": posthouse.__version__}}
        )
        self.capabilities: Final = _json({"capabilities": _capabilities(settings)})

    def base_url(self, host: str | None) -> str:
        """The address that clients are told to use; `host` is what the request calls us.

        A server for everybody has a public name behind TLS; one on this machine alone is reached
        by whatever address the request came to, a free port included.
        """
        server = self._settings.server
        if server.public_base_url:
            return server.public_base_url.rstrip("/")
        if server.name != LOCALHOST:
            return f"https://{server.name}"
        return f"http://{host or self._settings.http.listen[0]}"

    def well_known(self, host: str | None) -> bytes:
        return _json({"m.homeserver": {"base_url": self.base_url(host)}})

    def server_address(self, host: str | None) -> str:
        """Where the two federation endpoints are found, as a name with a port."""
        base = urlsplit(self.base_url(host))
        port = base.port or (443 if base.scheme == "https" else 80)
        name = f"[{base.hostname}]" if ":" in (base.hostname or "") else base.hostname
        return f"{name}:{port}"

    def support(self) -> bytes:
        """Raises `NotFound` where the operator gave nobody to turn to."""
        support = self._settings.support
        if not support.contacts and not support.page:
            raise NotFound("The operator of this server has given no contact.")
        answer: dict[str, Any] = {"contacts": [_present(contact) for contact in support.contacts]}
        if support.page:
            answer["support_page"] = support.page
        return _json({key: value for key, value in answer.items() if value})


def _capabilities(settings: Settings) -> dict[str, Any]:
    return {
        "m.room_versions": {
            "default": settings.rooms.default_version,
            "available": dict.fromkeys(ROOM_VERSIONS, "stable"),
        },
        "m.change_password": {"enabled": True},
        "m.set_displayname": {"enabled": True},
        "m.set_avatar_url": {"enabled": True},
        "m.3pid_changes": {"enabled": False},
        "m.get_login_token": {"enabled": False},
        "m.profile_fields": {"enabled": True},
    }


def _present(contact: msgspec.Struct) -> dict[str, Any]:
    """A contact without what it doesn't have."""
    fields = msgspec.structs.asdict(contact)
    return {key: value for key, value in fields.items() if value is not None}


_json = msgspec.json.Encoder().encode
