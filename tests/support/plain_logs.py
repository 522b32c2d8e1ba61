"""Logs of the tests' own processes: tracebacks without local variables, whose drawing takes longer than most tests."""

import structlog


def plain_logs() -> None:
    """From now on in this process."""
    structlog.reset_defaults()
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper("iso"), renderer],
    )
