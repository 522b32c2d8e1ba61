"""Who may talk to the simulator: this machine, and no web page from elsewhere.

It has no sign-in, so the name in the address must be the loopback's (a page that rebinds its own name to 127.0.0.1
is turned away), and what changes anything must come from our own page or from no page at all.
"""

import ipaddress
from urllib.parse import urlsplit

from quart import Response, jsonify, request


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


def refuse_strangers() -> Response | None:
    """For before_request of all that the simulator serves."""
    if is_loopback(request.headers.get("Host", "")):
        return None
    return refusal(403, "The simulator answers only at localhost.")


def refuse_other_pages() -> Response | None:
    """For before_request of what the page calls: a change comes from the page itself, or from a program."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    # A page from elsewhere can't send these without being asked first, nor a DELETE.
    if request.method != "DELETE" and request.mimetype not in {"application/json", "multipart/form-data"}:
        return refusal(415, "Send application/json or multipart/form-data.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        return refusal(403, "Another web page can't use the simulator.")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return refusal(403, "Another web page can't use the simulator.")
    return None


def refusal(status: int, message: str) -> Response:
    answer = jsonify({"success": False, "message": message})
    answer.status_code = status
    return answer
