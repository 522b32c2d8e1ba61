"""Checks the callback: the way from Meta, through whatever stands in between, to the webhook of the running Tick."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from api.doctor.check_context import CheckContext
from api.doctor.finding import Finding, fail_check, pass_check
from api.server.client_address import Network
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH, ProbeReport
from bot.whatsapp.diagnostics.reachability import Step, is_on_this_machine
from bot.whatsapp.diagnostics.webhook_check import FORGED_ADDRESS, Handshake, Responder, read_page_title

MIN_PREFIX_BITS = {4: 8, 6: 16}  # by the version of IP: no proxy's network is larger
NOT_FROM_HERE = " If webhooks arrive all the same, only this machine can't reach its own public address."


async def check_server(context: CheckContext) -> Finding:
    """Checks that a Tick answers, here or at PUBLIC_URL."""
    settings, own = context.loaded_settings, context.own_url
    if await context.is_running_here():
        return pass_check(f"Tick answers at {own}.")
    if context.public_url and (await context.check_handshake(context.public_url)).is_tick:
        return pass_check("Tick answers at PUBLIC_URL; it runs on another machine than this doctor.")
    if await context.find_obstacle(own) is None:
        return fail_check(
            f"Another program than Tick answers at {own}.",
            f"Stop it, or set PORT to another number than {settings.port}, and start `{context.command}`.",
        )
    return fail_check(
        f"Tick is not running: nothing answers at {own}.", f"Start `{context.command}`, and read what it says."
    )


async def check_public_url(context: CheckContext) -> Finding:
    """Checks that PUBLIC_URL is an address that Meta can call."""
    url = context.public_url
    if not url:
        return fail_check(
            "PUBLIC_URL is not set, so nobody can tell whether Meta reaches Tick.",
            "Set PUBLIC_URL to the address at which your reverse proxy or tunnel serves Tick, such as "
            "https://desk.example.com",
        )
    if not context.has_local_meta and is_on_this_machine(url):
        return fail_check(
            "PUBLIC_URL names this machine alone: Meta can't call it.",
            "Set PUBLIC_URL to the address that others use, of a reverse proxy or a tunnel.",
        )
    if not context.has_local_meta and not url.startswith("https://"):
        return fail_check(
            "PUBLIC_URL begins with http://, and Meta only calls https://.",
            "Let your reverse proxy serve TLS, and set PUBLIC_URL to https://...",
        )
    return pass_check(f"{url} is where Meta calls.")


async def check_callback(context: CheckContext) -> Finding:
    """Checks that a connection to PUBLIC_URL comes about."""
    obstacle = await context.find_obstacle(context.public_url)
    if obstacle is None or obstacle.step is Step.TLS:
        return pass_check("There is a connection.")
    host = urlsplit(context.public_url).hostname
    match obstacle.step:
        case Step.NAME:
            return fail_check(
                f"The name {host} of PUBLIC_URL is not found in DNS.",
                f"Correct the name in PUBLIC_URL, or add a DNS record for {host}.",
            )
        case Step.REFUSED:
            return fail_check(
                f"{context.public_url} refuses the connection: nothing listens there.",
                "Start the reverse proxy or the tunnel, and check the port in PUBLIC_URL.",
            )
        case Step.SILENT:
            return fail_check(
                f"{context.public_url} does not answer: a connection does not come about in time.",
                f"Open its port in the firewall, and see that the DNS record names the right machine.{NOT_FROM_HERE}",
            )
    return fail_check(f"There is no way to {host} from here.", f"Check the network and the DNS record.{NOT_FROM_HERE}")


async def check_tls(context: CheckContext) -> Finding:
    """Checks that the certificate of PUBLIC_URL is one that Meta accepts."""
    obstacle = await context.find_obstacle(context.public_url)
    if obstacle is None or obstacle.step is not Step.TLS:
        return pass_check(
            "The certificate is good." if context.public_url.startswith("https:") else "TLS is not used here."
        )
    host = urlsplit(context.public_url).hostname
    if "certificate" not in obstacle.why and not obstacle.why.startswith(("it ", "its ")):
        return fail_check(f"TLS at {host} is broken: {obstacle.why}.", "Let the reverse proxy serve TLS on this port.")
    return fail_check(
        f"Meta does not accept the certificate of {host}: {obstacle.why}.",
        f"Serve a certificate for {host} from a public authority such as Let's Encrypt, with its whole chain.",
    )


async def check_callback_answer(context: CheckContext) -> Finding:
    """Checks that it is Tick that answers at PUBLIC_URL."""
    seen = await context.check_handshake(context.public_url)
    url = context.public_url + WEBHOOK_PATH
    titled = f" titled {seen.detail!r}" if seen.detail else ""
    match seen.responder:
        case Responder.NOTHING:
            return fail_check(f"{url}: {seen.detail}.", "Check the reverse proxy or the tunnel, and what it passes on.")
        case Responder.NOT_FOUND:
            return fail_check(
                f"{url} is answered with 404 Not Found{titled}: not by Tick, which has this path.",
                "Let the reverse proxy pass this path on to Tick unchanged, or correct the path in PUBLIC_URL.",
            )
        case Responder.PAGE:
            return fail_check(
                f"{url} is answered with a web page{titled} (HTTP {seen.status}) and not by Tick.",
                "Most often that is a tunnel's warning, a sign-in page or a default site: switch it off for this path.",
            )
        case Responder.REDIRECT:
            return fail_check(
                f"{url} is redirected to {seen.detail} (HTTP {seen.status}), and Meta does not follow.",
                "Set PUBLIC_URL to the address where it ends, or let the proxy pass the request on instead.",
            )
        case Responder.GATEWAY:
            return fail_check(
                f"The proxy at {context.public_url} answers, and does not reach Tick behind it (HTTP {seen.status}).",
                f"Let it pass requests on to {context.own_url}, or wherever HOST and PORT put Tick.",
            )
        case Responder.STRANGE:
            return fail_check(
                f"{url} is answered with HTTP {seen.status}, and not by Tick.",
                "Check what stands in front: a firewall, a sign-in, another service at this address.",
            )
    return pass_check("Tick answers there.")


async def check_verify_token(context: CheckContext) -> Finding:
    """Checks that the Tick at PUBLIC_URL has the verify token of these settings."""
    seen = await context.check_handshake(context.public_url)
    if seen.responder is Responder.TICK:
        return pass_check("The handshake passes: the challenge came back.")
    reason = "The handshake came back with 403 Webhook verification failed: Tick there has another verify token"
    return fail_check(
        f"{reason} than WHATSAPP_VERIFY_TOKEN.", await _suggest_setting_fix(context, "WHATSAPP_VERIFY_TOKEN")
    )


async def _suggest_setting_fix(context: CheckContext, name: str) -> str:
    """Returns how to fix it: PUBLIC_URL leads to another Tick, or to this one with an older value."""
    own: Handshake | None = (
        await context.check_handshake(context.own_url) if await context.find_obstacle(context.own_url) is None else None
    )
    if own is not None and own.responder is Responder.TICK:
        return f"PUBLIC_URL leads to another Tick than the one at {context.own_url}: let it lead here."
    return f"{context.restart} If it was started with other settings than these, set the same {name} for both."


async def check_signed_webhook(context: CheckContext) -> Finding:
    """Checks that a signed webhook gets through unchanged, to a Tick that has the app secret of these settings."""
    came = await context.probe(context.public_url)
    if isinstance(came, ProbeReport):
        return pass_check("A signed webhook gets through unchanged.")
    if came.status == 401:
        own = await context.probe(context.own_url) if await context.is_running_here() else None
        if isinstance(own, ProbeReport):
            return fail_check(
                "A signed webhook is refused (401) at PUBLIC_URL, and taken by Tick itself: something in between "
                "changes the body or the signature.",
                "Let the proxy pass the body and X-Hub-Signature-256 on byte by byte: no rewriting, no compression.",
            )
        return fail_check(
            "A signed webhook is refused (401): the running Tick has another app secret than WHATSAPP_APP_SECRET.",
            f"{context.restart} If it was started with other settings than these, set the same WHATSAPP_APP_SECRET for "
            "both.",
        )
    if came.failure:
        return fail_check(f"A signed webhook gets no answer: {came.failure}.", "Let the proxy pass POST on to Tick.")
    titled = f" with a page titled {title!r}" if (title := read_page_title(came.body)) else ""
    return fail_check(
        f"A signed webhook is answered{titled} (HTTP {came.status}) and not by Tick, though the handshake is.",
        "Let the proxy, or the firewall before it, pass POST on to Tick as it does GET.",
    )


async def check_proxies(context: CheckContext) -> Finding:
    """Checks that X-Forwarded-For is believed from the reverse proxies, and from nobody else."""
    seen = await context.probe(context.public_url)
    if not isinstance(seen, ProbeReport):
        return fail_check("Tick did not say how a request looks to it.", context.restart)
    trusted = context.loaded_settings.trusted_proxies
    if wide := [network for network in trusted if network.prefixlen < MIN_PREFIX_BITS[network.version]]:
        return fail_check(
            f"TRUSTED_PROXIES trusts too far: {wide[0]} is a part of the whole internet.",
            "Set TRUSTED_PROXIES to the addresses of your reverse proxies alone.",
        )
    hops = [hop.strip() for line in seen.forwarded for hop in line.split(",")]
    added = hops[hops.index(FORGED_ADDRESS) + 1 :] if FORGED_ADDRESS in hops else hops
    if seen.believed == FORGED_ADDRESS and not (added and _is_within(added[-1], trusted)):
        return fail_check(
            f"TRUSTED_PROXIES trusts too far: {seen.peer} passed on an address that the doctor had made up, and Tick "
            "believed it. Anybody can pose as anybody.",
            f"Take {seen.peer} out of TRUSTED_PROXIES, or let the proxy there add who connects to it to "
            "X-Forwarded-For.",
        )
    behind = bool(added) or (context.public_url.startswith("https:") and seen.scheme == "http")
    if behind and not seen.peer_trusted:
        return fail_check(
            f"Requests come through a proxy at {seen.peer} that is not trusted: to Tick everybody has the same "
            "address, and one person can lock everybody out of the sign-in.",
            f"Set TRUSTED_PROXIES={seen.peer} and restart `{context.command}`"
            + ("." if added else ", and let the proxy set X-Forwarded-For."),
        )
    if behind and not added:
        return fail_check(
            f"The proxy at {seen.peer} doesn't say whom it forwards requests for.",
            "Let it set X-Forwarded-For to the address that connects to it.",
        )
    return pass_check(
        f"A proxy at {seen.peer} says who is calling, and Tick believes it." if behind else "No proxy is in between."
    )


def _is_within(hop: str, trusted: Sequence[Network]) -> bool:
    """Whether this hop is a private address in the trusted networks: then it was the doctor that called from there."""
    try:
        address = ip_address(hop)
    except ValueError:
        return False
    return not address.is_global and any(address in network for network in trusted)
