"""The checks of the number and of what the app hears of it: registration, restrictions, name, quality, webhooks."""

from api.doctor.check_context import Exam, there
from api.doctor.finding import Finding, bad, good
from api.doctor.meta_checks import unexpected
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH
from bot.whatsapp.diagnostics.setup import read_apps, read_subscription

DASHBOARD = "App Dashboard > WhatsApp > Configuration"
MANAGER = "Meta's WhatsApp Manager > Phone numbers"
STATES = {
    "PENDING": "its registration is not complete",
    "UNVERIFIED": "it is not verified",
    "DISCONNECTED": "it is not connected to the Cloud API",
    "OFFLINE": "it is not connected to the Cloud API",
    "MIGRATED": "it was moved to another account",
    "DELETED": "it was deleted",
    "BANNED": "it is banned",
    "RESTRICTED": "it is restricted: it has reached its limit of conversations",
    "FLAGGED": "it is flagged for low quality",
    "RATE_LIMITED": "it sends more than it may",
}
TEST_NUMBER = "Test Number"  # what Meta calls those that it lends
NAMES = {"APPROVED", "AVAILABLE_WITHOUT_REVIEW", ""}
LEVELS = {
    "phone_number": "the number has an address of its own, which goes before the app's",
    "whatsapp_business_account": "the WhatsApp Business Account has an address of its own, which goes before the app's",
}


async def app_subscription(exam: Exam) -> Finding:
    """Does our app hear of this account's messages at all?"""
    answer = await there(exam.meta).get_subscribed_apps(exam.account_id)
    if not answer.ok:
        return unexpected(answer)
    if there(exam.token).app_id in read_apps(answer):
        return good("This app is subscribed to this account.")
    return bad(
        "This app is not subscribed to this WhatsApp Business Account: real messages silently never arrive.",
        f"POST /{exam.account_id}/subscribed_apps with the access token, for example: curl -X POST "
        '-H "Authorization: Bearer $WHATSAPP_ACCESS_TOKEN" '
        f"{exam.known.whatsapp_api_url}/{exam.account_id}/subscribed_apps",
    )


async def callback_at_meta(exam: Exam) -> Finding:
    """Does Meta call our address?"""
    answer = await exam.once("subscriptions", lambda: there(exam.meta).get_subscriptions(there(exam.token).app_id))
    if not answer.ok:
        return unexpected(answer)
    subscription = read_subscription(answer)
    ours = exam.public_url + WEBHOOK_PATH
    fix = f"{DASHBOARD}: set Callback URL to {ours} and Verify token to the value of WHATSAPP_VERIFY_TOKEN."
    if subscription is None or not subscription.callback_url:
        return bad("No callback URL is set at Meta for this app.", fix)
    level, url = next(iter(there(exam.number).callbacks), ("application", subscription.callback_url))
    if level in LEVELS and url.rstrip("/") != ours:
        return bad(
            f"Meta calls {url}, and not {ours}: {LEVELS[level]}.",
            "Remove that override (webhook_configuration.override_callback_uri), or set it to our address.",
        )
    if level not in LEVELS and subscription.callback_url.rstrip("/") != ours:
        return bad(f"Meta calls {subscription.callback_url}, and not {ours}.", fix)
    if not subscription.active:
        return bad("Meta has switched the app's webhooks off.", f"{DASHBOARD}: verify and save the callback URL again.")
    return good("Meta calls our address.")


async def webhook_fields(exam: Exam) -> Finding:
    """Is the app told of messages?"""
    answer = await exam.once("subscriptions", lambda: there(exam.meta).get_subscriptions(there(exam.token).app_id))
    subscription = read_subscription(answer)
    if subscription is not None and "messages" in subscription.fields:
        return good(f"`messages` is subscribed, and {len(subscription.fields) - 1} others.")
    return bad(
        "The webhook field `messages` is not subscribed: nothing that customers write arrives.",
        f"{DASHBOARD} > Webhook fields: subscribe to messages.",
    )


async def number(exam: Exam) -> Finding:
    """Is it registered, and connected?"""
    found = there(exam.number)
    if found.platform not in ("CLOUD_API", ""):
        where = "it is on the on-premises API" if found.platform == "ON_PREMISE" else "nothing can be sent or received"
        return bad(
            f"The number is not registered for the Cloud API: {where}.",
            f"{MANAGER}, or POST /{exam.known.whatsapp_phone_number_id}/register with "
            '{"messaging_product": "whatsapp", "pin": "six digits of your choice"}.',
        )
    if found.status not in ("CONNECTED", ""):
        why = STATES.get(found.status, "Meta says no more")
        return bad(f"The number is {found.status}: {why}.", f"See what {MANAGER} says about it.")
    return good(f"{found.shown} is connected.")


async def restrictions(exam: Exam) -> Finding:
    """Does Meta let it send?"""
    obstacles = there(exam.number).health_issues
    if not obstacles:
        return good("Meta lets it send.")
    worst = min(obstacles, key=lambda one: (one.state != "BLOCKED", one.where == "BUSINESS"))
    if (worst.state, worst.where) == ("LIMITED", "BUSINESS"):
        # so it is for every business before its verification, and answers within 24 hours are not meant
        return good(f"Meta limits what the business begins of itself: {worst.description} {worst.solution}".strip())
    what = {"BLOCKED": "can't send at all", "LIMITED": "is limited in what it sends"}.get(worst.state, worst.state)
    by = worst.where.replace("_", " ").lower() or "account"
    why = f": {worst.description}" if worst.description else "."
    return bad(
        f"The number {what}, because of its {by}{why}",
        worst.solution or "Look at Business Support Home (business.facebook.com/accountquality).",
    )


async def display_name(exam: Exam) -> Finding:
    """Is the name approved? Messages may not go out before."""
    found = there(exam.number)
    if found.name_status in NAMES:
        return good(f"{found.name} is approved.")
    if found.name == TEST_NUMBER:
        return good("Meta's test number needs no approval.")
    state = found.name_status.replace("_", " ").lower()
    return bad(
        f"The display name {found.name!r} is not approved ({state}).",
        f"{MANAGER} > the number > Profile: see why, or ask for another name.",
    )


async def quality(exam: Exam) -> Finding:
    """Do customers complain?"""
    found = there(exam.number)
    if found.quality == "RED":
        return bad(
            "The quality of the number is red: customers block or report it, and Meta may restrict it.",
            f"Send fewer notices that nobody asked for; {MANAGER} shows what was reported.",
        )
    return good(f"It is {found.quality.lower() or 'unknown'}.")
