"""A process that fetches, keeps and serves files, for a test that measures its memory.

Its one argument is JSON: database_url, files_url, folder, access (of S3), api_url. Says its port and a key once it
runs; looks for files at each line of its input, and ends when that does.
"""

import asyncio
import json
import sys
from pathlib import Path

from api.web.credentials import Role
from bot.media.transfer import MediaTransfer
from bot.whatsapp.graph.client import GraphClient, GraphSettings, open_http
from bot.whatsapp.graph.media_download import open_downloads
from storage.blobs.open import open_store
from storage.blobs.store import S3Access
from storage.sql.database import Database, DatabaseSettings
from tests.api.rest.files_service import serve_files
from tests.bot.file_budgets import make_budget


async def main() -> None:
    given = json.loads(sys.argv[1])
    database = await Database.open(DatabaseSettings(given["database_url"]))
    folder = Path(given["folder"])
    store = open_store(given["files_url"], folder, S3Access(**given["access"]))
    async with (
        serve_files(database, folder, store) as service,
        open_http() as http,
        open_downloads(given["api_url"]) as downloads,
    ):
        graph = GraphClient(GraphSettings(given["api_url"], "106540352242922", "token", "secret"), http)
        media = MediaTransfer(
            database=database,
            store=store,
            graph=graph,
            downloads=downloads,
            clock=service.clock,
            budget=make_budget(database, service.clock),
            owner="child",
        )
        stop = asyncio.Event()
        working = asyncio.create_task(media.run(stop))
        print(json.dumps({"port": service.port, "key": service.keys[Role.AGENT]}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            media.ring()
        stop.set()
        await working
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
