"""Whatever is logged, by whom ever: no secret, no whole phone number, no text of a customer, no control character."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from api.logs import configure_logs
from api.settings_loader import read_access_token
from tests.support.plain_logs import configure_plain_logs

SECRET = "canary-app-secret"
SECRETS = {
    "known": f"it was {SECRET}!",
    "bearer": "Authorization: Bearer EAAcanarycanarycanary",
    "url": "GET https://graph.example/v25.0/1?access_token=canarytoken&appsecret_proof=canaryproof",
    "token": "refused EAAcanarycanarycanary1",
    "api key": "tick_canarycanarycanarycanary-canary",
    "database": "can't connect to mysql://tick:canarypassword@db:3306/tick",
    "signature": "sha256=0123456789abcdef0123456789abcdef",
    "phone": "to +15551234567 and 15551234567",
}
LEAKS = ("canary", "1555123", "0123456789abcdef")


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    configure_plain_logs()


@pytest.fixture(params=["json", "console"])
def out(request: pytest.FixtureRequest, restored: None) -> io.BytesIO:
    stream = io.BytesIO()
    configure_logs("info", request.param, secrets=[SECRET], write=stream.write)
    return stream


@pytest.mark.parametrize("leak", SECRETS.values(), ids=SECRETS)
def test_nothing_leaks_from_an_event_a_value_a_library_or_an_exception(out: io.BytesIO, leak: str) -> None:
    ours, library = structlog.get_logger(), logging.getLogger("some.library")
    ours.info(leak, reason=leak, nested={"list": [leak]}, error=ValueError(leak))
    library.warning("it said %s", leak)
    for log in (ours, library):
        try:
            raise ValueError("a\nb " + leak)
        except ValueError:
            log.exception("failed")
    output = out.getvalue().decode()
    assert output.count("failed") == 2
    for part in LEAKS:
        assert part not in output.replace("test_logs", "")


def test_a_token_that_is_read_later_is_hidden_and_so_is_the_one_before(out: io.BytesIO, tmp_path: Path) -> None:
    config, known = tmp_path / "config.env", "WHATSAPP_PHONE_NUMBER_ID=1\nWHATSAPP_APP_SECRET=canary-app-secret\n"
    tokens = ["canary-monday", "canary-tuesday"]
    for token in tokens:
        config.write_text(f"{known}WHATSAPP_VERIFY_TOKEN=canary-verify\nWHATSAPP_ACCESS_TOKEN={token}\n")
        config.chmod(0o600)
        assert read_access_token(config) == token
        for each in tokens[: tokens.index(token) + 1]:
            try:
                raise ValueError(f"Malformed access token {each}")
            except ValueError:
                structlog.get_logger().exception("failed", reason=each)
                logging.getLogger("some.library").exception("it said %s", each)
    assert out.getvalue().decode().count("Malformed access token [hidden]") == 6
    assert "canary" not in out.getvalue().decode()


def test_values_are_hidden_by_their_name(out: io.BytesIO) -> None:
    structlog.get_logger().info(
        "event",
        access_token="canary",
        password="canary",
        phone="15551234567",
        text="canary",
        headers={"Cookie": "canary"},
    )
    output = out.getvalue().decode()
    assert "...4567" in output
    for part in LEAKS:
        assert part not in output


def test_a_customer_cannot_write_lines_or_colours_into_the_log(out: io.BytesIO) -> None:
    structlog.get_logger().info("name", name="Eve\n2026 fake line\x1b[31m\u202e\x9b31m", other="a\x00b")
    output = out.getvalue().decode()
    assert output.count("\n") == 1
    assert not {"\x1b", "\u202e", "\x9b", "\x00"} & set(output)


def test_ids_and_numbers_stay_readable(restored: None) -> None:
    stream = io.BytesIO()
    configure_logs("info", "json", write=stream.write)
    structlog.get_logger().info(
        "done", item_id=1845839485739485739, seconds=1.23456789012, ok=True, key="s:wamid.x:read"
    )
    output = json.loads(stream.getvalue().decode())
    assert (output["item_id"], output["seconds"], output["ok"]) == (1845839485739485739, 1.23456789012, True)
    assert output["level"] == "info"
    assert output["timestamp"].endswith("Z")


def test_sql_is_not_logged_even_at_debug(restored: None) -> None:
    stream = io.BytesIO()
    configure_logs("debug", "json", write=stream.write)
    for name in ("tortoise", "tortoise.db_client", "httpx", "aiomysql"):
        logging.getLogger(name).debug("SELECT canary")
        logging.getLogger(name).info("SELECT canary")
    structlog.get_logger().debug("ours")
    assert "canary" not in stream.getvalue().decode()
    assert "ours" in stream.getvalue().decode()


def test_below_the_level_is_silent(out: io.BytesIO) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("x").debug("quiet")
    assert out.getvalue().decode() == ""


class Unspeakable:
    """A value that can't be shown."""

    def __str__(self) -> str:
        raise ValueError("canary")

    __repr__ = __str__


def test_what_can_not_be_shown_fails_nobody(out: io.BytesIO) -> None:
    structlog.get_logger().info("ours", value=Unspeakable())
    handler = logging.getLogger().handlers[0]  # pytest has handlers of its own beside it, which raise
    handler.handle(logging.makeLogRecord({"name": "some.library", "msg": "theirs: %s", "args": ("one", "too many")}))
    structlog.get_logger().info("after")
    output = out.getvalue().decode()
    assert output.count("log_line_failed") == 2
    assert "after" in output
    assert "canary" not in output
