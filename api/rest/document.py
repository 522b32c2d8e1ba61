"""Serves the OpenAPI document of the API, to anybody: it names no customer, no agent and no secret.

Invariants
- It is made of the code that checks the requests, once for a process.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

from quart import Quart, Response, current_app
from quart_schema import HttpSecurityScheme, Info, QuartSchema, Tag, hide
from werkzeug.routing import Rule

from api.rest import webhook_description
from api.web.auth import GuardedBlueprint, open_to_all
from api.web.route_describer import RouteDescriber

OWN_DOORS: Final = frozenset({"webhook", "simulator", "desk"})
DOCUMENT: Final = "tick.openapi"  # the document as it is served, among the extensions of an application
DESCRIPTION: Final = """The agents' API of a support desk on WhatsApp.

- Every call but those marked otherwise wants `Authorization: Bearer KEY`, with a key of `tick key create`.
- What was carried out is answered `{"success": true, "data": ...}`; what was not, `{"success": false, "message": ...}`,
  with `errors` by field where that can be said. Nothing has happened then.
- Ids are strings, all but the numbers of tickets. Times are in UTC. A body has no other fields than these.
- A message that can't go out now is kept, and `delivery` says where it stands: a change of a ticket succeeds all the
  same."""
TAGS: Final = (
    Tag("Tickets", "Open tickets, list them, move them on."),
    Tag("Replies", "Answer customers on a ticket, and read what was said."),
    Tag("Files", "Upload files for customers, and read theirs."),
    Tag("WhatsApp", "Write to customers outside of any ticket, and see how the connection to Meta does."),
    Tag("Templates", "What goes out when a customer has not written for 24 hours."),
    Tag("QR codes", "Codes for print that open a chat with us."),
    Tag("Health", "For those who watch over the service."),
    Tag(webhook_description.TAG, "The door that Meta calls."),
)
description = GuardedBlueprint("description", __name__)


class ApiDescriber(RouteDescriber):
    """Limits the document to the API: not the simulator nor the desk's pages. Of Meta's door it has what is written."""

    def generate_rules(self) -> Iterable[Rule]:
        for rule in super().generate_rules():
            if rule.endpoint.partition(".")[0] not in OWN_DOORS:
                yield rule

    def schema(self) -> dict[str, Any]:
        document = super().schema()
        document["paths"] |= webhook_description.PATHS
        document["components"]["schemas"] |= webhook_description.SCHEMAS
        return document


def describe_api(app: Quart) -> None:
    """Lets the application describe its routes."""
    schema = QuartSchema(
        openapi_path=None,
        info=Info(title="Tick", version="1", description=DESCRIPTION),
        tags=list(TAGS),
        security_schemes={"key": HttpSecurityScheme(scheme="bearer")},
        security=[{"key": []}],
        conversion_preference="pydantic",
        openapi_provider_class=ApiDescriber,
    )
    schema.init_app(app)


@description.get("/api/openapi.json")
@open_to_all
@hide
async def read_document() -> Response:
    """Read what the API takes and answers, in OpenAPI."""
    extensions = current_app.extensions
    if DOCUMENT not in extensions:  # a tenth of a second of work, which the event loop is spared
        extensions[DOCUMENT] = await asyncio.to_thread(_render, extensions["QUART_SCHEMA"])
    return Response(extensions[DOCUMENT], content_type="application/json")


def _render(schema: QuartSchema) -> str:
    return json.dumps(schema.openapi_provider.schema())
