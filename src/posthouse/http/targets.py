"""Request targets: splitting a path and a query before decoding them, never after.

`%2F` inside a segment stays inside it (room aliases and state keys hold slashes), and what isn't
UTF-8 is refused.
"""

from urllib.parse import unquote_to_bytes

from posthouse.http.errors import MalformedRequest
from posthouse.matrix import InvalidParam


def split_target(target: bytes) -> tuple[str, str]:
    """The raw path and the raw query of a target in origin, absolute or asterisk form.

    RFC 9112 §3.2. Raises `MalformedRequest` for any other, and for a fragment.
    """
    text = target.decode("ascii", "replace")
    if "#" in text or "\ufffd" in text:
        raise MalformedRequest("A request target holds no fragment and only ASCII.")
    if text[:1] != "/":
        if text == "*":
            return text, ""
        scheme, found, rest = text.partition("://")
        if not found or scheme.lower() not in ("http", "https"):
            raise MalformedRequest("This form of request target is not served.")
        slash, question = rest.find("/"), rest.find("?")
        if slash < 0 or 0 <= question < slash:  # a query and no path: http://host?x
            authority, _, query = rest.partition("?")
            text = "/?" + query if question >= 0 else "/"
        else:
            authority, text = rest[:slash], rest[slash:]
        if not authority:
            raise MalformedRequest("The request target names no host.")
    path, _, query = text.partition("?")
    return path, query


def decode_segment(segment: str) -> str:
    """One segment of a path, percent-decoded. Raises `InvalidParam`."""
    if "%" not in segment:
        return segment
    return _utf8(unquote_to_bytes(segment), "path")


def parse_query(query: str) -> list[tuple[str, str]]:
    """Names and values in their order, decoded. Raises `InvalidParam`."""
    if not query:
        return []
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_decode_form(name), _decode_form(value)))
    return pairs


def _decode_form(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    return _utf8(unquote_to_bytes(text), "query")


def _utf8(raw: bytes, where: str) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidParam(f"The {where} is not valid UTF-8.") from error
    if "\0" in text:  # no name, id or key may hold one, and PostgreSQL takes none
        raise InvalidParam(f"The {where} holds a NUL character.")
    return text
