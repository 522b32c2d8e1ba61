"""Runs one examination of a set-up: the settings first, then check after check.

Invariants
- A report comes out of it, whatever is broken, within a bounded time.
- A check that can't run says which one has to be fixed first. Behind one that only warns, all goes on.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

from pydantic import SecretStr

from api.doctor.check_context import CheckContext, NotOpened
from api.doctor.finding import Finding, Outcome, fail_check
from api.doctor.report import Check, Report, SentenceRedaction
from api.doctor.table import CHECKS, SETTINGS, Row
from api.settings import WHERE, Settings, SettingsError, StorageSettings, read_config_file
from api.settings_loader import CONFIG_FILE, load_settings, load_storage_settings
from bot.whatsapp.diagnostics.reachability import ANSWER_SECONDS
from bot.whatsapp.diagnostics.setup import SetupClient
from bot.whatsapp.diagnostics.webhook_check import WebhookChecker
from bot.whatsapp.graph.client import GraphSettings, open_http
from storage.redis.lanes import Lanes
from storage.sql.database import Database

CHECK_SECONDS = 40.0
Kind = TypeVar("Kind", bound=StorageSettings)


async def examine_files(config: Path, now: Callable[[], datetime], *, answer_seconds: float = ANSWER_SECONDS) -> Report:
    """Examines the settings of this file and of the environment, and all that they name."""
    problems: list[str] = []
    storage = _load_or_note(load_storage_settings, config, [])
    settings = _load_or_note(load_settings, config, problems)
    return await examine(
        settings,
        now,
        storage=storage,
        problems=problems,
        secrets=list_typed_secrets(config),
        config=config,
        answer_seconds=answer_seconds,
    )


async def examine(
    settings: Settings | None,
    now: Callable[[], datetime],
    *,
    storage: StorageSettings | None = None,
    problems: Sequence[str] = (),
    secrets: Sequence[str] = (),
    config: Path = CONFIG_FILE,
    database: Database | None = None,
    lanes: Lanes | None = None,
    answer_seconds: float = ANSWER_SECONDS,
) -> Report:
    """Runs every check. `settings` are None when they don't load, for the reasons in `problems`.

    `database`, `lanes`: what a running service has open already. `secrets`: more that must not be shown. `config`: the
    file of settings.
    """
    known = settings or storage
    redaction = SentenceRedaction([*secrets, *(known.list_secrets() if known else ())])
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http())
        meta = None if settings is None else SetupClient(_make_graph_settings(settings, answer_seconds), http)
        visitor = WebhookChecker(http, answer_seconds)
        context = CheckContext(
            settings=settings,
            storage=known,
            problems=list(problems),
            visitor=visitor,
            meta=meta,
            now=now,
            stack=stack,
            config=config,
            database=database,
            lanes=lanes,
        )
        checks = [*_check_settings(context)]
        checks += await _run_table(context, settings_ok=checks[0].ok)
    return Report(
        [Check(one.name, one.outcome, redaction.clean(one.reason), redaction.clean(one.fix)) for one in checks],
        farewell=f"Everything is as it should be: {context.write_to_number} to see it work.",
    )


def _check_settings(context: CheckContext) -> Iterator[Check]:
    """Yields a failed check for each setting that is wrong, or one that has passed for all of them."""
    for line in context.problems:
        reason, _, fix = line.partition(": ")
        name = reason.partition(" ")[0]
        name = name if name in WHERE else name.removesuffix("_FILE")
        shown = f"{SETTINGS} {name}" if name in WHERE else SETTINGS
        yield Check(shown, Outcome.FAILED, f"{reason}.", _to_sentence(fix))
    if not context.problems:
        own = "They are the demo's own: no Meta account is needed, and none is connected."
        right = own if context.is_demo else "Everything that is needed is set, and looks as it should."
        yield Check(SETTINGS, Outcome.PASSED, right, "")


async def _run_table(context: CheckContext, *, settings_ok: bool) -> list[Check]:
    checks: list[Check] = []
    fix_first = {} if settings_ok else {SETTINGS: SETTINGS}
    for row in CHECKS:
        first = next((fix_first[need] for need in row.needs if need in fix_first), "")
        finding = None if first else await _run_check(row, context)
        if finding is None:
            first = first or SETTINGS
            finding = Finding(Outcome.WAITING, f"Not looked at until {first.replace('_', ' ')} is fixed.")
        if finding.outcome in (Outcome.FAILED, Outcome.WAITING):
            fix_first[row.name] = first or row.name
        checks.append(Check(row.name, *finding))
    return checks


async def _run_check(row: Row, context: CheckContext) -> Finding | None:
    """Returns what the check finds; None when the settings that it needs don't load."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await row.run(context)
    except NotOpened:
        return None
    except TimeoutError:
        return fail_check(
            "This took too long to be looked at.", "Run the doctor again; if it stays, check the network."
        )
    except Exception as error:  # noqa: BLE001 - one broken check must not hide the others
        where = extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
        return fail_check(
            f"This could not be looked at, because the doctor itself made a mistake ({place}).",
            "Please report this line: it is a fault of Tick's, and not of your set-up.",
        )


def _load_or_note(load: Callable[[Path], Kind], config: Path, problems: list[str]) -> Kind | None:
    try:
        return load(config)
    except SettingsError as error:
        problems += error.lines
        return None


def list_typed_secrets(config: Path) -> list[str]:
    """Returns every secret as it was typed, also of settings that don't load."""
    try:
        kept = read_config_file(config)
    except (OSError, UnicodeDecodeError):
        kept = {}
    names = [name.upper() for name, info in Settings.model_fields.items() if info.annotation is SecretStr]
    return [value for name in names for value in (os.environ.get(name), kept.get(name)) if value]


def _make_graph_settings(settings: Settings, answer_seconds: float) -> GraphSettings:
    return GraphSettings(
        settings.whatsapp_api_url,
        settings.whatsapp_phone_number_id,
        settings.whatsapp_access_token.get_secret_value(),
        settings.whatsapp_app_secret.get_secret_value(),
        answer_seconds=answer_seconds,
    )


def _to_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""
