"""Trouble on demand: what goes wrong with the next calls, and with the next webhooks, and for whom.

A fault is used up by what it strikes, `times` times (0: until it is removed); of several that fit, the oldest strikes.
Whatever waits because of a fault ends when all faults are cleared, and when the simulator ends.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

WEBHOOK: Final = "webhook"  # any of them; or only those with
WEBHOOKS: Final = frozenset({WEBHOOK, "messages", "statuses"})
MEDIA: Final = frozenset({"upload", "locate", "download", "remove"})
WHERE: Final = frozenset({"any", "send", "read", "media", "templates", "codes", "account"}) | MEDIA | WEBHOOKS

BEFORE: Final = frozenset({"code", "status", "html", "empty", "timeout_before", "cut", "slow", "redirect"})
AFTER: Final = frozenset({"timeout_after", "cut_after", "truncated", "no_id", "huge", "garbled"})
ACCEPTED: Final = frozenset({"fails"})  # 200, and a failed status with `code` later
OF_WEBHOOKS: Final = frozenset({"duplicate", "reorder", "late", "lost"})
THEN: Final = BEFORE | AFTER | ACCEPTED | OF_WEBHOOKS

PATIENCE_SECONDS: Final = 50.0  # longer than any client waits


@dataclass(slots=True)
class Fault:
    then: str
    where: str = "any"
    phone: str = ""  # only for this customer
    times: int = 1
    code: int = 0  # Meta's error
    status: int = 0  # HTTP's
    delay_seconds: float = 0.0
    retry_after_seconds: int = 0  # the header, when not 0
    fault_id: int = 0


class Faults:
    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next_id = 1
        self._over = False
        self._let_go = asyncio.Event()
        self._changed = asyncio.Event()

    def add(self, fault: Fault) -> Fault:
        """From now on. ValueError when it makes no sense."""
        _check(fault)
        fault.fault_id = self._next_id
        self._next_id += 1
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        kept = [fault for fault in self._faults if fault.fault_id != fault_id]
        found = len(kept) < len(self._faults)
        self._faults = kept
        self._tell()
        return found

    def clear(self) -> None:
        """None are left, and nobody waits because of one."""
        self._faults = []
        self._tell()
        self._let_go.set()
        if not self._over:
            self._let_go = asyncio.Event()

    def all(self) -> list[Fault]:
        return list(self._faults)

    def strike(self, where: str, phone: str = "", *, only: frozenset[str] | None = None) -> Fault | None:
        """The fault that this call meets, used up by it. `only` names the kinds that can strike here."""
        for fault in self._faults:
            if self._fits(fault, where, phone) and (only is None or fault.then in only):
                if fault.times == 1:
                    self._faults.remove(fault)
                else:
                    fault.times -= fault.times > 1
                return fault
        return None

    async def wait(self, seconds: float) -> None:
        """Pass the time that a fault takes, or less when they are cleared."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._let_go.wait(), seconds)

    async def changed(self, seconds: float | None) -> None:
        """Until a fault is removed, or this time has passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def lost(self, where: str, phone: str) -> Fault | None:
        """Why this customer's webhooks don't get through now. That fault is never used up: it is taken away."""
        found = (one for one in self._faults if one.then == "lost" and self._fits(one, where, phone))
        return next(found, None)

    def end(self) -> None:
        """Nobody waits any more."""
        self._over = True
        self._let_go.set()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @staticmethod
    def _fits(fault: Fault, where: str, phone: str) -> bool:
        if fault.phone and fault.phone != phone:
            return False
        if where in WEBHOOKS or fault.where in WEBHOOKS:
            return fault.where in {WEBHOOK, where} and where in WEBHOOKS
        return fault.where in {"any", where} or (fault.where == "media" and where in MEDIA)


def read_fault(document: Mapping[str, Any]) -> Fault:
    """A fault as the API gets it. ValueError says what is wrong."""
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


def document(fault: Fault) -> dict[str, Any]:
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
    if fault.then in {"code", "fails"} and not fault.code:
        raise ValueError(f"then={fault.then} needs a code.")
    if fault.then == "status" and not 400 <= fault.status <= 599:
        raise ValueError("then=status needs a status from 400 to 599.")
