"""The checks of the way in: from Meta, through whatever stands in between, to the running Tick."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from api.doctor.check_context import Exam
from api.doctor.finding import Finding, bad, good
from api.settings_checks import Network
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH, ProbeReport
from bot.whatsapp.diagnostics.reachability import Step, is_on_this_machine
from bot.whatsapp.diagnostics.webhook_check import FORGED_ADDRESS, Handshake, Responder, read_page_title

WIDEST = {4: 8, 6: 16}  # no proxy's network is larger
NOT_FROM_HERE = " If webhooks arrive all the same, only this machine can't reach its own public address."
RESTART = "Restart `tick serve`: it reads its settings when it starts."


async def server(exam: Exam) -> Finding:
    """Does Tick run?"""
    settings, own = exam.known, exam.own_url
    if await exam.runs_here():
        return good(f"Tick answers at {own}.")
    if exam.public_url and (await exam.handshake(exam.public_url)).is_tick:
        return good("Tick answers at PUBLIC_URL; it runs on another machine than this doctor.")
    if await exam.way_to(own) is None:
        return bad(
            f"Another program than Tick answers at {own}.",
            f"Stop it, or set PORT to another number than {settings.port}, and start `tick serve`.",
        )
    return bad(f"Tick is not running: nothing answers at {own}.", "Start `tick serve`, and look at what it says.")


async def public_url(exam: Exam) -> Finding:
    """Is there an address that Meta can call?"""
    url = exam.public_url
    if not url:
        return bad(
            "PUBLIC_URL is not set, so nobody can tell whether Meta reaches Tick.",
            "Set PUBLIC_URL to the address at which your reverse proxy or tunnel serves Tick, such as "
            "https://desk.example.com",
        )
    if not exam.stand_in and is_on_this_machine(url):
        return bad(
            "PUBLIC_URL names this machine alone: Meta can't call it.",
            "Set PUBLIC_URL to the address that others use, of a reverse proxy or a tunnel.",
        )
    if not exam.stand_in and not url.startswith("https://"):
        return bad(
            "PUBLIC_URL begins with http://, and Meta calls https:// alone.",
            "Let your reverse proxy serve TLS, and set PUBLIC_URL to https://...",
        )
    return good(f"{url} is where Meta calls.")


async def callback(exam: Exam) -> Finding:
    """Does a connection come about?"""
    broken = await exam.way_to(exam.public_url)
    if broken is None or broken.step is Step.TLS:
        return good("There is a connection.")
    host = urlsplit(exam.public_url).hostname
    match broken.step:
        case Step.NAME:
            return bad(
                f"The name {host} of PUBLIC_URL is not found in DNS.",
                f"Mend the name in PUBLIC_URL, or add a DNS record for {host}.",
            )
        case Step.REFUSED:
            return bad(
                f"{exam.public_url} refuses the connection: nothing listens there.",
                "Start the reverse proxy or the tunnel, and look at the port in PUBLIC_URL.",
            )
        case Step.SILENT:
            return bad(
                f"{exam.public_url} does not answer: a connection does not come about in time.",
                f"Open its port in the firewall, and see that the DNS record names the right machine.{NOT_FROM_HERE}",
            )
    return bad(f"There is no way to {host} from here.", f"Look at the network, and at the DNS record.{NOT_FROM_HERE}")


async def tls(exam: Exam) -> Finding:
    """Is the certificate one that Meta accepts?"""
    broken = await exam.way_to(exam.public_url)
    if broken is None or broken.step is not Step.TLS:
        return good("The certificate is good." if exam.public_url.startswith("https:") else "No TLS is spoken here.")
    host = urlsplit(exam.public_url).hostname
    if "certificate" not in broken.why and not broken.why.startswith(("it ", "its ")):
        return bad(f"TLS at {host} is broken: {broken.why}.", "Let the reverse proxy serve TLS on this port.")
    return bad(
        f"Meta does not accept the certificate of {host}: {broken.why}.",
        f"Serve a certificate for {host} from a public authority such as Let's Encrypt, with its whole chain.",
    )


async def callback_answer(exam: Exam) -> Finding:
    """Is it Tick that answers there?"""
    seen = await exam.handshake(exam.public_url)
    url = exam.public_url + WEBHOOK_PATH
    titled = f" titled {seen.detail!r}" if seen.detail else ""
    match seen.responder:
        case Responder.NOTHING:
            return bad(f"{url}: {seen.detail}.", "Look at the reverse proxy or the tunnel, and at what it passes on.")
        case Responder.NOT_FOUND:
            return bad(
                f"{url} is answered with 404 Not Found{titled}: not by Tick, which has this path.",
                "Let the reverse proxy pass this path on to Tick unchanged, or mend the path in PUBLIC_URL.",
            )
        case Responder.PAGE:
            return bad(
                f"{url} is answered with a web page{titled} (HTTP {seen.status}) and not by Tick.",
                "Most often that is a tunnel's warning, a sign-in page or a default site: switch it off for this path.",
            )
        case Responder.REDIRECT:
            return bad(
                f"{url} is redirected to {seen.detail} (HTTP {seen.status}), and Meta does not follow.",
                "Set PUBLIC_URL to the address where it ends, or let the proxy pass the request on instead.",
            )
        case Responder.GATEWAY:
            return bad(
                f"The proxy at {exam.public_url} answers, and does not reach Tick behind it (HTTP {seen.status}).",
                f"Let it pass requests on to {exam.own_url}, or wherever HOST and PORT put Tick.",
            )
        case Responder.STRANGE:
            return bad(
                f"{url} is answered with HTTP {seen.status}, and not by Tick.",
                "Look at what stands in front: a firewall, a sign-in, another service at this address.",
            )
    return good("Tick answers there.")


async def verify_token(exam: Exam) -> Finding:
    """Does the running Tick have our verify token?"""
    seen = await exam.handshake(exam.public_url)
    if seen.responder is Responder.TICK:
        return good("The handshake passes: the challenge came back.")
    reason = "The handshake came back with 403 Webhook verification failed: Tick there has another verify token"
    return bad(f"{reason} than WHATSAPP_VERIFY_TOKEN.", await _another_setting(exam, "WHATSAPP_VERIFY_TOKEN"))


async def _another_setting(exam: Exam, name: str) -> str:
    """Whether it is the Tick of these settings that answers at PUBLIC_URL, with an older value."""
    own: Handshake | None = await exam.handshake(exam.own_url) if await exam.way_to(exam.own_url) is None else None
    if own is not None and own.responder is Responder.TICK:
        return f"PUBLIC_URL leads to another Tick than the one at {exam.own_url}: let it lead here."
    return f"{RESTART} If it was started with other settings than these, set the same {name} for both."


async def signed_webhook(exam: Exam) -> Finding:
    """Does what Meta signs get through, to somebody who has our app secret?"""
    came = await exam.probe(exam.public_url)
    if isinstance(came, ProbeReport):
        return good("A signed webhook gets through unchanged.")
    if came.status == 401:
        own = await exam.probe(exam.own_url) if await exam.runs_here() else None
        if isinstance(own, ProbeReport):
            return bad(
                "A signed webhook is refused (401) at PUBLIC_URL, and taken by Tick itself: something in between "
                "changes the body or the signature.",
                "Let the proxy pass the body and X-Hub-Signature-256 on byte by byte: no rewriting, no compression.",
            )
        return bad(
            "A signed webhook is refused (401): the running Tick has another app secret than WHATSAPP_APP_SECRET.",
            f"{RESTART} If it was started with other settings than these, set the same WHATSAPP_APP_SECRET for both.",
        )
    if came.failure:
        return bad(f"A signed webhook gets no answer: {came.failure}.", "Let the proxy pass POST on to Tick.")
    titled = f" with a page titled {title!r}" if (title := read_page_title(came.body)) else ""
    return bad(
        f"A signed webhook is answered{titled} (HTTP {came.status}) and not by Tick, though the handshake is.",
        "Let the proxy, or the firewall before it, pass POST on to Tick as it does GET.",
    )


async def proxies(exam: Exam) -> Finding:
    """Is the address of who calls believed from our proxies, and from nobody else?"""
    seen = await exam.probe(exam.public_url)
    if not isinstance(seen, ProbeReport):
        return bad("Nobody has told how a request looks to Tick.", RESTART)
    trusted = exam.known.trusted_proxies
    if wide := [network for network in trusted if network.prefixlen < WIDEST[network.version]]:
        return bad(
            f"TRUSTED_PROXIES trusts too far: {wide[0]} is a part of the whole internet.",
            "Set TRUSTED_PROXIES to the addresses of your reverse proxies alone.",
        )
    hops = [hop.strip() for line in seen.forwarded for hop in line.split(",")]
    added = hops[hops.index(FORGED_ADDRESS) + 1 :] if FORGED_ADDRESS in hops else hops
    if seen.believed == FORGED_ADDRESS and not (added and _ours(added[-1], trusted)):
        return bad(
            f"TRUSTED_PROXIES trusts too far: {seen.peer} passed on an address that the doctor had made up, and Tick "
            "believed it. Anybody can pose as anybody.",
            f"Take {seen.peer} out of TRUSTED_PROXIES, or let the proxy there add to X-Forwarded-For whom it hears.",
        )
    behind = bool(added) or (exam.public_url.startswith("https:") and seen.scheme == "http")
    if behind and not seen.peer_trusted:
        return bad(
            f"Requests come through a proxy at {seen.peer} that is not trusted: to Tick all people have its address, "
            "and one of them can lock all out of the sign-in.",
            f"Set TRUSTED_PROXIES={seen.peer} and restart `tick serve`"
            + ("." if added else ", and let the proxy set X-Forwarded-For."),
        )
    if behind and not added:
        return bad(
            f"The proxy at {seen.peer} does not say for whom it calls.",
            "Let it set X-Forwarded-For to the address that it hears.",
        )
    return good(f"A proxy at {seen.peer} says who calls, and is believed." if behind else "No proxy is in between.")


def _ours(hop: str, trusted: Sequence[Network]) -> bool:
    """Whether the doctor called from within the trusted networks, where nobody else is believed for it."""
    try:
        address = ip_address(hop)
    except ValueError:
        return False
    return not address.is_global and any(address in network for network in trusted)
