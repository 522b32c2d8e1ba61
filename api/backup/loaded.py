"""Settles a database that was restored by other means, before Tick runs on it (`tick restore --loaded`)."""

from contextlib import ExitStack, suppress
from datetime import datetime

from api.admin import ACTOR, open_database
from api.backup.places import BackupRefused
from api.settings import StorageSettings
from bot.ids import IdMaker
from bot.restoration import Settled, settle_earlier_state
from storage.diagnostics import open_redis_at
from storage.redis.client import RedisDown
from storage.redis.lanes import Lanes
from storage.redis.server_folder import find_recorded_url
from storage.sql.sqlite_lock import lock_database

WHAT = "The database was restored from an earlier state: what came after it is gone."
SETTLE_SECONDS = 600.0


async def settle_loaded(settings: StorageSettings, at: datetime) -> Settled:
    """Settles it. Raises BackupRefused or DatabaseInUse where Tick runs on it, and what opening it raises."""
    with ExitStack() as stack:
        if settings.sqlite_file is not None and settings.sqlite_file.exists():
            stack.callback(lock_database(settings.sqlite_file).close)
        async with open_database(settings) as database:
            await _refuse_while_working(settings)
            async with database.transaction(SETTLE_SECONDS) as tx:
                return await settle_earlier_state(tx, WHAT, actor=ACTOR, make_id=IdMaker(lambda: at).next, at=at)


async def _refuse_while_working(settings: StorageSettings) -> None:
    """Raises BackupRefused while a worker is alive, as far as Redis tells."""
    url = settings.redis or find_recorded_url(settings.data_dir)
    if not url:
        return
    client = open_redis_at(url)
    try:
        with suppress(RedisDown):
            if await Lanes(client, "restore").is_anybody_alive():
                raise BackupRefused("Tick's workers run on this database: stop all of Tick first.")
    finally:
        await client.aclose()
