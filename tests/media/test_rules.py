"""Nothing that a client chose ends a header or makes a browser run it."""

import re
from urllib.parse import unquote

import pytest
from aiohttp import content_disposition_filename, parse_content_disposition
from hypothesis import given
from hypothesis import strategies as st

from posthouse.media import rules

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
NASTY_TEXT = st.text(alphabet="\r\n\0\t \"';\\/%=*,.abé😀\u202e\u2028\x85\x7f", max_size=30)

# RFC 6266 and 5987, written down once more as what a strict reader accepts.
DISPOSITION = re.compile(
    r"(?:inline|attachment)"
    r"(?:; filename=\"[ !#$&'()+,.:;=@\[\]^_`{}~A-Za-z0-9-]*\""
    r"(?:; filename\*=UTF-8''(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})*)?)?"
)


def file_name_read_from(header: str) -> str | None:
    """The name as a client reads it: `filename*` before `filename`."""
    extended = re.search(r"filename\*=UTF-8''([^;]*)$", header)
    if extended:
        return unquote(extended[1], errors="strict")
    plain = re.search(r'filename="([^"]*)"', header)
    return plain[1] if plain else None


@given(NASTY_TEXT | ANY_TEXT, NASTY_TEXT | ANY_TEXT)
def test_no_file_name_or_type_breaks_out_of_its_header(name: str, type_: str) -> None:
    content_type = rules.safe_content_type(type_)
    header = rules.content_disposition(content_type, name)

    assert DISPOSITION.fullmatch(header)
    assert header.isascii()
    assert re.fullmatch(r"[\x20-\x7e]+/[\x20-\x7e]+", content_type)


@given(st.text(alphabet=st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=60))
def test_a_file_name_comes_back_as_it_was_given(name: str) -> None:
    header = rules.content_disposition("image/png", name)

    assert file_name_read_from(header) == (name.strip() or None)


@given(ANY_TEXT)
def test_cleaning_a_file_name_twice_changes_nothing(name: str) -> None:
    once = rules.safe_file_name(name)

    assert rules.safe_file_name(once) == once


@given(NASTY_TEXT | ANY_TEXT)
def test_cleaning_a_content_type_twice_changes_nothing(given_type: str) -> None:
    once = rules.safe_content_type(given_type)

    assert rules.safe_content_type(once) == once


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", "inline"),
        ("IMAGE/PNG", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("video/mp4", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("text/xml", "attachment"),
        ("application/javascript", "attachment"),
        ("application/pdf", "attachment"),
        ("application/octet-stream", "attachment"),
        ("text/html; x=image/png", "attachment"),
    ],
)
def test_only_what_the_specification_lists_is_shown_in_place(
    content_type: str, expected: str
) -> None:
    assert rules.content_disposition(content_type, None) == expected


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [
        ("image/png", "image/png"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ('text/plain; charset="utf-8"', 'text/plain; charset="utf-8"'),
        (" image/png ", "image/png"),
        ("audio/x-pn-wav", "audio/x-pn-wav"),
        (None, "application/octet-stream"),
        ("", "application/octet-stream"),
        ("image", "application/octet-stream"),
        ("image/png\r\nSet-Cookie: a=b", "application/octet-stream"),
        ("image/png, text/html", "application/octet-stream"),
        ("image/" + "x" * 300, "application/octet-stream"),
        ('text/plain; a="b', "application/octet-stream"),
        ("bild/größe", "application/octet-stream"),
    ],
)
def test_a_content_type_is_kept_only_where_it_reads_as_one(
    given_type: str | None, kept: str
) -> None:
    assert rules.safe_content_type(given_type) == kept


def test_another_parser_reads_the_same_name() -> None:
    """aiohttp's reader of RFC 6266 as the independent one."""
    header = rules.content_disposition("image/png", 'Räder "neu" 50%.png')

    disposition, parameters = parse_content_disposition(header)

    assert disposition == "inline"
    assert content_disposition_filename(parameters) == 'Räder "neu" 50%.png'


@pytest.mark.parametrize(
    ("size", "charged"),
    [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192), (10_000_000, 10_002_432)],
)
def test_a_file_is_charged_in_whole_blocks(size: int, charged: int) -> None:
    assert rules.charge_of(size) == charged


@pytest.mark.parametrize(
    ("if_none_match", "unchanged"),
    [
        (None, False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"abcd"', False),
        ("abc", False),
        ("", False),
    ],
)
def test_a_client_that_holds_the_file_is_recognised(
    if_none_match: str | None, unchanged: bool
) -> None:
    assert rules.is_unchanged(if_none_match, '"abc"') is unchanged
