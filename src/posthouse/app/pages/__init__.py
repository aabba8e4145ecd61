"""The page that a browser finds at `/`: what this server is and how to connect.

The people's client takes its place later. It needs nothing but itself: no script, and its style is
the only one that the content security policy admits.
"""

import base64
import hashlib
from html import escape
from importlib import resources
from string import Template
from typing import Final

from posthouse import __version__
from posthouse.accounts import RegistrationMode

_REGISTRATION: Final = {
    RegistrationMode.OPEN: "Create an account in the app, or sign in.",
    RegistrationMode.TOKEN: "Sign in, or create an account with the registration token that you "
    "were given.",
    RegistrationMode.CLOSED: "Sign in. New accounts are made by the operator.",
}


def home_page(name: str, base_url: str, registration: RegistrationMode) -> bytes:
    """The page as UTF-8. `base_url` is the address that clients are to be given."""
    return (
        Template(_template())
        .substitute(
            name=escape(name),
            base_url=escape(base_url),
            registration=_REGISTRATION[registration],
            version=__version__,
        )
        .encode()
    )


def home_headers() -> dict[str, str]:
    """The headers of the page; its policy admits the page's own style and nothing else."""
    style = _template().partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _template() -> str:
    return resources.files(__package__).joinpath("home.html").read_text(encoding="utf-8")
