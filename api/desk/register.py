"""The desk, put together and added to an application."""

from collections.abc import Sequence

from quart import Quart, Response
from werkzeug.wrappers import Response as AnyResponse

from api.desk.connection import add_connection
from api.desk.errors import add_agent_errors
from api.desk.guard import keep_door
from api.desk.pages import Pages, go_to
from api.desk.replies import add_writing
from api.desk.sessions import Sessions
from api.desk.sign_in import add_sign_in
from api.desk.sign_in_throttle import SignInThrottle
from api.desk.ticket import TicketPage
from api.desk.tickets import add_tickets
from api.doctor.endpoint import Doctor
from api.services import Services
from api.settings_checks import Network
from api.web.auth import GuardedBlueprint, open_to_all


def add_desk(
    app: Quart, services: Services, sessions: Sessions, doctor: Doctor, trusted_proxies: Sequence[Network] = ()
) -> None:
    """Adds the desk's pages to an application that has the API."""
    sessions.install(app)
    blueprint = GuardedBlueprint("desk", __name__)
    pages = Pages(sessions, services.database)
    keep_door(blueprint, sessions, pages, services.uploads)
    add_sign_in(
        blueprint, sessions, pages, services.database, services.ids, SignInThrottle(services.clock), trusted_proxies
    )
    ticket_page = TicketPage(pages, services.database, services.clock, services.ids)
    add_agent_errors(blueprint, pages, ticket_page)
    add_tickets(blueprint, pages, ticket_page, services.tickets, services.database)
    add_writing(blueprint, sessions, ticket_page, services.replies, services.files, services.database)
    add_connection(blueprint, pages, doctor, services)

    @blueprint.get("/")
    @open_to_all
    async def home() -> AnyResponse:
        """Where an address without a path leads."""
        return go_to("/desk")

    @blueprint.get("/desk/static/<name>")
    @open_to_all
    async def static_file(name: str) -> Response:
        """What the pages load."""
        return pages.file(name) or pages.refuse(404)

    @blueprint.get("/desk/<path:rest>")
    @open_to_all
    async def nothing(rest: str) -> Response:
        """Every other address of the desk."""
        return pages.refuse(404)

    app.register_blueprint(blueprint)
