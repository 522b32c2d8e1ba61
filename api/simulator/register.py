"""Adds a simulator to an application: the page of phones with its calls, and the Graph API."""

from quart import Blueprint, Quart

from api.simulator.graph.blueprint import graph
from api.simulator.page import page
from api.simulator.simulator import EXTENSION, Simulator
from api.simulator.upload_limits import raise_upload_limits

blueprint = Blueprint("simulator", __name__)
blueprint.register_blueprint(graph)
blueprint.register_blueprint(page)


def add_simulator(app: Quart, simulator: Simulator) -> None:
    """Serves this simulator under /simulator. An application has one at most."""
    app.extensions[EXTENSION] = simulator
    raise_upload_limits(app)
    app.register_blueprint(blueprint)
