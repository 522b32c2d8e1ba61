"""A setting that is missing, malformed or a placeholder is named in one line, which never holds a value."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.cli.terminal import warn_of_weak_settings
from api.demo.settings import load_demo_settings
from api.desk_file import list_issue_types
from api.doctor.run import list_typed_secrets
from api.server.process import PARENT_FD
from api.settings import SettingsError
from api.settings_loader import load_settings, load_storage_settings, read_access_token
from api.weak_settings import find_weaknesses
from flows import DEFAULT_ISSUE_TYPES, IssueType

GOOD = {
    "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    "WHATSAPP_ACCESS_TOKEN": "EAAtesttoken123",
    "WHATSAPP_VERIFY_TOKEN": "my_verify_token_123",
    "WHATSAPP_APP_SECRET": "test-app-secret",
}
PLACEHOLDERS = [
    "changeme", "CHANGE_ME_PLEASE", "your_token", "your-app-secret", "EXAMPLE", "example_secret", "<app secret>",
    "xxxxxxxx", "replace-me", "put_token_here", "${WHATSAPP_APP_SECRET}", "placeholder", "password", "changeme123",
    "YOUR_WHATSAPP_ACCESS_TOKEN", "$APP_SECRET", "app-secret", "enter-your-verify-token-here", "{app_secret}",
]  # fmt: skip
AS_WRITTEN = [
    "exchange-media-desk", "somewhere-over-here", "enter-sandman-1991", "your2dogs", "replacement-bus-7", "password1!x",
    "workplaceholders", "pa${HOME}ss", "$ecret-${x}-4711", "$1a$2b$3c", "a{b}c-12345", "it's-a-secret'",
    "`tick`tock-99", "secretive-fox-8", "x" * 2 + "y-tokens-77", "pass#word-77", "back\\slash-77", "ключ-от-двери",
]  # fmt: skip


OURS = (
    "ALLOWED_", "DATABASE_", "DATA_DIR", "DESK_", "HOST", "LOG_", "PORT", "PUBLIC_", "REDIS_", "TICK_", "TRUSTED_",
    "WHATSAPP_",
)  # fmt: skip


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own settings, if it has any, stay out of these tests."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)


def set_all(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in (GOOD | changed).items():
        monkeypatch.setenv(name, value)


def lines_of(monkeypatch: pytest.MonkeyPatch, **changed: str) -> list[str]:
    set_all(monkeypatch, **changed)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    return raised.value.lines


def test_everything_that_is_missing_is_named_with_its_place() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert [line.split(" ")[0] for line in raised.value.lines] == ["config.env", *GOOD]
    assert "WHATSAPP_APP_SECRET is missing: App Dashboard > App settings > Basic > App secret" in raised.value.lines
    assert all("\n" not in line for line in raised.value.lines)


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_secret_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    (line,) = lines_of(monkeypatch, WHATSAPP_APP_SECRET=value)
    assert line.startswith(("WHATSAPP_APP_SECRET is missing:", "WHATSAPP_APP_SECRET is blank:"))


@pytest.mark.parametrize("value", PLACEHOLDERS)
@pytest.mark.parametrize("name", ["WHATSAPP_APP_SECRET", "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_VERIFY_TOKEN"])
def test_a_placeholder_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    (line,) = lines_of(monkeypatch, **{name: value})
    assert line.startswith(f"{name} still has a placeholder:")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WHATSAPP_APP_SECRET", '"test-app-secret"'),
        ("WHATSAPP_APP_SECRET", " test-app-secret"),
        ("WHATSAPP_APP_SECRET", "test-app-secret\n"),
        ("WHATSAPP_APP_SECRET", "2tiny"),
        ("WHATSAPP_ACCESS_TOKEN", "Bearer EAAtesttoken123"),
        ("WHATSAPP_PHONE_NUMBER_ID", "+15550001111"),
        ("WHATSAPP_PHONE_NUMBER_ID", "１２３４５"),
        ("WHATSAPP_BUSINESS_ACCOUNT_ID", "waba"),
        ("WHATSAPP_API_URL", "graph.facebook.com/v25.0"),
        ("WHATSAPP_API_URL", "https://graph.facebook.com"),
        ("WHATSAPP_API_URL", "http://graph.example.org/v25.0"),
        ("WHATSAPP_API_URL", "https://graph.facebook.com:99999/v25.0"),
        ("DATABASE_URL", "postgres://user:pw@db/tick"),
        ("DATABASE_URL", "mysql://root:pw@db.example.org"),
        ("DATABASE_URL", "mysql://user:password@host:3306/tick"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///tick.db?mode=ro"),
        ("DATABASE_URL", "mysql://tick:pw@db.example.org/tick?ssl=maybe"),
        ("DATABASE_URL", "mysql://tick:pw@db.example.org/tick?ssl-ca=/ca.pem"),
        ("REDIS_URL", "http://cache:6379"),
        ("REDIS_URL", "redis://"),
        ("FILES_URL", "ftp://files"),
        ("HOST", "0.0.0.0:5000"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("PORT", "5e3"),
        ("PUBLIC_URL", "desk.example.org"),
        ("PUBLIC_URL", "https://user@desk.example.org"),
        ("PUBLIC_URL", "https://desk.example.org/tick"),
        ("ALLOWED_HOSTS", "https://desk.example.org"),
        ("ALLOWED_HOSTS", "desk.example.org:5000"),
        ("ALLOWED_HOSTS", "*.example.org"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
        ("TICK_FLOW", "quick"),
        ("BURST_SECONDS", "-1"),
        ("BURST_SECONDS", "nan"),
        ("RECEIPT_SECONDS", "soon"),
        ("DOUBT_SECONDS", "0"),
        ("DOUBT_SECONDS", "inf"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_malformed_value_is_named_and_never_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    (line,) = lines_of(monkeypatch, **{name: value})
    assert line.startswith(f"{name} ")
    assert "\n" not in line
    if name in GOOD:
        assert value.strip() not in line


@pytest.mark.parametrize("value", AS_WRITTEN)
def test_a_secret_is_taken_as_it_is_written(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    set_all(monkeypatch, WHATSAPP_VERIFY_TOKEN=value)
    assert load_settings().whatsapp_verify_token.get_secret_value() == value
    monkeypatch.delenv("WHATSAPP_VERIFY_TOKEN")
    Path("config.env").write_text(f"WHATSAPP_VERIFY_TOKEN={value}\n" if "'" not in value and "`" not in value else "")
    if Path("config.env").read_text():
        Path("config.env").chmod(0o600)
        assert load_settings().whatsapp_verify_token.get_secret_value() == value
        assert value in list_typed_secrets(Path("config.env"))


@pytest.mark.parametrize("quoted", ["'pa${HOME}ss-$x'", '"pa${HOME}ss-$x"'])
def test_no_variable_is_filled_in_between_quotes(monkeypatch: pytest.MonkeyPatch, quoted: str) -> None:
    set_all(monkeypatch)
    monkeypatch.delenv("WHATSAPP_APP_SECRET")
    Path("config.env").write_text(f"WHATSAPP_APP_SECRET={quoted}\n")
    Path("config.env").chmod(0o600)
    assert load_settings().whatsapp_app_secret.get_secret_value() == "pa${HOME}ss-$x"


def test_hosts_are_read_as_browsers_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, ALLOWED_HOSTS="Desk.internal, 192.0.2.1 desk.example.com., [2001:db8::1]")
    assert load_settings().allowed_hosts == ("desk.internal", "192.0.2.1", "desk.example.com", "[2001:db8::1]")
    assert load_settings().public_url == ""


def test_what_is_weak_or_exposed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strong = {"WHATSAPP_APP_SECRET": "0123456789abcdef0123456789abcdef", "PUBLIC_URL": "https://desk.example.com"}
    config, secret = Path("config.env"), tmp_path / "token"
    secret.write_text("EAAtesttoken123")
    secret.chmod(0o640)
    config.write_text("REDIS_URL=redis://:pw@cache\n")
    config.chmod(0o640)
    for name, changed in {
        "": {"HOST": "0.0.0.0"},
        "WHATSAPP_APP_SECRET is not 32 digits of 0-9 and a-f": {"WHATSAPP_APP_SECRET": "0123456789ABCDEF" * 2},
        "WHATSAPP_APP_SECRET is not 32": {"WHATSAPP_APP_SECRET": "0123456789abcdef"},
        "WHATSAPP_VERIFY_TOKEN is the same as WHATSAPP_ACCESS_TOKEN": {"WHATSAPP_VERIFY_TOKEN": "EAAtesttoken123"},
        "HOST is 0.0.0.0, and PUBLIC_URL is no https": {"HOST": "0.0.0.0", "PUBLIC_URL": "http://desk.example.com"},
        "HOST is ::, and": {"HOST": "::", "PUBLIC_URL": ""},
        f"{secret} holds secrets and can be read by other users": {"WHATSAPP_ACCESS_TOKEN_FILE": str(secret)},
    }.items():
        config.chmod(0o600)
        for unset in ("HOST", "PUBLIC_URL", "WHATSAPP_ACCESS_TOKEN_FILE"):
            monkeypatch.delenv(unset, raising=False)
        set_all(monkeypatch, **(strong | changed))
        if changed.get("PUBLIC_URL") == "":
            monkeypatch.delenv("PUBLIC_URL")
        weaknesses = find_weaknesses(load_settings(), config)
        assert [weakness.startswith(name) for weakness in weaknesses] == ([True] if name else []), weaknesses
        assert not any("0123456789" in weakness or "EAAtest" in weakness for weakness in weaknesses)
    monkeypatch.delenv("WHATSAPP_ACCESS_TOKEN_FILE")
    config.chmod(0o640)
    assert find_weaknesses(load_settings(), config) == [
        "config.env holds secrets and can be read by other users of this machine: chmod 600 config.env"
    ]
    config.write_text("PORT=6000\n")
    assert find_weaknesses(load_settings(), config) == []


def test_weaknesses_are_logged_by_the_process_that_starts_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HOST="0.0.0.0")
    with capture_logs() as logged:
        warn_of_weak_settings(load_settings())
    weak = [(line["event"], line["log_level"], line["weakness"].partition(" ")[0]) for line in logged]
    assert weak == [("weak_setting", "warning", "WHATSAPP_APP_SECRET"), ("weak_setting", "warning", "HOST")]
    monkeypatch.setenv(PARENT_FD, "5")
    with capture_logs() as logged:
        warn_of_weak_settings(load_settings())
    assert logged == []


def test_a_blank_optional_value_means_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, REDIS_URL="", PORT="", DATABASE_URL="")
    settings = load_settings()
    assert (settings.redis, settings.port) == ("", 5000)
    assert settings.data_dir == Path.cwd() / "data"
    assert settings.database == f"sqlite://{Path.cwd() / 'data' / 'tick.db'}"


def test_all_values_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch,
        WHATSAPP_API_URL="http://127.0.0.1:9000/v25.0/",
        DATABASE_URL="mysql://tick:s%40cret@db:3306/tick",
        REDIS_URL="redis://:pw@cache:6379/0",
        TRUSTED_PROXIES="10.0.0.0/8, ::1 192.0.2.7",
        PORT="8080",
        TICK_FLOW="instant",
        BURST_SECONDS="0",
        DOUBT_SECONDS="2.5",
        LOG_LEVEL="DEBUG",
    )
    settings = load_settings()
    assert settings.whatsapp_api_url == "http://127.0.0.1:9000/v25.0"
    assert settings.database == "mysql://tick:s%40cret@db:3306/tick"
    assert not settings.on_sqlite
    assert settings.redis == "redis://:pw@cache:6379/0"
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"), ip_network("192.0.2.7"))
    assert (settings.port, settings.tick_flow, settings.burst_seconds) == (8080, "instant", 0.0)
    assert (settings.doubt_seconds, settings.log_level) == (2.5, "debug")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f'{name}="{value}"' for name, value in GOOD.items()]
    Path("config.env").write_text("\n".join([*lines, "# a comment", "PORT=6000", "TICK_FLOW=instant", "UNKNOWN=1"]))
    Path("config.env").chmod(0o600)
    monkeypatch.setenv("PORT", "6001")
    settings = load_settings()
    assert (settings.port, settings.tick_flow) == (6001, "instant")
    assert settings.whatsapp_app_secret.get_secret_value() == "test-app-secret"


def test_a_name_that_is_nearly_a_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = [f'{name}="{value}"' for name, value in GOOD.items()]
    others = ["MARIADB_PASSWORD=1", "UNKNOWN=1", "AWS_PROFILE=x", "PORTAL=1", "public_url=https://desk.example.com"]
    Path("config.env").write_text("\n".join([*good, *others]))
    Path("config.env").chmod(0o600)
    assert load_settings().public_url == "https://desk.example.com"
    slips = ["PUBLIC_ULR=https://desk.example.com", "WHATSAPP_BUSINES_ACCOUNT_ID=5", "WHATSAPP_APP_SECRET_FLIE=x"]
    Path("config.env").write_text("\n".join([*good, *slips]))
    first, second, third = lines_of(monkeypatch)
    assert first.startswith("PUBLIC_ULR is no setting, perhaps PUBLIC_URL was meant: the address")
    assert second.startswith("WHATSAPP_BUSINES_ACCOUNT_ID is no setting, perhaps WHATSAPP_BUSINESS_ACCOUNT_ID was")
    assert third.startswith("WHATSAPP_APP_SECRET_FLIE is no setting, perhaps WHATSAPP_APP_SECRET_FILE was meant")


def test_a_file_of_secrets_that_everyone_can_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.env").write_text("WHATSAPP_APP_SECRET=test-app-secret\n")
    Path("config.env").chmod(0o644)
    (line,) = lines_of(monkeypatch)
    assert line.endswith("chmod 600 config.env")
    Path("config.env").write_text("PORT=6000\n")
    assert load_settings().port == 6000


@pytest.mark.parametrize("content", [b"PORT=\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    if content is None:
        Path("config.env").mkdir()
    else:
        Path("config.env").write_bytes(content)
    (line,) = lines_of(monkeypatch)
    assert line.startswith("config.env can't be read")


def test_a_secret_may_come_from_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_all(monkeypatch)
    monkeypatch.delenv("WHATSAPP_APP_SECRET")
    monkeypatch.setenv("WHATSAPP_APP_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match="WHATSAPP_APP_SECRET_FILE names a file that can't be read"):
        load_settings()
    (tmp_path / "secret").write_text("from-a-file\n")
    assert load_settings().whatsapp_app_secret.get_secret_value() == "from-a-file"


def test_config_env_may_name_the_file_of_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_all(monkeypatch)
    Path("config.env").write_text(f"WHATSAPP_APP_SECRET=\nWHATSAPP_APP_SECRET_FILE={tmp_path / 'secret'}\n")
    (tmp_path / "secret").write_text("from-a-file\n")
    assert load_settings().whatsapp_app_secret.get_secret_value() == GOOD["WHATSAPP_APP_SECRET"]
    monkeypatch.delenv("WHATSAPP_APP_SECRET")
    assert load_settings().whatsapp_app_secret.get_secret_value() == "from-a-file"


ROOMS = '[[issue_types]]\nid = "rooms"\nlabel = "Rooms and keys"\n'


def test_the_desks_own_file_is_read_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    assert list_issue_types(load_settings().desk_file) == DEFAULT_ISSUE_TYPES
    Path("config.env").write_text("DESK_FILE=desk.toml\n")  # where Tick starts, as config.env itself
    Path("desk.toml").write_text(ROOMS)
    assert list_issue_types(load_settings().desk_file) == (IssueType("rooms", "Rooms and keys"),)
    assert list_issue_types(load_demo_settings().desk_file) == (IssueType("rooms", "Rooms and keys"),)
    Path("desk.toml").write_text("[[issue_types]]\nid = 1\n")
    form = "use at most 50 of a to z, 0 to 9 and _, in quotes, a letter first"
    named = f"DESK_FILE names {Path.cwd() / 'desk.toml'}, where issue type 1"
    expected = [
        "PORT is out of range: a whole number from 1 to 65535, 5000 unless you say otherwise",
        f"{named} has an id of the wrong form: {form}",
        f'{named} has no label: give it one, such as label = "Hardware"',
    ]
    assert sorted(lines_of(monkeypatch, PORT="0")) == sorted(expected)
    with pytest.raises(SettingsError):
        load_demo_settings()
    assert load_storage_settings().on_sqlite, "commands on the database do not read it"


def test_a_name_like_desk_file_is_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.env").write_text("DESK_FIEL=desk.toml\n")
    (line,) = lines_of(monkeypatch)
    assert line.startswith("DESK_FIEL is no setting, perhaps DESK_FILE was meant: a TOML file with your issue types")


def test_a_desk_file_that_is_being_edited_keeps_no_new_token_away(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, DESK_FILE="desk.toml")
    assert read_access_token() == GOOD["WHATSAPP_ACCESS_TOKEN"]
    with pytest.raises(SettingsError):
        load_settings()


def test_no_repr_holds_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, DATABASE_URL="mysql://tick:dbpassword@db/tick", REDIS_URL="redis://:cachepassword@cache")
    settings = load_settings()
    assert set(settings.list_secrets()) >= {"test-app-secret", "EAAtesttoken123", "my_verify_token_123"}
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    for secret in ("test-app-secret", "EAAtesttoken123", "my_verify_token_123", "dbpassword", "cachepassword"):
        assert secret not in shown


def test_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch)
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


def test_commands_on_the_database_need_no_whatsapp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_PHONE_NUMBER_ID", "not digits")
    assert load_storage_settings().on_sqlite
