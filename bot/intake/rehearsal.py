"""Rehearses the taking in of a webhook, to know whether the next one will be stored.

Invariants
- Nothing of a rehearsal stays but the row of `storage/write_probe.py`.
- It does what the intake does, by the intake's own code, and commits: what keeps a webhook from being stored keeps a
  rehearsal from it too.
"""

from bot.clock import Clock
from bot.intake.intake import Intake
from storage import write_probe
from storage.sql.database import Database, Tx


class Rehearsal:
    """Rehearses for one process."""

    def __init__(self, *, database: Database, intake: Intake, clock: Clock) -> None:
        self._database = database
        self._intake = intake
        self._clock = clock

    async def run(self, *, thorough: bool) -> None:
        """Raises DatabaseDown, or what the database says, when a webhook would not be stored. `thorough`: as much is
        committed as a webhook takes."""

        async def work(tx: Tx) -> None:
            await write_probe.rehearse(tx, self._intake.rehearse)
            await write_probe.write(tx, self._clock(), thorough=thorough)

        await self._database.run(work)
