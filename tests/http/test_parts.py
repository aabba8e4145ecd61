"""Routes, targets, limits and addresses by themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.http import Auth, Limit, LimitSettings, RateLimiter, Route
from posthouse.http.addresses import ProxyTrust
from posthouse.http.answers import header_lines
from posthouse.http.errors import MalformedRequest
from posthouse.http.limits import address_key
from posthouse.http.routes import Router
from posthouse.http.server import split_address
from posthouse.http.targets import parse_query, split_target
from posthouse.matrix import LimitExceeded
from tests.http.support import HandClock


def router_of(*paths: str) -> Router[str]:
    router: Router[str] = Router()
    for path in paths:
        router.add(Route("GET", path, Auth.NONE, None, None, False), path)
    return router


PATHS = (
    "/a",
    "/a/{x}",
    "/a/{x}/b",
    "/a/b/c",
    "/a/{x}/{y}",
    "/a/{x}/b/{z}",
    "/state/{type}/{key}",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a", ("/a", [])),
        ("/a/q", ("/a/{x}", ["q"])),
        ("/a/b", ("/a/{x}", ["b"])),
        ("/a/b/b", ("/a/{x}/b", ["b"])),
        ("/a/b/c", ("/a/b/c", [])),
        ("/a/%62/c", ("/a/b/c", [])),
        ("/a/b/d", ("/a/{x}/{y}", ["b", "d"])),
        ("/a/q/b/%2F", ("/a/{x}/b/{z}", ["q", "/"])),
        ("/a/q%2Fb", ("/a/{x}", ["q/b"])),
        ("/state/m.room.name/", ("/state/{type}/{key}", ["m.room.name", ""])),
        ("/state//", None),
        ("/a/q/b/c/d", None),
        ("/", None),
        ("/" + "x/" * 5000, None),
    ],
)
def test_a_literal_goes_before_a_parameter(
    path: str, expected: tuple[str, list[str]] | None
) -> None:
    found = router_of(*PATHS).match(path)
    assert (None if found is None else (found[0]["GET"], found[1])) == expected


@pytest.mark.parametrize("path", ["a", "/{x}y", "/a{", "/{X}"])
def test_a_path_that_is_no_template_fails_at_the_start(path: str) -> None:
    with pytest.raises(ValueError):
        router_of(path)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b=c?d", ("/a", "b=c?d")),
        (b"*", ("*", "")),
        (b"http://host", ("/", "")),
        (b"http://host?q", ("/", "q")),
        (b"http://host/?q", ("/", "q")),
        (b"https://host:1/a/b?q", ("/a/b", "q")),
        (b"//host/a", ("//host/a", "")),
    ],
)
def test_targets_are_split(target: bytes, expected: tuple[str, str]) -> None:
    assert split_target(target) == expected


@given(st.binary(max_size=40))
def test_any_target_is_split_or_refused(target: bytes) -> None:
    try:
        path, _ = split_target(target)
    except MalformedRequest:
        return
    assert path == "*" or path.startswith("/")


def test_a_query_is_decoded_after_it_is_split() -> None:
    assert parse_query("a=1&b=%26%3D&c&=d&&a=+2") == [
        ("a", "1"),
        ("b", "&="),
        ("c", ""),
        ("", "d"),
        ("a", " 2"),
    ]


def test_a_bucket_refills_and_is_each_ones_own() -> None:
    clock = HandClock()
    limiter = RateLimiter(LimitSettings(), clock)
    for _ in range(Limit.LOGIN.burst):
        limiter.take(Limit.LOGIN, "ada")
    with pytest.raises(LimitExceeded) as refused:
        limiter.take(Limit.LOGIN, "ada")
    assert refused.value.retry_after_ms == 5000
    limiter.take(Limit.LOGIN, "boris")
    limiter.take(Limit.REGISTER, "ada")
    clock.seconds += 5
    limiter.take(Limit.LOGIN, "ada")
    with pytest.raises(LimitExceeded):
        limiter.take(Limit.LOGIN, "ada")


def test_the_buckets_are_bounded_and_the_longest_unused_is_forgotten() -> None:
    limiter = RateLimiter(LimitSettings(keys_max=1024), HandClock())
    for number in range(5000):
        limiter.take(Limit.LOGIN, str(number))
        limiter.take(Limit.LOGIN, "busy", 0.001)
    assert len(limiter._buckets) == 1024
    assert (Limit.LOGIN, "busy") in limiter._buckets


def test_every_limit_has_figures_of_its_own() -> None:
    assert len({limit.label for limit in Limit}) == len(list(Limit))
    for limit in Limit:
        assert limit.burst >= 1
        assert limit.per_second > 0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_subscriber_is_one_stranger(address: str, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("203.0.113.1", "6.6.6.6", "203.0.113.1"),
    ],
)
def test_the_nearest_address_that_no_proxy_stands_for_is_the_clients(
    peer: str, forwarded: str | None, expected: str
) -> None:
    assert ProxyTrust(["10.0.0.0/8"]).client_address(peer, forwarded) == expected


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_a_header_can_not_smuggle_another(value: str) -> None:
    with pytest.raises(ValueError):
        header_lines({"Content-Disposition": value})


@pytest.mark.parametrize("address", ["8008", "localhost", "::1:8008", "localhost:http", "a:70000"])
def test_an_address_to_listen_on_is_checked(address: str) -> None:
    with pytest.raises(ValueError):
        split_address(address)


def test_addresses_to_listen_on() -> None:
    assert split_address("127.0.0.1:8008") == ("127.0.0.1", 8008)
    assert split_address("[::1]:0") == ("::1", 0)
