"""The web process: the application put together from the parts, served, and stopped.

Invariant: a stop first ends the claiming and lets sends finish, then the streams, then the listener, then the
connections.
"""

import asyncio
import socket
from collections.abc import Callable

from quart import Quart

from api.bootstrap import Parts, opened, worker_of
from api.desk.register import add_desk
from api.desk.sessions import Sessions
from api.doctor.endpoint import Doctor, make_doctor
from api.rest.register import add_api
from api.server.serving import limit_requests, serve_http
from api.services import ApiParts
from api.settings import Settings
from api.webhook import WebhookDoor, make_handshake
from bot.clock import Clock, utc_now


async def serve(
    settings: Settings,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    worker: bool = True,
    clock: Clock = utc_now,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """The web process, and the worker in it unless that is another's."""
    async with opened(settings, clock=clock, share_redis=not worker) as parts:
        app = make_app(parts)
        await run_together(parts, app, listener, stop, worker=worker, on_ready=on_ready)


def make_app(parts: Parts) -> Quart:
    """The web application."""
    app = Quart("api", static_folder=None)
    limit_requests(app)
    settings = parts.settings
    shared = ApiParts(
        parts.database,
        parts.lanes,
        parts.ids,
        parts.numbers,
        parts.clock,
        parts.metrics,
        settings.whatsapp_phone_number_id,
        parts.graph,
        parts.store,
        parts.supplies,
        parts.redis_line,
    )
    app_secret = settings.whatsapp_app_secret.get_secret_value()
    # A sign-in lasts by the real time, also where the demo lets a day pass for its customers.
    sessions = Sessions(parts.database, utc_now, app_secret, settings.public_url)
    doctor = Doctor(settings, parts.database, parts.lanes, parts.clock, parts.read_token)
    add_api(app, shared, sessions)
    add_desk(app, shared, sessions, doctor, settings.trusted_proxies)
    app.register_blueprint(make_handshake(settings.whatsapp_verify_token.get_secret_value()))
    app.register_blueprint(make_doctor(doctor))
    door = WebhookDoor(app.asgi_app, parts.intake, [app_secret], parts.metrics.count_webhook, settings.trusted_proxies)
    app.asgi_app = door  # type: ignore[method-assign,assignment]  # Quart's own place for what stands in front of it
    return app


async def run_together(
    parts: Parts,
    app: Quart,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    worker: bool,
    on_ready: Callable[[], None] | None,
) -> None:
    """The worker stops before the listener closes: what it still sends may bring statuses back."""
    closing = asyncio.Event()
    working = asyncio.create_task(worker_of(parts).run(stop), name="worker") if worker else None
    serving = asyncio.create_task(serve_http(app, listener, closing, on_ready=on_ready), name="web")
    stopping = asyncio.create_task(stop.wait())
    watched = {task for task in (serving, stopping, working) if task is not None}
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    if working is not None:
        await working
    closing.set()
    await serving
