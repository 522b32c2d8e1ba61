"""Defines the doctor's report, and takes the secrets out of its sentences.

Invariants
- No secret of the settings leaves in a report, whoever put it into a sentence: Meta, or a driver.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from api.doctor.finding import Outcome
from api.logs import CONTROLS, HIDDEN, PROCESS_REDACTION, SECRETS, Redaction

ACRONYMS = {"api": "API", "id": "ID", "meta": "Meta", "tls": "TLS", "url": "URL"}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `fix` is empty where nothing needs fixing, and where the check could not run."""

    name: str
    outcome: Outcome
    reason: str
    fix: str

    @property
    def ok(self) -> bool:
        """Whether nothing needs fixing here, neither now nor soon."""
        return self.outcome is Outcome.PASSED

    @property
    def title(self) -> str:
        """The name as people read it; the name of a setting stays as it is typed."""
        if not self.name.islower():
            return self.name
        return " ".join(ACRONYMS.get(word, word) for word in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one examination, in the order in which they are best fixed. `farewell`: what to say where nothing
    needs fixing."""

    checks: Sequence[Check]
    farewell: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing needs fixing."""
        return all(check.ok for check in self.checks)

    @property
    def first_failing(self) -> Check | None:
        """The check to fix first: one that failed, else one that warns; None when all have passed."""
        by_outcome = [check for wanted in (Outcome.FAILED, Outcome.WARNING) for check in self._find(wanted)]
        return next(iter(by_outcome), None)

    @property
    def looked_at(self) -> list[Check]:
        """The checks that have run."""
        return [check for check in self.checks if check.outcome is not Outcome.WAITING]

    @property
    def waiting(self) -> list[Check]:
        """The checks that wait until another is fixed."""
        return self._find(Outcome.WAITING)

    def to_json(self) -> str:
        """Returns the report as programs read it."""
        checks = [{"name": check.name, "ok": check.ok} | asdict(check) for check in self.checks]
        return json.dumps({"ok": self.ok, "checks": checks}, indent=2)

    def _find(self, outcome: Outcome) -> list[Check]:
        return [check for check in self.checks if check.outcome is outcome]


class SentenceRedaction:
    """Takes secrets out of sentences: the ones that it is given, and all that the process holds or has held."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = sorted(Redaction(secrets).hidden | PROCESS_REDACTION.hidden, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Returns `text` as it may be shown on a terminal."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return CONTROLS.sub(" ", SECRETS.sub(HIDDEN, text))
