"""All recorded webhook bodies, one after the other into one journal, today; and all of them once more.

What Meta sends again changes nothing but a counter, whatever came between.
"""

from datetime import UTC, datetime

import pytest

from bot.whatsapp.webhook.parse import parse_webhook
from tests.support.places import PAYLOADS
from tests.system.end_to_end.tick import NUMBER, Tick

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODIES = [path.read_bytes() for path in sorted((PAYLOADS / "webhooks").iterdir())]


async def post_all(tick: Tick) -> None:
    for body in BODIES:
        answered = await tick.post(body)
        assert answered.status == 200
    await tick.wait_until_at_rest()


async def test_everything_today_and_everything_again(tick: Tick) -> None:
    tick.clock.set(now := datetime.now(UTC))
    keys = [
        item.key
        for body in BODIES
        for item in parse_webhook(body, phone_number_id=NUMBER.phone_number_id, received_at=now)
    ]
    await post_all(tick)
    counts = (await tick.read_as_agent("/api/whatsapp/status"))["journal"]
    assert counts["received"] == counts["done"] + counts["ignored"] == len(set(keys))
    assert counts["dead"] == counts["pending"] == 0
    assert counts["duplicates"] == len(keys) - len(set(keys))
    assert {status for status, *_ in await tick.read_outbox()} == {"failed(window_closed)"}

    first = await tick.tables.read_snapshot()
    await post_all(tick)
    second = await tick.tables.read_snapshot()
    for table, rows in first.items():
        assert second[table] == rows, table
    again = (await tick.read_as_agent("/api/whatsapp/status"))["journal"]
    assert again == counts | {"duplicates": counts["duplicates"] + len(keys)}
