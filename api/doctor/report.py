"""Defines the doctor's report, and takes the secrets out of its sentences.

Invariants
- No secret of the settings leaves in a report, whoever put it into a sentence: Meta, or a driver.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from api.logs import CONTROLS, HIDDEN, PROCESS_REDACTION, SECRETS, Redaction

NOT_LOOKED_AT = "Not looked at until "  # how the reason of a check that has not run begins
ACRONYMS = {"api": "API", "id": "ID", "meta": "Meta", "tls": "TLS", "url": "URL"}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `fix` is empty where nothing is to be mended, or where the check could not run."""

    name: str
    ok: bool
    reason: str
    fix: str

    @property
    def title(self) -> str:
        """The name as people read it; the name of a setting stays as it is typed."""
        if not self.name.islower():
            return self.name
        return " ".join(ACRONYMS.get(word, word) for word in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one examination, in the order in which they are best mended."""

    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing is to be mended."""
        return all(check.ok for check in self.checks)

    @property
    def first_failing(self) -> Check | None:
        """The check that is to be mended first; None when all have passed."""
        return next((check for check in self.checks if not check.ok), None)

    @property
    def looked_at(self) -> list[Check]:
        """The checks that have run."""
        return [check for check in self.checks if not check.reason.startswith(NOT_LOOKED_AT)]

    @property
    def waiting(self) -> list[Check]:
        """The checks that wait until another is mended."""
        return [check for check in self.checks if check.reason.startswith(NOT_LOOKED_AT)]

    def to_json(self) -> str:
        """Returns the report as programs read it."""
        return json.dumps({"ok": self.ok, "checks": [asdict(check) for check in self.checks]}, indent=2)


class SentenceRedaction:
    """Takes secrets out of sentences: the ones that it is given, and all that the process holds or has held."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = sorted(Redaction(secrets).hidden | PROCESS_REDACTION.hidden, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Returns `text` as it may be shown on a terminal."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return CONTROLS.sub(" ", SECRETS.sub(HIDDEN, text))
