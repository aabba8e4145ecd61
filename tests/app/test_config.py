"""What an operator counts on from the configuration."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from posthouse.accounts import RegistrationMode
from posthouse.app.config import ConfigRefused, Settings, load_settings
from posthouse.app.config_reference import as_toml, reference_page
from posthouse.app.setting_types import description_of, field_types, struct_in


def refusal_of(*overrides: str) -> str:
    with pytest.raises(ConfigRefused) as caught:
        load_settings(None, overrides)
    return str(caught.value)


def file_of(folder: Path, text: str) -> Path:
    file = folder / "posthouse.toml"
    file.write_text(text)
    return file


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings(None)

    assert settings.server.name == "localhost"
    assert settings == Settings()


def test_an_override_goes_before_the_file_and_the_last_before_the_first(tmp_path: Path) -> None:
    file = file_of(tmp_path, '[log]\nlevel = "debug"\nformat = "json"\n')

    settings = load_settings(file, ["log.level=error", "log.level=warning"])

    assert settings.log.level == "warning"
    assert settings.log.format == "json"


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("server.name=example.org", "example.org"),
        ('server.name="example.org"', "example.org"),
        ("server.name = example.org ", "example.org"),
        ("server.name=1234", "1234"),
    ],
)
def test_a_word_needs_no_quotes_and_digits_stay_text_where_text_is_meant(
    override: str, name: str
) -> None:
    assert load_settings(None, [override]).server.name == name


def test_an_override_takes_toml() -> None:
    settings = load_settings(
        None, ['http.listen=["[::1]:0"]', "limits.enabled=false", "storage.timeout=PT1M"]
    )

    assert settings.http.listen == ("[::1]:0",)
    assert settings.limits.enabled is False
    assert settings.storage.timeout == timedelta(minutes=1)


def test_every_setting_that_does_not_exist_is_named_with_its_path(tmp_path: Path) -> None:
    file = file_of(
        tmp_path,
        '[sever]\nname = "a"\n[accounts.passwords]\npases = 3\n'
        '[[support.contacts]]\nrole = "r"\nmail = "a@b"\n',
    )

    with pytest.raises(ConfigRefused) as caught:
        load_settings(file)

    assert caught.value.problems == [
        "sever: there is no such setting, did you mean server?",
        "accounts.passwords.pases: there is no such setting, did you mean accounts.passwords.passes?",
        "support.contacts[0].mail: there is no such setting",
    ]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("limits.enabled=maybe", ["limits.enabled: ", "true or false"]),
        ("http.connections_max=0", ["http.connections_max: ", "at least 1"]),
        ("log.level=loud", ["log.level: ", '"debug", "error", "info" or "warning"']),
        ("storage.timeout=10", ["storage.timeout: ", '"PT24H"']),
        ("storage.timeout=soon", ["storage.timeout: ", '"PT24H"']),
        ("registration.mode=ajar", ["registration.mode: ", '"closed", "open" or "token"']),
        ("server=3", ["server: ", "a table"]),
        ("server.name.first=x", ["server.name: ", "text"]),
        ("server.name=not a name", ["server.name: ", "not a name"]),
        ("server.public_base_url=example.org", ["server.public_base_url: ", "https://"]),
        ("streams.room_streams=3", ["streams.room_streams: ", "power of two"]),
        ('support.contacts=[{role="r"}]', ["support.contacts[0]: ", "matrix_id", "email_address"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_and_what_would_be_right(
    override: str, words: list[str]
) -> None:
    refusal = refusal_of(override)

    assert refusal.startswith(words[0])
    for word in words:
        assert word in refusal


@pytest.mark.parametrize("override", ["server.name", "=x", "server..name=x", "log.level.x=1"])
def test_an_override_that_is_none_is_refused(override: str) -> None:
    assert refusal_of("log.level=info", override)


def test_a_file_that_is_not_there_or_not_toml_is_refused_by_name(tmp_path: Path) -> None:
    for file in (tmp_path / "absent.toml", file_of(tmp_path, "server = ")):
        with pytest.raises(ConfigRefused, match=file.name):
            load_settings(file)


@pytest.mark.parametrize(
    ("overrides", "mode"),
    [
        ([], RegistrationMode.OPEN),
        (["server.name=example.org"], RegistrationMode.TOKEN),
        (["server.name=example.org", "registration.mode=open"], RegistrationMode.OPEN),
        (["registration.mode=closed"], RegistrationMode.CLOSED),
    ],
)
def test_registration_is_open_by_default_only_to_a_server_without_a_name(
    overrides: list[str], mode: RegistrationMode
) -> None:
    assert load_settings(None, overrides).registration_mode is mode


def test_what_is_shown_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    settings = load_settings(
        None,
        [
            "server.name=example.org",
            'support.contacts=[{role="m.role.admin", email_address="a@example.org"}]',
            "storage.timeout=PT1.5S",
            "registration.mode=closed",
        ],
    )

    assert load_settings(file_of(tmp_path, as_toml(settings))) == settings


def test_what_is_shown_has_no_password_in_it() -> None:
    settings = load_settings(None, ["storage.url=postgresql://posthouse:hunter2@db/posthouse"])

    shown = as_toml(settings)

    assert "hunter2" not in shown
    assert tomllib.loads(shown)["storage"]["url"] == "postgresql://posthouse:[removed]@db/posthouse"


def test_every_setting_has_a_description() -> None:
    assert undescribed(Settings, "") == []


def test_the_reference_page_is_what_the_code_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"

    assert page.read_text() == reference_page(), 'run "make format"'


def undescribed(struct: type, path: str) -> list[str]:
    found = []
    for key, type_ in field_types(struct).items():
        inner = struct_in(type_)
        if inner is not None:
            found += undescribed(inner, f"{path}{key}.")
        if inner is not type_ and not description_of(type_):
            found.append(f"{path}{key}")
    return found
