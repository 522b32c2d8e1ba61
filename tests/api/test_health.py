"""For those who watch over it: alive, ready, and what it counts, while its servers come and go."""

import signal
from collections.abc import Callable

from storage.sql.database import DatabaseSettings
from storage.sql.migrate import migrate
from storage.statuses import Fate
from tests.api.rest_service import TICKET, Service, serve_api
from tests.support.servers import MariaDBServer, RedisServer


async def test_alive_and_counting(light_service: Service) -> None:
    assert await light_service.data("GET", "/healthz", role=None) == {"status": "alive"}
    light_service.resources.metrics.count_webhook(200)
    light_service.resources.metrics.count_items(Fate.DONE, 3)
    light_service.resources.metrics.count_send("accepted")
    page = await light_service.call("GET", "/metrics", role=None)
    assert page.headers["Content-Type"].startswith("text/plain; version=")
    for line in ('tick_webhooks_total{status="200"} 1.0', 'tick_items_total{fate="done"} 3.0',
                 'tick_sends_total{outcome="accepted"} 1.0'):  # fmt: skip
        assert line in page.text.splitlines()


async def test_ready_with_a_worker(service: Service) -> None:
    await service.resources.lanes.beat()  # a worker's first
    ready = await service.data("GET", "/readyz", role=None)
    assert ready == {
        "status": "ready",
        "database": "ok",
        "migrations": "ok",
        "worker": "alive",
        "redis": "ok",
        "troubles": [],
    }


async def test_not_ready_without_a_worker(light_service: Service) -> None:
    answer = await light_service.expect_refusal(503, "GET", "/readyz", role=None)
    assert {"field": "worker", "message": "none is alive"} in answer["errors"]


async def test_missing_migrations(light_service: Service) -> None:
    await light_service.resources.lanes.beat()
    await light_service.execute("DELETE FROM tortoise_migrations")
    answer = await light_service.expect_refusal(503, "GET", "/readyz", role=None)
    assert answer["errors"][0]["field"] == "migrations"


async def test_a_read_only_file(light_service: Service) -> None:
    await light_service.resources.lanes.beat()
    await light_service.execute("PRAGMA query_only = ON")
    answer = await light_service.expect_refusal(503, "GET", "/readyz", role=None)
    assert answer["errors"][0] == {"field": "database", "message": "The database is read-only: let Tick write to it."}


async def test_redis_gone(migrated_sqlite_url: str, at_hand: Callable[..., RedisServer]) -> None:
    server = at_hand("redis", RedisServer)
    server.start()
    try:
        async with serve_api(migrated_sqlite_url, server.url) as service:
            server.send(signal.SIGSTOP)
            ready = await service.data("GET", "/readyz", role=None)
            assert (ready["status"], ready["worker"], ready["redis"]) == ("degraded", "unknown", "it does not answer")
            customer_id = await service.customer()
            sent = await service.data("POST", "/api/whatsapp/send", {"phoneNumber": "+15550001234", "message": "Hi"})
            assert sent["delivery"] == "queued"
            server.stop(signal.SIGKILL)
            ticket = await service.data("POST", "/api/tickets", TICKET | {"mobile": "+15550001234"}, status=201)
            assert ticket["delivery"] == "queued"
            assert [row["customer_id"] for row in await service.read_outbox()] == [customer_id] * 2
    finally:
        server.close()


async def test_database_gone(redis_url: str, at_hand: Callable[..., MariaDBServer]) -> None:
    server = at_hand("mariadb", MariaDBServer)
    server.start()
    try:
        url = server.url(server.new_database())
        await migrate(DatabaseSettings(url))
        async with serve_api(url, redis_url) as service:
            await service.data("GET", "/api/tickets")
            server.stop(signal.SIGKILL)
            answer = await service.expect_refusal(503, "GET", "/readyz", role=None)
            assert answer["errors"][0]["field"] == "database"
            refused = await service.expect_refusal(503, "GET", "/api/tickets")
            assert "mysql" not in str(refused).lower()
            await service.expect_refusal(503, "POST", "/api/tickets", TICKET)
            assert (await service.call("GET", "/healthz", role=None)).status_code == 200
            server.start()
            ticket = await service.data("POST", "/api/tickets", TICKET, status=201)
            assert ticket["status"] == "new"
    finally:
        server.close()
