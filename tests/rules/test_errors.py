"""Refusals: their errcode, status and words."""

from posthouse.matrix import (
    USUAL_STATUS,
    BadJson,
    ErrCode,
    Forbidden,
    InvalidParam,
    LimitExceeded,
    MissingParam,
    MissingToken,
    NotFound,
    NotJson,
    Refusal,
    TooLarge,
    UnknownPos,
    UnknownToken,
    Unrecognized,
    WrongMethod,
)


def test_each_refusal_has_the_status_that_clients_expect() -> None:
    expected: dict[type[Refusal], tuple[int, str]] = {
        BadJson: (400, "M_BAD_JSON"),
        NotJson: (400, "M_NOT_JSON"),
        InvalidParam: (400, "M_INVALID_PARAM"),
        MissingParam: (400, "M_MISSING_PARAM"),
        TooLarge: (413, "M_TOO_LARGE"),
        Forbidden: (403, "M_FORBIDDEN"),
        NotFound: (404, "M_NOT_FOUND"),
        Unrecognized: (404, "M_UNRECOGNIZED"),
        WrongMethod: (405, "M_UNRECOGNIZED"),
        MissingToken: (401, "M_MISSING_TOKEN"),
        UnknownToken: (401, "M_UNKNOWN_TOKEN"),
        LimitExceeded: (429, "M_LIMIT_EXCEEDED"),
        UnknownPos: (400, "M_UNKNOWN_POS"),
    }
    assert {kind: (kind.status, str(kind.errcode)) for kind in expected} == expected
    assert set(USUAL_STATUS) == set(ErrCode)


def test_a_domains_refusal_takes_its_errcodes_status_unless_it_says_otherwise() -> None:
    class RoomInUse(Refusal):
        errcode = ErrCode.ROOM_IN_USE

    class NameTooLong(TooLarge):
        status = 400

    class StillForbidden(Forbidden):
        usual_message = "No."

    assert (RoomInUse.status, NameTooLong.status, StillForbidden.status) == (400, 400, 403)
    assert StillForbidden().message == "No."
    assert NameTooLong("300 bytes").message == "300 bytes"


def test_a_refusal_carries_what_goes_into_its_body() -> None:
    assert UnknownToken(soft_logout=True).extra == {"soft_logout": True}
    assert LimitExceeded(retry_after_ms=1500).extra == {"retry_after_ms": 1500}
    assert Forbidden("No.", policy="p1").extra == {"policy": "p1"}
