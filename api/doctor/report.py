"""What the doctor says, and what it never says.

Invariant: no secret of the settings leaves in a report, whoever put it into a sentence: Meta's own words, a driver's.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from api.logs import CONTROLS, HELD, HIDDEN, SECRETS, Redaction

NOT_LOOKED_AT = "Not looked at until "
WRITTEN = {"api": "API", "id": "ID", "meta": "Meta", "tls": "TLS", "url": "URL"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `fix` is empty where nothing is to be mended, or where nobody could look."""

    name: str
    ok: bool
    reason: str
    fix: str

    @property
    def title(self) -> str:
        """The name as people read it; that of a setting stays as it is typed."""
        if not self.name.islower():
            return self.name
        return " ".join(WRITTEN.get(word, word) for word in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Report:
    """The checks, in the order in which they are best mended."""

    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether nothing is to be mended."""
        return all(check.ok for check in self.checks)

    @property
    def first_failing(self) -> Check | None:
        """Where to begin."""
        return next((check for check in self.checks if not check.ok), None)

    @property
    def looked_at(self) -> list[Check]:
        """Those that nothing else kept from being looked at."""
        return [check for check in self.checks if not check.reason.startswith(NOT_LOOKED_AT)]

    @property
    def waiting(self) -> list[Check]:
        """Those that wait for another to be mended."""
        return [check for check in self.checks if check.reason.startswith(NOT_LOOKED_AT)]

    def json(self) -> str:
        """As programs read it."""
        return json.dumps({"ok": self.ok, "checks": [asdict(check) for check in self.checks]}, indent=2)


class Hiding:
    """Takes secrets out of sentences: these, and all that the process holds or has held."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = sorted(Redaction(secrets).hidden | HELD.hidden, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """`text` as it may be shown on a terminal."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return CONTROLS.sub(" ", SECRETS.sub(HIDDEN, text))
