"""Checks our number and its webhooks at Meta: subscription, registration, restrictions, name, quality."""

from api.doctor.check_context import CheckContext, require
from api.doctor.finding import Finding, fail_check, pass_check, warn_check
from api.doctor.meta_checks import fail_unexpectedly
from bot.whatsapp.diagnostics.probe import WEBHOOK_PATH
from bot.whatsapp.diagnostics.setup import read_apps, read_subscription

DASHBOARD = "App Dashboard > WhatsApp > Configuration"
MANAGER = "Meta's WhatsApp Manager > Phone numbers"
STATUS_REASONS = {  # by the number's status, as Meta names it
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
WORKING_STATUSES = {"RESTRICTED", "FLAGGED", "RATE_LIMITED"}  # the number still answers its customers
TEST_NUMBER = "Test Number"  # what Meta calls those that it lends
APPROVED_NAME_STATUSES = {"APPROVED", "AVAILABLE_WITHOUT_REVIEW", ""}
OVERRIDES = {  # callback URLs that go before the app's
    "phone_number": "the number has an address of its own, which goes before the app's",
    "whatsapp_business_account": "the WhatsApp Business Account has an address of its own, which goes before the app's",
}


async def check_app_subscription(context: CheckContext) -> Finding:
    """Checks that the app is subscribed to the account: without it no webhook of a customer's message comes."""
    answer = await require(context.meta).get_subscribed_apps(context.account_id)
    if not answer.ok:
        return fail_unexpectedly(answer)
    if require(context.token).app_id in read_apps(answer):
        return pass_check("This app is subscribed to this account.")
    return fail_check(
        "This app is not subscribed to this WhatsApp Business Account: real messages silently never arrive.",
        f"POST /{context.account_id}/subscribed_apps with the access token, for example: curl -X POST "
        '-H "Authorization: Bearer $WHATSAPP_ACCESS_TOKEN" '
        f"{context.loaded_settings.whatsapp_api_url}/{context.account_id}/subscribed_apps",
    )


async def check_callback_at_meta(context: CheckContext) -> Finding:
    """Checks that Meta calls our address, and not another one."""
    answer = await context.ask_once(
        "subscriptions", lambda: require(context.meta).get_subscriptions(require(context.token).app_id)
    )
    if not answer.ok:
        return fail_unexpectedly(answer)
    subscription = read_subscription(answer)
    ours = context.public_url + WEBHOOK_PATH
    fix = f"{DASHBOARD}: set Callback URL to {ours} and Verify token to the value of WHATSAPP_VERIFY_TOKEN."
    if subscription is None or not subscription.callback_url:
        return fail_check("No callback URL is set at Meta for this app.", fix)
    level, url = next(iter(require(context.number).callbacks), ("application", subscription.callback_url))
    if level in OVERRIDES and url.rstrip("/") != ours:
        return fail_check(
            f"Meta calls {url}, and not {ours}: {OVERRIDES[level]}.",
            "Remove that override (webhook_configuration.override_callback_uri), or set it to our address.",
        )
    if level not in OVERRIDES and subscription.callback_url.rstrip("/") != ours:
        return fail_check(f"Meta calls {subscription.callback_url}, and not {ours}.", fix)
    if not subscription.active:
        return fail_check(
            "Meta has switched the app's webhooks off.", f"{DASHBOARD}: verify and save the callback URL again."
        )
    return pass_check("Meta calls our address.")


async def check_webhook_fields(context: CheckContext) -> Finding:
    """Checks that the webhook field `messages` is subscribed."""
    answer = await context.ask_once(
        "subscriptions", lambda: require(context.meta).get_subscriptions(require(context.token).app_id)
    )
    subscription = read_subscription(answer)
    if subscription is not None and "messages" in subscription.fields:
        return pass_check(f"`messages` is subscribed, and {len(subscription.fields) - 1} others.")
    return fail_check(
        "The webhook field `messages` is not subscribed: nothing that customers write arrives.",
        f"{DASHBOARD} > Webhook fields: subscribe to messages.",
    )


async def check_number(context: CheckContext) -> Finding:
    """Checks that the number is registered for the Cloud API, and connected."""
    found = require(context.number)
    if found.platform not in ("CLOUD_API", ""):
        where = "it is on the on-premises API" if found.platform == "ON_PREMISE" else "nothing can be sent or received"
        return fail_check(
            f"The number is not registered for the Cloud API: {where}.",
            f"{MANAGER}, or POST /{context.loaded_settings.whatsapp_phone_number_id}/register with "
            '{"messaging_product": "whatsapp", "pin": "six digits of your choice"}.',
        )
    if found.status not in ("CONNECTED", ""):
        why = STATUS_REASONS.get(found.status, "Meta doesn't say why")
        find = warn_check if found.status in WORKING_STATUSES else fail_check
        return find(f"The number is {found.status}: {why}.", f"See what {MANAGER} says about it.")
    return pass_check(f"{found.shown} is connected.")


async def check_restrictions(context: CheckContext) -> Finding:
    """Checks that Meta lets the number send."""
    obstacles = require(context.number).health_issues
    if not obstacles:
        return pass_check("Meta lets it send.")
    worst = min(obstacles, key=lambda one: (one.state != "BLOCKED", one.where == "BUSINESS"))
    if (worst.state, worst.where) == ("LIMITED", "BUSINESS"):
        # so it is for every business before its verification, and answers within 24 hours are not meant
        return pass_check(
            f"Meta limits what the business begins of itself: {worst.description} {worst.solution}".strip()
        )
    what = {"BLOCKED": "can't send at all", "LIMITED": "is limited in what it sends"}.get(worst.state, worst.state)
    by = worst.where.replace("_", " ").lower() or "account"
    why = f": {worst.description}" if worst.description else "."
    find = fail_check if worst.state == "BLOCKED" else warn_check
    return find(
        f"The number {what}, because of its {by}{why}",
        worst.solution or "Check Business Support Home (business.facebook.com/accountquality).",
    )


async def check_display_name(context: CheckContext) -> Finding:
    """Checks that the display name is approved: messages may not go out before."""
    found = require(context.number)
    if found.name_status in APPROVED_NAME_STATUSES:
        return pass_check(f"{found.name} is approved.")
    if found.name == TEST_NUMBER:
        return pass_check("Meta's test number needs no approval.")
    state = found.name_status.replace("_", " ").lower()
    return fail_check(
        f"The display name {found.name!r} is not approved ({state}).",
        f"{MANAGER} > the number > Profile: see why, or ask for another name.",
    )


async def check_quality(context: CheckContext) -> Finding:
    """Checks that the quality of the number is not red: customers who block or report it lower it."""
    found = require(context.number)
    if found.quality == "RED":
        return warn_check(
            "The quality of the number is red: customers block or report it, and Meta may restrict it.",
            f"Send fewer notices that nobody asked for; {MANAGER} shows what was reported.",
        )
    return pass_check(f"It is {found.quality.lower() or 'unknown'}.")
