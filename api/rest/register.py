"""Adds the agents' API to an application.

Invariants
- Every route of the application either declares here that it needs a permission or is open, or belongs to a blueprint
  that checks its callers itself.
- The description of the API is made from the code that checks its requests.
"""

import json
from collections.abc import Iterable

from quart import Quart, Response, current_app
from quart_schema import HttpSecurityScheme, Info, QuartSchema, hide
from quart_schema.openapi import OpenAPIProvider
from werkzeug.routing import IntegerConverter, Rule

from api import health
from api.rest import files, qr, replies, templates, tickets, whatsapp
from api.rest.errors import refuse_agent_error
from api.services import Services, add_services
from api.web.auth import GuardedBlueprint, Permission, Sessions, guard, needs
from api.web.deferred_writes import run_deferred_writes
from api.web.multipart import take_uploads
from api.web.responses import answer_errors
from bot.agents.errors import AgentError

OWN_DOORS = frozenset({"webhook", "simulator", "desk"})
description = GuardedBlueprint("description", __name__)
# In this order they stand in the description.
BLUEPRINTS = (
    tickets.blueprint,
    replies.blueprint,
    whatsapp.blueprint,
    templates.blueprint,
    qr.blueprint,
    files.blueprint,
    health.blueprint,
    description,
)


class TicketNumber(IntegerConverter):
    """A ticket's number in an address; what can't be one is an address that isn't there."""

    regex = "[0-9]{1,18}"


class GuardedRoutes(OpenAPIProvider):
    """Limits the OpenAPI document to the routes of the API: not the simulator, the desk's pages, nor the door that Meta
    alone uses."""

    def generate_rules(self) -> Iterable[Rule]:
        for rule in super().generate_rules():
            if rule.endpoint.partition(".")[0] not in OWN_DOORS:
                yield rule


def add_api(app: Quart, services: Services, sessions: Sessions | None = None) -> None:
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
    add_services(app, services)
    answer_errors(app)
    guard(app, services.keys, OWN_DOORS, sessions)
    take_uploads(app)
    run_deferred_writes(app, services.deferred)
    app.register_error_handler(AgentError, refuse_agent_error)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)


@description.get("/api/openapi.json")
@needs(Permission.READ)
@hide
async def openapi() -> Response:
    """The API, described."""
    schema: QuartSchema = current_app.extensions["QUART_SCHEMA"]
    return Response(json.dumps(schema.openapi_provider.schema()), content_type="application/json")
