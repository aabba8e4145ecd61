"""The page that a browser finds at `/`."""

import base64
import hashlib
import re

import pytest

from posthouse.accounts import RegistrationMode
from posthouse.app.pages import home_headers, home_page


def test_the_policy_admits_the_pages_own_style_and_nothing_else() -> None:
    page = home_page("example.org", "https://example.org", RegistrationMode.OPEN).decode()
    policy = home_headers()["Content-Security-Policy"]

    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = home_page("example.org", "https://example.org", RegistrationMode.OPEN).decode()

    addresses = set(re.findall(r"https?://[^\s<\"]+", page))

    assert addresses == {"https://example.org"}
    assert not re.search(r"<(script|link|img|iframe|base|form)\b| style=| on\w+=", page)


def test_what_comes_from_outside_is_shown_and_not_obeyed() -> None:
    page = home_page("x", 'http://"><script>alert(1)</script>', RegistrationMode.OPEN).decode()

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("mode", list(RegistrationMode))
def test_it_says_how_to_get_an_account(mode: RegistrationMode) -> None:
    page = home_page("example.org", "https://chat.example.org", mode).decode()

    assert "<code>https://chat.example.org</code>" in page
    assert "<code>@ada:example.org</code>" in page
    assert ("create" in page.lower()) == (mode is not RegistrationMode.CLOSED) or "made" in page
