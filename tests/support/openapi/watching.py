"""The simulator's ears: what our client asks a simulator that runs inside of a test is seen as it would be by Meta."""

from quart import Quart, request

from tests.support.openapi import contract

GRAPH = "/simulator/graph/"


def watch(app: Quart) -> None:
    """Call it on the app that the simulator's blueprint is registered with. Tests that ask the simulator themselves, to
    see what it refuses, do not say that they are us."""

    @app.before_request
    async def look() -> None:
        of_ours = request.headers.get("User-Agent", "").startswith("tick/")
        if request.path.startswith(GRAPH) and of_ours and "/files/" not in request.path:
            read = request.mimetype == "application/json"
            body = bytes(await request.body) if read else None
            contract.seen(request.method, request.full_path.rstrip("?"), dict(request.headers), body)
