"""Nothing takes longer for all that a desk has gathered: no route counts, sorts or reads a table that grows."""

import itertools
from datetime import timedelta

import pytest

from api.web.credentials import Role
from storage import bench_seed, customer_join, journal_retention, outbox_reads
from storage.customer_join import Join
from storage.overdue import find_overdue_customers
from tests.api.desk.visitor import visitor
from tests.api.rest_service import Service
from tests.support.query_plans import find_wide_looks, watching
from tests.support.servers import MariaDBServer

ITEMS = 10_000
FILTERS = ("status=closed", "issue_type=hardware", "mobile=%2B15550000020")
NOT_ASKED = ("/desk/whatsapp/doctor", "/api/whatsapp/qr", "/openapi", "/api/openapi.json")  # ask Meta, or nobody


@pytest.fixture
def server(request: pytest.FixtureRequest, migrated_url: str) -> MariaDBServer | None:
    """The server of the database, where it has one."""
    if migrated_url.startswith("sqlite"):
        return None
    found: MariaDBServer = request.getfixturevalue("mariadb_server")
    return found


def list_addresses(service: Service) -> list[str]:
    """Every address that is read without an id, and one of each that takes a ticket's; the list in all its forms."""
    rules = [rule for rule in service.app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    plain = [rule.rule for rule in rules if not rule.arguments]
    of_tickets = [rule.rule.replace("<ticket:ticket_id>", "77") for rule in rules if rule.arguments == {"ticket_id"}]
    chosen = [address for address in (*plain, *of_tickets) if not address.startswith(NOT_ASKED)]
    filters = ["&".join(some) for count in range(len(FILTERS) + 1) for some in itertools.combinations(FILTERS, count)]
    lists = [f"/api/tickets?{some}&page={page}" for some in filters for page in (1, 20)]
    return [*chosen, *lists, "/desk?status=closed&page=9"]


async def test_no_route_looks_at_a_whole_table(
    service: Service, migrated_url: str, server: MariaDBServer | None
) -> None:
    await bench_seed.seed(service.resources.database, ITEMS, service.clock.now, lambda line: None)
    addresses = list_addresses(service)
    assert {"/api/whatsapp/status", "/metrics", "/desk/whatsapp", "/api/tickets", "/desk"} <= set(addresses)
    async with visitor(service, Role.ADMIN) as alex, watching(service.resources.database, server) as statements:
        answers = {address: (await alex.get(address)).status_code for address in addresses}
    assert {address: status for address, status in answers.items() if status >= 500 and address != "/readyz"} == {}
    assert any("FROM ticket" in statement for statement in statements)
    assert any("FROM kept_count" in statement for statement in statements)
    assert find_wide_looks(migrated_url, statements) == []


async def test_no_join_of_customers_looks_at_a_whole_table(
    service: Service, migrated_url: str, server: MariaDBServer | None
) -> None:
    database = service.resources.database
    await bench_seed.seed(database, ITEMS, service.clock.now, lambda line: None)
    (kept,), (joined,) = await service.rows("SELECT id FROM customer ORDER BY id LIMIT 2")
    async with watching(database, server) as statements:
        await database.run(lambda tx: customer_join.join(tx, Join(kept, joined, 1)))
    assert any("ticket_event" in statement for statement in statements)
    assert find_wide_looks(migrated_url, statements) == []


async def test_no_loop_looks_at_a_whole_table(
    service: Service, migrated_url: str, server: MariaDBServer | None
) -> None:
    """What a worker asks each second, and each hour, while nothing is to be done."""
    database, now = service.resources.database, service.clock.now
    await bench_seed.seed(database, ITEMS, now, lambda line: None)
    async with watching(database, server) as statements:
        async with database.reading() as tx:
            await find_overdue_customers(tx, now, timedelta(seconds=1), 1000, fresh_for=timedelta(seconds=10))
            await outbox_reads.find_due_customers(tx, now, now, ["us"], 1000)
        for _ in range(40):
            await database.run(lambda tx: journal_retention.apply_retention(tx, now, 50))
    assert find_wide_looks(migrated_url, statements) == []
