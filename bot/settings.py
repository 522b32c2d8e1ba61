"""Defines the bot's part of the operator's settings, which api/bootstrap.py fills in."""

from dataclasses import dataclass, field
from pathlib import Path

from flows import IssueType


@dataclass(frozen=True, slots=True)
class BotSettings:
    """The operator's settings as far as the bot needs them.

    `flow`: `guided` or `instant`; `doubt_seconds`: how long a send in doubt waits for a status that settles it;
    `quiet_seconds`: how long the bot keeps quiet after a person answered in the Business app; `sweep_seconds`: how
    often SQL is searched for work that nobody rang for, and how old that has to be; `slow_seconds`: how long a delivery
    keeps its lane from the next turn; `heartbeat_file`: touched at each heartbeat that Redis took, for whoever watches
    over this process, None for no such file.
    """

    phone_number_id: str
    flow: str = "guided"
    doubt_seconds: float = 15.0
    quiet_seconds: float = 1800.0
    sweep_seconds: float = 1.0
    slow_seconds: float = 2.0
    heartbeat_file: Path | None = None
    issue_types: tuple[IssueType, ...] = field(kw_only=True)  # what customers pick from
