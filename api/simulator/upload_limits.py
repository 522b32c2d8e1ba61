"""Room for files: the few routes that take one may get a body as large as Meta's largest file.

The application's own limit is meant for JSON and is fixed when a request is made, before it is routed; hence the class.
The framework writes what is large to a temporary file while it comes.
"""

import re
from typing import Any, Final

from quart import Quart

PATHS: Final = re.compile(r"/simulator/(graph/[^/]+/[^/]+/media|api/customers/[^/]+/files)")
MOST_BYTES: Final = 110 * 1024 * 1024
SECONDS: Final = 600


def make_room(app: Quart) -> None:
    """From now on this application takes files at the simulator's routes."""
    plain: Any = app.request_class

    class Roomy(plain):  # type: ignore[misc]
        def __init__(self, method: str, scheme: str, path: str, *rest: Any, **limits: Any) -> None:
            roomy = method == "POST" and PATHS.fullmatch(path) is not None
            if roomy:
                limits |= {"max_content_length": MOST_BYTES, "body_timeout": SECONDS}
            super().__init__(method, scheme, path, *rest, **limits)
            if roomy:
                self.max_content_length = MOST_BYTES

    app.request_class = Roomy
