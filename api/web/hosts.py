"""Answers to the hosts that Tick is reached by, and to no other.

Invariants
- Once PUBLIC_URL is set, a request to another host is refused (421), so that no page of ours is ever shown under a
  name that is a stranger's. Loopback names are never refused, nor what machines ask: the health routes, the metrics
  and the webhook, which have their own callers.
- Browsers that reached the desk by https never try it by http again (HSTS).
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from quart import Quart, Response, request

from api.settings_checks import is_loopback
from api.web.responses import refuse

OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", "/metrics", "/api/whatsapp/webhook", "/api/whatsapp/webhook/"}
)  # for those who can't choose their Host header, or have no use for one
NOT_HERE = (
    "Tick does not answer to this host. Use the address in PUBLIC_URL; if that is what you did, the reverse proxy must "
    "pass the Host header on, or ALLOWED_HOSTS must name this host."
)
HSTS = "max-age=31536000"  # a year


def check_hosts(app: Quart, public_url: str, allowed_hosts: Collection[str]) -> None:
    """Has the application answer to these hosts alone; to any, as long as there is no PUBLIC_URL. Before anything else
    looks at requests."""
    if not public_url:
        return
    public = urlsplit(public_url)
    public_host = public.hostname or ""
    hosts = {public_host, *(host.strip("[]") for host in allowed_hosts)}

    @app.before_request
    async def refuse_other_hosts() -> Response | None:
        host = read_host(request.headers.getlist("Host"))
        if request.path in OPEN_PATHS or host in hosts or is_loopback(host):
            return None
        return refuse(421, NOT_HERE)

    if public.scheme == "https":

        @app.after_request
        async def keep_to_https(response: Response) -> Response:
            if read_host(request.headers.getlist("Host")) == public_host:
                response.headers.setdefault("Strict-Transport-Security", HSTS)
            return response


def read_host(headers: Collection[str]) -> str:
    """Reads the host of a request's Host headers, without its port; "" where there is none, or more than one."""
    if len(headers) != 1:
        return ""
    try:
        host = urlsplit(f"//{next(iter(headers))}").hostname or ""
    except ValueError:
        return ""
    return host.rstrip(".")
