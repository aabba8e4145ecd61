"""How a stored thing is answered: the headers that make it safe to open, and its bytes."""

from types import MappingProxyType
from typing import Final

from posthouse.http import FileBody, Reply
from posthouse.media import rules
from posthouse.media.service import OpenMedia

# What comes from a stranger may be a page with a script in it. The policy is the specification's
# (https://spec.matrix.org/v1.19/client-server-api/#content-repository); `nosniff` keeps a browser
# from finding another type in the bytes than the one that was judged.
_SAFETY: Final = MappingProxyType(
    {
        "Content-Security-Policy": (
            "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; "
            "style-src 'unsafe-inline'; object-src 'self';"
        ),
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
        # One URI stands for the same bytes for ever, and only for who is signed in.
        "Cache-Control": "private, max-age=31536000, immutable",
    }
)


def serve(found: OpenMedia, *, file_name: str | None, if_none_match: str | None) -> Reply:
    """The file, or 304 where the client has it already. `file_name` overrides the stored one."""
    media = found.media
    etag = f'"{media.content.hash.hex()}"'
    headers = {**_SAFETY, "ETag": etag}
    if rules.is_unchanged(if_none_match, etag):
        return Reply(status=304, headers=headers)
    headers["Content-Type"] = media.content_type
    headers["Content-Disposition"] = rules.content_disposition(
        media.content_type, file_name or media.file_name
    )
    return Reply(headers=headers, body=FileBody(found.path, 0, media.content.size))
