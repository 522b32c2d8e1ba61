"""Adds the desk to an application.

Invariants
- Every route of the desk stands below one blueprint, whose guard and whose error handlers answer for all.
"""

from quart import Quart

from api.desk import connection, home, replies, sign_in, tickets
from api.desk.errors import add_error_handlers
from api.desk.guard import let_in
from api.desk.services import DeskServices, add_desk_services
from api.web.auth import GuardedBlueprint

BLUEPRINTS = (home.blueprint, sign_in.blueprint, tickets.blueprint, replies.blueprint, connection.blueprint)


def add_desk(app: Quart, built: DeskServices) -> None:
    """Adds the desk's pages to an application that has the API."""
    built.sessions.install(app)
    add_desk_services(app, built)
    desk = GuardedBlueprint("desk", __name__)
    desk.before_request(let_in)
    add_error_handlers(desk)
    for blueprint in BLUEPRINTS:
        desk.register_blueprint(blueprint)
    app.register_blueprint(desk)
