"""What is remembered of tokens, and what a session is good for, by property."""

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.accounts.sessions import Operation, Sessions
from posthouse.accounts.token_cache import TokenCache
from posthouse.http import Caller
from posthouse.matrix import DeviceId, UserId

ADA = UserId("@ada:localhost")
BORIS = UserId("@boris:localhost")


def _caller(number: int, user: UserId = ADA, device: str = "PHONE") -> Caller:
    return Caller(user, DeviceId(device), number.to_bytes(32, "big"))


def test_a_token_read_before_a_sign_out_is_not_remembered_after_it() -> None:
    cache = TokenCache()
    mark = cache.mark
    cache.forget(ADA, DeviceId("PHONE"))
    cache.put(_caller(1), None, mark=mark)
    assert cache.get(_caller(1).token_id, 0) is None

    cache.put(_caller(1), None, mark=cache.mark)
    assert cache.get(_caller(1).token_id, 0) == _caller(1)


def test_forgetting_a_device_spares_the_others() -> None:
    cache = TokenCache()
    phone, laptop, boris = _caller(1), _caller(2, device="LAPTOP"), _caller(3, BORIS)
    for caller in (phone, laptop, boris):
        cache.put(caller, None, mark=cache.mark)

    cache.forget(ADA, DeviceId("PHONE"))
    assert cache.get(phone.token_id, 0) is None
    assert cache.get(laptop.token_id, 0) == laptop
    cache.forget(ADA)
    assert cache.get(laptop.token_id, 0) is None
    assert cache.get(boris.token_id, 0) == boris


def test_the_cache_has_a_bound() -> None:
    cache = TokenCache(tokens_max=10)
    for number in range(100):
        cache.put(_caller(number), None, mark=cache.mark)
    assert len(cache) == 10
    assert cache.get(_caller(99).token_id, 0) is not None


_operations = st.builds(
    Operation,
    name=st.sampled_from(["delete device", "deactivate"]),
    parameters=st.dictionaries(st.sampled_from("ab"), st.text(max_size=2), max_size=2),
    user_id=st.sampled_from([None, ADA, BORIS]),
    device_id=st.sampled_from([None, DeviceId("PHONE"), DeviceId("LAPTOP")]),
)


@settings(max_examples=100)
@given(_operations, _operations, st.integers(0, 200))
def test_a_session_holds_for_its_own_operation_and_time(
    opened_for: Operation, used_for: Operation, later_ms: int
) -> None:
    sessions = Sessions(b"key", lifetime_ms=100)
    session = sessions.open(opened_for, nonce=b"123456789", now_ms=1_000)

    same_asker = (opened_for.name, opened_for.user_id, opened_for.device_id) == (
        used_for.name,
        used_for.user_id,
        used_for.device_id,
    )
    # Invariant 2: what was opened without parameters is open to any.
    same_request = not opened_for.parameters or opened_for.parameters == used_for.parameters
    expected = same_asker and same_request and later_ms < 100
    assert sessions.holds(session, used_for, now_ms=1_000 + later_ms) == expected
    assert not Sessions(b"other", 100).holds(session, used_for, now_ms=1_000)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.integers(0, 49))
def test_a_session_that_was_touched_holds_for_nothing(noise: bytes, at: int) -> None:
    sessions = Sessions(b"key", lifetime_ms=100)
    operation = Operation("x", {"a": 1}, ADA)
    raw = base64.urlsafe_b64decode(sessions.open(operation, nonce=b"123456789", now_ms=0))
    touched = raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]
    for forged in (touched, noise, raw[:-1], raw + b"\x00"):
        text = base64.urlsafe_b64encode(forged).decode()
        assert not sessions.holds(text, operation, now_ms=0)
