"""Decides who may call the simulator: this machine, and no web page from elsewhere.

It has no sign-in, hence two checks:

- The host in the address must be a name of the loopback interface: a page that rebinds its own name to 127.0.0.1 (DNS
  rebinding) is turned away.
- What changes anything must come from the simulator's own page, or from a program (cross-site request forgery).
"""

import ipaddress
from urllib.parse import urlsplit

from quart import Response, request

from api.simulator.json_api import make_error_response


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine and nothing else."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refuse_other_hosts() -> Response | None:
    """Answers 403 to a request under another host's name; a `before_request` of all that the simulator serves."""
    if is_loopback(request.headers.get("Host", "")):
        return None
    return make_error_response(403, "The simulator answers only at localhost.")


def refuse_other_pages() -> Response | None:
    """Refuses a change that another web page may have sent; a `before_request` of what the page calls."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    # A page from elsewhere can't send these without being asked first, nor a DELETE.
    if request.method != "DELETE" and request.mimetype not in {"application/json", "multipart/form-data"}:
        return make_error_response(415, "Send application/json or multipart/form-data.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        return make_error_response(403, "Another web page can't use the simulator.")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return make_error_response(403, "Another web page can't use the simulator.")
    return None
