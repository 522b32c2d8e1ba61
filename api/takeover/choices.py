"""Settles what the original system did not write down: the country of its phone numbers, the time zone of its dates.

Invariants
- Neither is guessed: it is said by an option or a setting, asked for on a terminal, or the take-over doesn't begin. Our
  own number's country is taken where Meta has told us of it, and that is said.
- What was said when a take-over began holds for the rest of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from api.settings_checks import read_time_zone
from bot.account.phone_number import parse_snapshot
from bot.phones import find_country, is_country
from storage import meta_snapshots, original_tables, takeovers
from storage.errors import OperatorError
from storage.original_tables import OriginalTables
from storage.sql.database import Database
from storage.takeovers import TICKETS

Ask = Callable[[str], str]  # asks a question on the terminal


class TakeoverRefused(OperatorError):
    """The take-over can't begin as it was asked to. The text is one sentence."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Choices:
    """The country, as ISO 3166 writes it, and the time zone, by its name or its offset; "" where none was needed."""

    country: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to take over: `tables`; `is_due`: whether it is still to be done; whether there are numbers and
    dates that need to be placed; `begun`: what was said when it began; `own_country`: of our number, "" while Meta has
    not told us; `server_zone`: the database server's time zone."""

    tables: OriginalTables
    is_due: bool = False
    needs_country: bool = False
    needs_time_zone: bool = False
    begun: Choices | None = None
    own_country: str = ""
    server_zone: str = ""


async def look_for_original(database: Database) -> Findings:
    """Looks for the original system's tables in this database."""
    async with database.reading(original_tables.READ_SECONDS) as tx:
        tables = await original_tables.find_tables(tx)
        if tables.tickets is None or not await original_tables.is_takeover_due(tx):
            return Findings(tables)
        begun = (await takeovers.find_all(tx)).get(TICKETS)
        filled = [
            table
            for table in (tables.tickets, tables.replies)
            if table is not None and await original_tables.find_bounds(tx, table) is not None
        ]
        return Findings(
            tables,
            is_due=True,
            needs_country=await original_tables.has_numbers_without_plus(tx, tables.tickets),
            needs_time_zone=any(table.has_local_dates for table in filled),
            begun=None if begun is None else Choices(begun.country, begun.time_zone),
            own_country=_find_own_country(await meta_snapshots.list_bodies(tx)),
            server_zone=await original_tables.read_time_zone(tx),
        )


def _find_own_country(bodies: Sequence[str]) -> str:
    countries = {find_country(number) for body in bodies if (number := parse_snapshot(body).number)}
    return countries.pop() if len(countries) == 1 else ""


def settle_choices(findings: Findings, given: Choices, set_before: Choices, ask: Ask | None) -> Choices:
    """Settles both. `given`: by options; `set_before`: by settings; `ask`: None where there is no terminal."""
    for choice in (given, set_before):
        _check(choice)
    if begun := findings.begun:
        if (
            replace(begun, country=given.country or begun.country, time_zone=given.time_zone or begun.time_zone)
            != begun
        ):
            raise TakeoverRefused(
                f"The take-over began with --country {begun.country or 'left out'} and --time-zone "
                f"{begun.time_zone or 'left out'}, and goes on with these: leave the options out."
            )
        return begun
    country = given.country or set_before.country
    if findings.needs_country and not country:
        country = findings.own_country or _ask(ask, _COUNTRY, find_wrong_country)
    time_zone = given.time_zone or set_before.time_zone
    if findings.needs_time_zone and not time_zone:
        time_zone = _ask(ask, _ZONE._replace(question=_ZONE.question.format(findings.server_zone)), find_wrong_zone)
    return Choices(country, time_zone)


class _Missing(NamedTuple):
    question: str
    refusal: str


_COUNTRY = _Missing(
    "In which country are the phone numbers without a + (two letters, such as DE or US)?",
    "The original system's tickets have phone numbers without their country: say in which country they are, by "
    "--country DE, say, or TAKEOVER_COUNTRY.",
)
_ZONE = _Missing(
    "In which time zone did the original system write its dates? (Such as Europe/Berlin; the database server's own is "
    "{}.)",
    "The original system's dates don't say their time zone: say in which they were written, by --time-zone "
    "Europe/Berlin, say, or TAKEOVER_TIME_ZONE.",
)


def _ask(ask: Ask | None, missing: _Missing, find_wrong: Callable[[str], str]) -> str:
    if ask is None:
        raise TakeoverRefused(missing.refusal)
    answer = ask(missing.question).strip()
    if wrong := find_wrong(answer):
        raise TakeoverRefused(wrong)
    return answer


def _check(choices: Choices) -> None:
    if choices.country and (wrong := find_wrong_country(choices.country)):
        raise TakeoverRefused(wrong)
    if choices.time_zone and (wrong := find_wrong_zone(choices.time_zone)):
        raise TakeoverRefused(wrong)


def find_wrong_country(country: str) -> str:
    """Returns a sentence that says what is wrong with a country; "" when nothing is."""
    return "" if is_country(country) else "The country is none: it has two capital letters, such as DE, GB or US."


def find_wrong_zone(time_zone: str) -> str:
    """Returns a sentence that says what is wrong with a time zone; "" when nothing is."""
    try:
        read_time_zone(time_zone)
    except ValueError:
        return "The time zone is none that is known here: its name is one such as Europe/Berlin, UTC or +02:00."
    return ""
