"""Lets the few routes that take a file accept larger bodies, as large as Meta's largest file.

The application's own limit is meant for JSON, and Quart fixes it when a request is made, before it is routed; hence a
class of requests that looks at the path. Quart writes what is large to a temporary file while it comes.
"""

import re
from typing import Any, Final

from quart import Quart

from api.server.front_door import get_visit

PATHS: Final = re.compile(r"/simulator/(graph/[^/]+/[^/]+/media|api/customers/[^/]+/files)")
MAX_UPLOAD_BYTES: Final = 110 * 1024 * 1024  # Meta's largest file, and what a form puts around it
UPLOAD_SECONDS: Final = 600
MAX_BYTES_IN_MEMORY: Final = 1024 * 1024  # of a form on its way to the temporary file


def raise_upload_limits(app: Quart) -> None:
    """Lets this application take files at the simulator's routes; everywhere else its limits stay."""
    plain: Any = app.request_class

    class UploadRequest(plain):  # type: ignore[misc]
        def __init__(self, method: str, scheme: str, path: str, *rest: Any, **limits: Any) -> None:
            takes_file = method == "POST" and PATHS.fullmatch(path) is not None
            if takes_file:
                limits |= {"max_content_length": MAX_UPLOAD_BYTES, "body_timeout": UPLOAD_SECONDS}
            super().__init__(method, scheme, path, *rest, **limits)
            if takes_file:
                self.max_content_length = MAX_UPLOAD_BYTES  # the parser of the form has its own look at it
                if visit := get_visit(self.scope):
                    visit.keep_at_most(MAX_BYTES_IN_MEMORY)

    app.request_class = UploadRequest
