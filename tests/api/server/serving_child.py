"""A small service on the listener of its parent, which answers with its process id: for processes that share a port."""

import os

from quart import Quart

from api.server.process import run, stop_on_signals
from api.server.serving import find_inherited_listener, serve_http


async def main() -> None:
    listener = find_inherited_listener()
    assert listener is not None
    app = Quart(__name__)

    @app.get("/pid")
    async def pid() -> str:
        return str(os.getpid())

    async with stop_on_signals() as stop:
        await serve_http(app, listener, stop)


run(main())
