"""Puts the web application together, serves it, and stops it, with the worker of the process beside it.

Invariants
- A stop first ends the claiming and lets sends finish, then the streams, then the listener, then the connections.
"""

import asyncio
import socket
from collections.abc import Callable

from quart import Quart

from api.bootstrap import build_worker, open_resources
from api.desk.register import add_desk
from api.desk.services import make_desk_services
from api.desk.sessions import Sessions
from api.desk_file import list_issue_types
from api.doctor.endpoint import Doctor, make_doctor
from api.rest.register import add_api
from api.server.front_door import Admission
from api.server.serving import limit_requests, serve_http
from api.services import make_services
from api.settings import Settings
from api.web.hosts import check_hosts
from api.webhook import PATHS, WebhookMiddleware, make_handshake
from bot.answering_record import AnsweringRecord
from bot.bootstrap import Resources, make_answering_record
from bot.clock import Clock, SteadyClock
from bot.task_end import end_tasks
from bot.worker.worker import Worker


async def serve(
    settings: Settings,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    worker: bool = True,
    clock: Clock | None = None,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Runs the web process, and the worker in it unless that is another's."""
    async with open_resources(settings, clock=clock, share_redis=not worker) as resources:
        app = make_app(settings, resources)
        working = build_worker(settings, resources) if worker else None
        record = make_answering_record(resources)
        await run_together(app, listener, stop, worker=working, record=record, on_ready=on_ready)


def make_app(settings: Settings, resources: Resources) -> Quart:
    """Makes the web application of a process."""
    app = Quart("api", static_folder=None)
    limit_requests(app, Admission(settings.trusted_proxies, PATHS, resources.metrics.count_turned_away))
    check_hosts(app, settings.public_url, settings.allowed_hosts)
    services = make_services(resources, list_issue_types(settings.desk_file))
    app_secrets = settings.list_app_secrets()
    # A sign-in lasts by the real time, also where the demo lets a day pass for its customers.
    sessions = Sessions(resources.database, SteadyClock(), app_secrets, settings.public_url)
    doctor = Doctor(
        settings=settings,
        database=resources.database,
        lanes=resources.lanes,
        clock=resources.clock,
        read_token=resources.read_token,
    )
    add_api(app, services, sessions)
    desk = make_desk_services(
        sessions=sessions,
        doctor=doctor,
        clock=resources.clock,
        app_secrets=app_secrets,
        trusted_proxies=settings.trusted_proxies,
    )
    add_desk(app, desk)
    app.register_blueprint(make_handshake(settings.whatsapp_verify_token.get_secret_value()))
    app.register_blueprint(make_doctor(doctor))
    middleware = WebhookMiddleware(
        application=app.asgi_app,
        intake=services.intake,
        app_secrets=app_secrets,
        on_answer=resources.metrics.count_webhook,
        trusted_proxies=settings.trusted_proxies,
        on_old_secret=resources.metrics.count_old_secret,
        on_signed=services.undeclared_proxies.look_at,
    )
    services.undeclared_proxies.begin()
    app.asgi_app = middleware  # type: ignore[method-assign,assignment]  # Quart's own place for what stands in front of it
    return app


async def run_together(
    app: Quart,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    worker: Worker | None,
    record: AnsweringRecord,
    on_ready: Callable[[], None] | None,
) -> None:
    """Runs the web, and the worker if there is one, until `stop`. The worker stops before the listener closes: what it
    still sends may bring statuses back. `record`: of when webhooks are answered, which is from the opening of the
    listener to its closing."""
    closing = asyncio.Event()
    recording: list[asyncio.Task[None]] = []

    def begin() -> None:
        recording.append(asyncio.create_task(record.run(), name="answering"))
        if on_ready is not None:
            on_ready()

    working = None if worker is None else asyncio.create_task(worker.run(stop), name="worker")
    serving = asyncio.create_task(serve_http(app, listener, closing, on_ready=begin), name="web")
    stopping = asyncio.create_task(stop.wait())
    watched = {task for task in (serving, stopping, working) if task is not None}
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    try:
        if working is not None:
            await working
    finally:
        closing.set()
        await end_tasks(recording)
    await serving
