"""Adds the agents' API to an application.

Invariants
- Every route of the application either declares here that it needs a permission or is open, or belongs to a blueprint
  that checks its callers itself.
- The description of the API is made from the code that checks its requests.
"""

from quart import Quart
from werkzeug.routing import IntegerConverter

from api import health
from api.rest import document, files, qr, replies, templates, tickets, whatsapp
from api.rest.errors import refuse_agent_error
from api.services import Services, add_services
from api.web.auth import Sessions, guard
from api.web.deferred_writes import run_deferred_writes
from api.web.multipart import take_uploads
from api.web.responses import answer_errors
from bot.agents.errors import AgentError

# In this order they stand in the description.
BLUEPRINTS = (
    tickets.blueprint,
    replies.blueprint,
    whatsapp.blueprint,
    templates.blueprint,
    qr.blueprint,
    files.blueprint,
    health.blueprint,
    document.description,
)


class TicketNumber(IntegerConverter):
    """A ticket's number in an address; what can't be one is an address that isn't there."""

    regex = "[0-9]{1,18}"
    schema = {"type": "integer", "minimum": 1, "examples": [42], "description": "The number of a ticket."}


def add_api(app: Quart, services: Services, sessions: Sessions | None = None) -> None:
    """Adds the API, its answers to errors and its guard, which lets `sessions` in too. Before any other blueprint, or
    after: the routes are checked when the application starts."""
    app.url_map.converters["ticket"] = TicketNumber
    app.url_map.merge_slashes = False  # or two in a row would be answered with a redirect to the Host that was sent
    document.describe_api(app)
    add_services(app, services)
    answer_errors(app)
    guard(app, services.keys, document.OWN_DOORS, sessions)
    take_uploads(app)
    run_deferred_writes(app, services.deferred)
    app.register_error_handler(AgentError, refuse_agent_error)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
