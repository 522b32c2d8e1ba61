"""Logs of the tests' own process, with plain tracebacks: to render local variables takes longer than most tests."""

import structlog


def configure_plain_logs() -> None:
    """Sets up the logs of this process."""
    structlog.reset_defaults()
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper("iso"), renderer],
    )
