"""What a pusher must look like: plain functions."""

from typing import Any, Final
from urllib.parse import urlsplit

from posthouse.matrix import encode_canonical
from posthouse.push.errors import BadPusher, PusherIncomplete, PusherTooLarge
from posthouse.push.model import Pusher

APP_ID_LENGTH_MAX: Final = 64
PUSHKEY_BYTES_MAX: Final = 512
TEXT_LENGTH_MAX: Final = 512
DATA_BYTES_MAX: Final = 16_384

_GATEWAY_PATH: Final = "/_matrix/push/v1/notify"


def check_address(app_id: str, pushkey: str) -> None:
    """Raises BadPusher for what no pusher can be named."""
    if not 0 < len(app_id) <= APP_ID_LENGTH_MAX:
        raise BadPusher(f"`app_id` has 1 to {APP_ID_LENGTH_MAX} characters.")
    if not 0 < len(pushkey.encode()) <= PUSHKEY_BYTES_MAX:
        raise BadPusher(f"`pushkey` has 1 to {PUSHKEY_BYTES_MAX} bytes.")


def parse_pusher(
    *,
    app_id: str,
    pushkey: str,
    kind: str,
    app_display_name: str | None,
    device_display_name: str | None,
    lang: str | None,
    data: dict[str, Any] | None,
    profile_tag: str | None,
) -> Pusher:
    """A pusher that can be kept. Raises a refusal that names what is missing or wrong."""
    check_address(app_id, pushkey)
    needed = {
        "app_display_name": app_display_name,
        "device_display_name": device_display_name,
        "lang": lang,
        "data": data,
    }
    missing = [name for name, value in needed.items() if value is None]
    if app_display_name is None or device_display_name is None or lang is None or data is None:
        raise PusherIncomplete(f"Missing parameters: {', '.join(missing)}")
    texts = {**needed, "profile_tag": profile_tag}
    for name, text in texts.items():
        if isinstance(text, str) and len(text) > TEXT_LENGTH_MAX:
            raise BadPusher(f"`{name}` has at most {TEXT_LENGTH_MAX} characters.")
    if kind != "http":
        raise BadPusher("This server knows pushers of the kind `http` only.")
    _check_data(data)
    return Pusher(
        app_id, pushkey, kind, app_display_name, device_display_name, lang, data, profile_tag
    )


def _check_data(data: dict[str, Any]) -> None:
    if len(encode_canonical(data)) > DATA_BYTES_MAX:
        raise PusherTooLarge()
    url = data.get("url")
    if url is None:
        raise PusherIncomplete("Missing parameters: data.url")
    if not isinstance(url, str) or not _is_gateway(url):
        raise BadPusher(f"`data.url` must be an HTTPS address with the path {_GATEWAY_PATH}.")
    if not isinstance(data.get("format", ""), str):
        raise BadPusher("`data.format` must be a string.")


def _is_gateway(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and bool(parts.hostname)
        and parts.path == _GATEWAY_PATH
        and port_is_fine
    )
