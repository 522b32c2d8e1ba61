"""Serves the page of the connection to WhatsApp: how it does, what is wrong, and what goes out after 24 hours.

Invariants
- All of it is read from what is stored, by what the API reads: nobody who looks makes us ask Meta, but for an admin who
  asks the doctor.
- A channel that is stopped is tried at once when an admin says so. The page then looks again by itself, to say what
  came of it.
"""

from quart import Response, request

from api.desk.pages import AnyResponse, go_to, show_page
from api.desk.services import desk_services
from api.services import services
from api.views.connection import read_status
from api.web.auth import PERMISSIONS, GuardedBlueprint, Permission, caller, needs
from bot.account.phone_number import parse_snapshot
from bot.templates.notice_kinds import NoticeKind
from storage import meta_snapshots

TRIED = "tried"  # in a query string: the admin who comes has just had the channel tried

blueprint = GuardedBlueprint("connection", __name__, url_prefix="/desk/whatsapp")


@blueprint.get("")
@needs(Permission.READ)
async def show_connection() -> Response:
    """Shows how the connection to WhatsApp does."""
    async with services().database.reading() as tx:
        status = await read_status(tx, services().phone_number_id)
        number = parse_snapshot(await meta_snapshots.read(tx, services().phone_number_id))
    assignments = await services().template_assignments.list_assignments()
    return await show_page(
        "connection",
        status=status,
        is_stopped=status.channel.state == "stopped",
        number=number,
        notices=[(kind, [found for found in assignments if found.row.kind == kind]) for kind in NoticeKind],
        may_manage=Permission.MANAGE in PERMISSIONS[caller().role],
        is_trying=request.args.get(TRIED) == "1",
    )


@blueprint.post("/try-now")
@needs(Permission.MANAGE)
async def try_now() -> AnyResponse:
    """Tries at once whether Meta takes messages again."""
    await services().connection.retry_stopped_channel(caller().actor)
    return go_to(f"/desk/whatsapp?{TRIED}=1")


@blueprint.get("/doctor")
@needs(Permission.MANAGE)
async def show_doctor() -> Response:
    """Shows what is wrong with the set-up, and how to fix it."""
    return await show_page("doctor", report=await desk_services().doctor.report())
