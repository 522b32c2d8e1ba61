"""Keeps the faults on demand: what goes wrong with the next calls to the Graph API and the next webhooks, and for whom.

Invariants
- A fault is used up by what it strikes, after `times` times (0: never); of several that fit, the oldest strikes.
- Whatever waits because of a fault ends when all faults are cleared, and when the simulator ends.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

# Where a fault strikes: a kind of call, or a kind of webhook.
WEBHOOK: Final = "webhook"  # any webhook; or only those with
WEBHOOKS: Final = frozenset({WEBHOOK, "messages", "statuses"})
MEDIA: Final = frozenset({"upload", "locate", "download", "remove"})
WHERE: Final = frozenset({"any", "send", "read", "media", "templates", "codes", "account"}) | MEDIA | WEBHOOKS

# What then happens, before the call is looked at: Meta's error, an HTTP status, an error page, an empty answer, no
# answer in time, half an answer, a late answer, a redirect.
BEFORE: Final = frozenset({"code", "status", "html", "empty", "timeout_before", "cut", "slow", "redirect"})
# To the answer of a call that was accepted: it comes too late, breaks off, is cut in the middle of its JSON, has no id,
# is far too long, is no text, is Meta's error, is an HTTP status without a body.
AFTER: Final = frozenset(
    {"timeout_after", "cut_after", "truncated", "no_id", "huge", "garbled", "code_after", "status_after"}
)
ACCEPTED: Final = frozenset({"fails"})  # 200, and a failed status with `code` later
# To a webhook: it comes twice, after the next one, after a while, or not until the fault is removed.
OF_WEBHOOKS: Final = frozenset({"duplicate", "reorder", "late", "lost"})
THEN: Final = BEFORE | AFTER | ACCEPTED | OF_WEBHOOKS

PATIENCE_SECONDS: Final = 50.0  # longer than any client waits


@dataclass(slots=True)
class Fault:
    """What goes wrong (`then`), `where`, and how often (`times`). `phone`: only for this customer.

    `code` is Meta's error and `status` HTTP's. `retry_after_seconds`: the header of that name, when not 0.
    """

    then: str
    where: str = "any"
    phone: str = ""
    times: int = 1
    code: int = 0
    status: int = 0
    delay_seconds: float = 0.0
    retry_after_seconds: int = 0
    fault_id: int = 0


class Faults:
    """The faults that are set, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next_id = 1
        self._ended = False
        self._cleared = asyncio.Event()
        self._changed = asyncio.Event()

    def add(self, fault: Fault) -> Fault:
        """Sets a fault and gives it its id. Raises ValueError when it makes no sense."""
        _check(fault)
        fault.fault_id = self._next_id
        self._next_id += 1
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """Removes one fault; returns whether there was one."""
        kept = [fault for fault in self._faults if fault.fault_id != fault_id]
        found = len(kept) < len(self._faults)
        self._faults = kept
        self._announce_change()
        return found

    def clear(self) -> None:
        """Removes all faults, and ends every wait because of one."""
        self._faults = []
        self._announce_change()
        self._cleared.set()
        if not self._ended:
            self._cleared = asyncio.Event()

    def list_all(self) -> list[Fault]:
        """Returns the faults, oldest first."""
        return list(self._faults)

    def strike(self, where: str, phone: str = "", *, only: frozenset[str] | None = None) -> Fault | None:
        """Returns the fault that this call meets, and uses it up. `only` names the kinds that can strike here."""
        for fault in self._faults:
            if self._applies(fault, where, phone) and (only is None or fault.then in only):
                if fault.times == 1:
                    self._faults.remove(fault)
                else:
                    fault.times -= fault.times > 1
                return fault
        return None

    def find_lost(self, where: str, phone: str) -> Fault | None:
        """Returns the fault that keeps this customer's webhooks from getting through now. It is never used up."""
        found = (one for one in self._faults if one.then == "lost" and self._applies(one, where, phone))
        return next(found, None)

    async def wait(self, seconds: float) -> None:
        """Waits for as long as a fault takes, or until all are cleared."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._cleared.wait()

    async def wait_for_change(self, seconds: float | None) -> None:
        """Waits until a fault is removed, or this time has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def end(self) -> None:
        """Ends every wait, and every one that begins after this."""
        self._ended = True
        self._cleared.set()

    def _announce_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @staticmethod
    def _applies(fault: Fault, where: str, phone: str) -> bool:
        if fault.phone and fault.phone != phone:
            return False
        if where in WEBHOOKS or fault.where in WEBHOOKS:
            return fault.where in {WEBHOOK, where} and where in WEBHOOKS
        return fault.where in {"any", where} or (fault.where == "media" and where in MEDIA)


def parse_fault(document: Mapping[str, Any]) -> Fault:
    """Reads a fault as the API gets it. Raises ValueError with what is wrong."""
    known = {one.name: one.type for one in fields(Fault) if one.name != "fault_id"}
    for name, value in document.items():
        if name not in known:
            raise ValueError(f"A fault has no {name}.")
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not (isinstance(value, str) if known[name] is str else numeric):
            raise ValueError(f"{name} can't be {value!r}.")
    if not isinstance(document.get("then"), str):
        raise ValueError("A fault needs a then.")
    whole: dict[str, Any] = {name: int(value) if known[name] is int else value for name, value in document.items()}
    fault = Fault(**whole)
    if fault.then in OF_WEBHOOKS and "where" not in document:
        fault.where = WEBHOOK
    _check(fault)
    return fault


def describe_fault(fault: Fault) -> dict[str, Any]:
    """Returns a fault as the API gives it."""
    return asdict(fault)


def _check(fault: Fault) -> None:
    if fault.then not in THEN:
        raise ValueError(f"then must be one of {', '.join(sorted(THEN))}.")
    if fault.where not in WHERE:
        raise ValueError(f"where must be one of {', '.join(sorted(WHERE))}.")
    if (fault.where in WEBHOOKS) != (fault.then in OF_WEBHOOKS):
        raise ValueError(f"{', '.join(sorted(OF_WEBHOOKS))} are for webhooks, and nothing else is.")
    if fault.times < 0 or fault.delay_seconds < 0:
        raise ValueError("times and delay_seconds can't be below 0.")
    if fault.then in {"code", "code_after", "fails"} and not fault.code:
        raise ValueError(f"then={fault.then} needs a code.")
    if fault.then in {"status", "status_after"} and not 400 <= fault.status <= 599:
        raise ValueError(f"then={fault.then} needs a status from 400 to 599.")
