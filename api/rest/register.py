"""The agents' API, put together and added to an application.

Invariants: every route of the application is either declared here to need a permission or to be open, or belongs to a
blueprint that keeps its own door; the description of the API is made from the code that checks its requests.
"""

import json
from collections.abc import Iterable

from quart import Blueprint, Quart, Response
from quart_schema import HttpSecurityScheme, Info, QuartSchema, hide
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import IntegerConverter, Rule

from api.health import make_health
from api.rest.errors import refuse_agent_error
from api.rest.files import make_files
from api.rest.qr import make_qr
from api.rest.replies import make_replies
from api.rest.templates import make_templates
from api.rest.tickets import make_tickets
from api.rest.whatsapp import make_whatsapp
from api.services import ApiParts
from api.web.auth import GuardedBlueprint, KeyRing, Permission, Sessions, guard, needs
from api.web.responses import answer_errors
from api.web.uploads import Uploads
from bot.account.qr_codes import QrCodes
from bot.agents.connection import ConnectionCommands
from bot.agents.errors import AgentError
from bot.agents.messages import MessageCommands
from bot.agents.replies import ReplyCommands
from bot.agents.tickets import TicketCommands
from bot.agents.transaction import AgentTransaction
from bot.templates.assignments import TemplateAssignments

OWN_DOORS = frozenset({"webhook", "simulator", "desk"})


class TicketNumber(IntegerConverter):
    """A ticket's number in an address; what can't be one is an address that isn't there."""

    regex = "[0-9]{1,18}"


class GuardedRoutes(OpenAPIProvider):
    """Describes what the guard keeps: not the simulator, the desk's pages, nor the door that Meta alone uses."""

    def generate_rules(self) -> Iterable[Rule]:
        for rule in super().generate_rules():
            if rule.endpoint.partition(".")[0] not in OWN_DOORS:
                yield rule


def add_api(app: Quart, parts: ApiParts, sessions: Sessions | None = None) -> None:
    """Adds the API, its answers to errors and its guard, which lets `sessions` in too. Before any other blueprint, or
    after: the routes are checked when the application starts."""
    app.url_map.converters["ticket"] = TicketNumber
    app.url_map.merge_slashes = False  # or two in a row would be answered with a redirect to the Host that was sent
    schema = QuartSchema(
        openapi_path=None,
        info=Info(title="Tick", version="1", description="The agents' API of a support desk on WhatsApp."),
        security_schemes={"key": HttpSecurityScheme(scheme="bearer")},
        security=[{"key": []}],
        conversion_preference="pydantic",
        openapi_provider_class=GuardedRoutes,
    )
    schema.init_app(app)
    answer_errors(app)
    guard(app, KeyRing(parts.database, parts.clock), OWN_DOORS, sessions)
    app.register_error_handler(AgentError, refuse_agent_error)
    uploads = Uploads(parts.database, parts.store, parts.ids, parts.clock)
    transaction = AgentTransaction(parts.database, parts.lanes, parts.ids, parts.clock)
    replies = ReplyCommands(transaction)
    blueprints: list[Blueprint] = [
        make_tickets(TicketCommands(transaction, parts.numbers), replies, parts.database, parts.clock),
        make_replies(replies, parts.database),
        make_whatsapp(
            MessageCommands(transaction), ConnectionCommands(transaction), parts.database, parts.phone_number_id
        ),
        make_templates(parts.supplies.templates, TemplateAssignments(parts.database, parts.ids, parts.clock)),
        make_qr(parts.supplies.phone_number, QrCodes(parts.graph)),
        make_files(parts.database, parts.store, uploads, parts.ids, parts.clock, parts.supplies.media.ring),
        make_health(parts),
        _make_description(schema),
    ]
    for blueprint in blueprints:
        app.register_blueprint(blueprint)


def _make_description(schema: QuartSchema) -> GuardedBlueprint:
    blueprint = GuardedBlueprint("description", __name__)

    @blueprint.get("/api/openapi.json")
    @needs(Permission.READ)
    @hide
    async def openapi() -> Response:
        """The API, described."""
        return Response(json.dumps(schema.openapi_provider.schema()), content_type="application/json")

    return blueprint
