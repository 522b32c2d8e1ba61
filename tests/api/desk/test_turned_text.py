"""Text that turns itself around, and what stands behind it: whatever customers, agents and Meta write, the page's own
words read from left to right. Looked at in a real browser, letter by letter."""

from playwright.async_api import Browser

from api.web.credentials import Role
from storage import alerts, files, meta_snapshots
from storage.alerts import Alert
from storage.files import FileRow
from storage.sql.columns import to_millis
from storage.sql.database import Tx
from storage.statuses import AlertSeverity, FileState
from tests.api.desk.visitor import PASSWORD, hire
from tests.api.rest_service import NUMBER, PHONE, TICKET, Service

TURNED = "\u2069\u2069\u202eabc \u05d0\u05d1 \u2067def"  # ends an isolation that it did not begin, then turns around
# The page's own words that are drawn from right to left: outside of <bdi>, with a second letter left of the first.
BACKWARDS = """() => {
  const found = [], range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const at = (node, index) => {
    range.setStart(node, index);
    range.setEnd(node, index + 1);
    return range.getBoundingClientRect();
  };
  let looked = 0;
  for (let node; (node = walker.nextNode());) {
    const start = node.data.search(/[A-Za-z0-9]{2}/);
    if (start < 0 || node.parentElement.closest("bdi, textarea, option")) continue;
    const first = at(node, start), second = at(node, start + 1);
    if (!first.width || !second.width) continue;
    looked++;
    if (second.left < first.left) found.push(node.data.trim());
  }
  return [looked, found];
}"""


async def test_the_pages_own_words_stay_as_they_are(light_service: Service, browser: Browser) -> None:
    await light_service.customer()
    ticket_id = int((await light_service.data("POST", "/api/tickets", TICKET | {"mobile": PHONE}, status=201))["id"])
    body = {"ticket_id": ticket_id, "message": f"Is it {TURNED}?", "author": "Alex"}
    await light_service.data("POST", "/api/replies", body, status=201)
    now = light_service.clock.now
    for sql, values in (
        ("UPDATE ticket SET name = ?, description = ?, issue_title = ?, issue_type = ?, email = ?", [TURNED] * 5),
        ("UPDATE customer SET name = ?, unreachable_reason = ?, unreachable_at = ?", [TURNED, TURNED, to_millis(now)]),
        ("UPDATE reply SET author_name = ?", [TURNED]),
        ("UPDATE outbox SET status = 'failed', reason = 'refused', detail = ?", [TURNED]),
        (
            "INSERT INTO reply (id, ticket_id, author, author_name, message, whatsapp_message_id, late, written_at, "
            "created_at) VALUES (5, ?, 'customer', '', ?, 'wamid.1', 0, ?, ?)",
            [ticket_id, TURNED, to_millis(now), to_millis(now)],
        ),
    ):
        await light_service.execute(sql, values)

    lost = FileRow(
        7, "in", "document", FileState.FAILED, now, now, ticket_id=ticket_id, reply_id=5, filename=TURNED, reason=TURNED
    )

    async def write(tx: Tx) -> None:
        await files.insert(tx, [lost])
        await meta_snapshots.claim(tx, NUMBER, now, now - now)
        await meta_snapshots.write(tx, NUMBER, f'{{"number": "+1 555-000-1234", "name": "{TURNED}"}}')
        for subject, severity in (
            ("channel", AlertSeverity.RED),
            ("number:status", AlertSeverity.RED),
            ("number:quality", AlertSeverity.YELLOW),
        ):
            await alerts.raise_alert(tx, Alert(subject, severity, TURNED, now))

    await light_service.resources.database.run(write)
    email = await hire(light_service, Role.ADMIN)
    await light_service.execute("UPDATE agent SET name = ?", [TURNED])
    page = await browser.new_page(viewport={"width": 1200, "height": 900})
    desk = f"http://127.0.0.1:{light_service.port}/desk"
    await page.goto(desk)
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    for path, least in (("", 15), (f"/tickets/{ticket_id}", 25), ("/whatsapp", 30)):
        for width in (1200, 400):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.goto(desk + path)
            await page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            looked, backwards = await page.evaluate(BACKWARDS)
            assert backwards == []
            assert looked >= least
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
