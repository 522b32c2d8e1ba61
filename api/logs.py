"""Sets up the logs: one line an event on stderr, as JSON for machines or with colours on a terminal, secrets redacted.

Invariants
- Whatever is logged, by Tick or by a library: no secret, no whole phone number, no message text and no control
  character leaves this module. That is the second wall; the first is not to log them.
- A secret that the process has ever held stays hidden, also when it holds another since.
- An event below the level costs two microseconds.
- Whoever logs is never failed by it: what can't be rendered becomes a line that says so, and what can't be written is
  dropped and counted (`server/line_writer.py`).
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from api.server.line_writer import STANDARD_ERROR

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# Tortoise logs every value of every statement at DEBUG, aiohttp and httpx every URL.
NOISY = (
    "tortoise",
    "tortoise.db_client",
    "aiomysql",
    "aiosqlite",
    "httpx",
    "aiohttp",
    "asyncio",
    "_granian",
    "redis",
    "quart",
    "transitions",
)

HIDDEN = "[hidden]"
SECRET_KEY = re.compile(r"(?i)token|secret|password|authori[sz]ation|cookie|signature|api_?key|appsecret_proof")
PHONE_KEY = re.compile(r"(?i)phone$|^wa_id$|^mobile$|^address$")
TEXT_KEYS = {"text", "body", "payload", "message_text", "description", "caption"}
SECRETS = re.compile(
    r"(?i:bearer\s+)(?!\$WHATSAPP_ACCESS_TOKEN\b)\S+"
    r"|(?i:(?:access_token|appsecret_proof|hub\.verify_token)=)[^&\s\"']+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|\bEAA[0-9A-Za-z]{16,}"
    r"|\btick_[0-9A-Za-z_-]{16,}"
    r"|\bsha256=[0-9a-fA-F]{16,}"
)
PHONE = re.compile(r"(?<![\w.])\+?\d{4,11}(\d{4})(?![\w])")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
CONTROLS_BUT_NEWLINE = re.compile(CONTROLS.pattern.replace(r"\x00-\x1f", r"\x00-\x09\x0b-\x1f"))
FAILED = "log_line_failed"  # what stands for an event that can't be rendered
MIN_SECRET_CHARACTERS = 6  # what is shorter would hide parts of ordinary words


class Redaction:
    """Hides secrets, phone numbers, message texts and control characters: the last of structlog's processors that
    changes an event before it is rendered."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._hidden: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.hide(secrets)

    @property
    def hidden(self) -> frozenset[str]:
        """Every spelling of every secret that was ever to be hidden."""
        return frozenset(self._hidden)

    def hide(self, secrets: Iterable[str]) -> None:
        """Hides these secrets from now on, besides all earlier ones."""
        self._hidden |= {
            form for secret in secrets for form in list_spellings(secret) if len(form) >= MIN_SECRET_CHARACTERS
        }
        longest_first = sorted(self._hidden, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {str(key): self.clean(str(key), value) for key, value in event.items()}

    def clean(self, key: str, value: Any) -> Any:
        """Returns `value` as it may be shown under `key`."""
        if value is None or isinstance(value, bool | float):
            return value
        if SECRET_KEY.search(key):
            return HIDDEN
        if key in TEXT_KEYS:
            return f"[{len(str(value))} characters]"
        if PHONE_KEY.search(key):
            return f"...{str(value)[-4:]}"
        if isinstance(value, int):
            return value
        if isinstance(value, dict):
            return {str(inner): self.clean(str(inner), each) for inner, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(key, each) for each in value]
        text = value if isinstance(value, str) else str(value)
        if key == "timestamp":
            return text
        text = PHONE.sub(r"...\1", SECRETS.sub(HIDDEN, self._known.sub(HIDDEN, text) if self._known else text))
        return (CONTROLS_BUT_NEWLINE if key == "exception" else CONTROLS).sub(_escape_match, text)


def list_spellings(secret: str) -> Iterator[str]:
    """Yields a secret as it may turn up: as typed, without the quotes around it, and the password of a URL."""
    bare = secret.strip().strip("\"'`").strip()
    yield from (secret, bare)
    try:
        password = urlsplit(bare).password
    except ValueError:
        password = None
    if password:
        yield from (password, unquote(password))


PROCESS_REDACTION = Redaction()  # every secret that this process holds or has held


def _escape_match(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


WriteLine: TypeAlias = Callable[[bytes], object]  # never raises


class _Renderer:
    """Makes an event into a line, by structlog's processors."""

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = processors

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        try:
            return self._run(logger, method, event)
        except Exception as error:  # noqa: BLE001 - of a value that can't be shown, say; the work goes on
            level = event.get("level", method)
            return self._run(
                logger, method, {"event": "log_line_failed", "level": level, "error": type(error).__name__}
            )

    def _run(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        rendered: Any = event
        for process in self._processors:
            rendered = process(logger, method, rendered)
        return f"{rendered}\n"


class _LineLogger:
    """Writes what structlog rendered."""

    def __init__(self, write: WriteLine) -> None:
        self._write = write

    def msg(self, line: str) -> None:
        """Writes one line."""
        self._write(line.encode("utf-8", "backslashreplace"))

    debug = info = warning = error = critical = exception = msg


class _LineHandler(logging.Handler):
    """Writes what libraries log."""

    def __init__(self, write: WriteLine, render: _Renderer) -> None:
        super().__init__()
        self._write = write
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - arguments that don't fit the message, say
            line = self._render(None, "error", {"event": FAILED, "error": type(error).__name__, "logger": record.name})
        self._write(line.encode("utf-8", "backslashreplace"))


def configure_logs(
    level: str = "info", style: str = "", *, secrets: Iterable[str] = (), write: WriteLine | None = None
) -> None:
    """Sets the logs of this process up, once.

    `style` is json, console, or empty to choose by whether standard error is a terminal; `secrets` are hidden from now
    on; `write`: writes a line elsewhere than to standard error. At level debug a line is out before what it tells of
    begins, so that it can be read after a sudden death.
    """
    on_terminal = write is None and os.isatty(STANDARD_ERROR.descriptor)
    if write is None:
        write = STANDARD_ERROR.write if level == "debug" else STANDARD_ERROR.put
    renderer: Processor = structlog.processors.JSONRenderer()
    if style == "console" or (not style and on_terminal):
        renderer = structlog.dev.ConsoleRenderer(
            colors=on_terminal, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # a plain traceback: never with the values of local variables
    ]
    PROCESS_REDACTION.hide(secrets)
    render = _Renderer([*shared, PROCESS_REDACTION, renderer])
    STANDARD_ERROR.describe_dropped = lambda count: render(
        None, "warning", {"event": "log_lines_dropped", "count": count}
    ).encode()
    structlog.configure(
        processors=[render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _LineLogger(write),
        cache_logger_on_first_use=True,
    )
    handler = _LineHandler(write, render)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _Renderer([PROCESS_REDACTION, renderer]),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))
