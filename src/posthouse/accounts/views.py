"""How a device and a profile look on the wire."""

from collections.abc import Mapping

from msgspec import Struct

from posthouse.accounts.model import Device
from posthouse.http import encode_json
from posthouse.matrix import DeviceId


class DeviceView(Struct, frozen=True, omit_defaults=True):
    """A device as its owner sees it."""

    device_id: DeviceId
    display_name: str | None = None
    last_seen_ip: str | None = None
    last_seen_ts: int | None = None


def device_view(device: Device) -> DeviceView:
    return DeviceView(
        device_id=device.device_id,
        display_name=device.display_name,
        last_seen_ip=device.last_seen_ip,
        last_seen_ts=device.last_seen_ms,
    )


def fields_json(fields: Mapping[str, bytes]) -> bytes:
    """One JSON object of fields whose values are JSON already."""
    members = (encode_json(key) + b":" + value for key, value in fields.items())
    return b"{" + b",".join(members) + b"}"
