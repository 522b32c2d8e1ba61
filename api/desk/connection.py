"""The connection to WhatsApp as people at the desk see it: how it does, what is wrong, what goes out after 24 hours.

Invariants: all of it is read from what is stored, by what the API reads, so nobody who looks makes us ask Meta, but for
an admin who asks the doctor; a channel that stands still is tried at once when an admin says so, and the page looks
again by itself to tell what came of it.
"""

from collections.abc import Mapping

from quart import Response, request
from werkzeug.wrappers import Response as AnyResponse

from api.desk.pages import Pages, go_to
from api.doctor.endpoint import Doctor
from api.services import Services
from api.views.connection import read_status
from api.web.auth import PERMISSIONS, GuardedBlueprint, Permission, caller, needs
from bot.account.phone_number import parse_snapshot
from bot.templates.notice_kinds import NoticeKind
from storage import meta_snapshots

HERE = "/desk/whatsapp"
TRIED = "tried"
NOTICE_WORDS: Mapping[NoticeKind, str] = {
    NoticeKind.OPENED: "An agent opens a ticket",
    NoticeKind.NEW: "A ticket is back in line",
    NoticeKind.IN_PROGRESS: "A ticket becomes in progress",
    NoticeKind.WAITING: "A ticket becomes waiting",
    NoticeKind.RESOLVED: "A ticket becomes resolved",
    NoticeKind.CLOSED: "A ticket becomes closed",
    NoticeKind.REPLY: "An agent's own words",
}


def add_connection(blueprint: GuardedBlueprint, pages: Pages, doctor: Doctor, services: Services) -> None:
    """The routes for who looks after the connection."""

    @blueprint.get(HERE)
    @needs(Permission.READ)
    async def connection() -> Response:
        """How the connection to WhatsApp does."""
        async with services.database.reading() as tx:
            status = await read_status(tx, services.phone_number_id)
            number = parse_snapshot(await meta_snapshots.read(tx, services.phone_number_id))
        listed = await services.template_assignments.list_assignments()
        return await pages.show(
            "connection",
            status=status,
            number=number,
            notices=[(NOTICE_WORDS[kind], [each for each in listed if each.row.kind == kind]) for kind in NoticeKind],
            may_manage=Permission.MANAGE in PERMISSIONS[caller().role],
            trying=request.args.get(TRIED) == "1",
        )

    @blueprint.post(f"{HERE}/try-now")
    @needs(Permission.MANAGE)
    async def try_now() -> AnyResponse:
        """Tries at once whether Meta takes messages again."""
        await services.connection.retry_stopped_channel(caller().actor)
        return go_to(f"{HERE}?{TRIED}=1")

    @blueprint.get(f"{HERE}/doctor")
    @needs(Permission.MANAGE)
    async def examination() -> Response:
        """What is wrong with the set-up, and how to mend it."""
        return await pages.show("doctor", report=await doctor.report())
