"""Records what our client asks a simulator that runs inside of a test, for the check against Meta's document."""

from quart import Quart, request

from tests.support.openapi import contract

GRAPH = "/simulator/graph/"


def watch_requests(app: Quart) -> None:
    """Records the requests to an app that the simulator's blueprint is registered with.

    Tests that ask the simulator themselves, to see what it refuses, do not have our User-Agent.
    """

    @app.before_request
    async def record() -> None:
        of_ours = request.headers.get("User-Agent", "").startswith("tick/")
        if request.path.startswith(GRAPH) and of_ours and "/files/" not in request.path:
            read = request.mimetype == "application/json"
            body = bytes(await request.body) if read else None
            contract.record_request(request.method, request.full_path.rstrip("?"), dict(request.headers), body)
