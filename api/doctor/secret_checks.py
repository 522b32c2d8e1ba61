"""Checks the secrets of the settings: whether one is still taken that was to be taken for a while alone."""

from api.doctor.check_context import CheckContext
from api.doctor.finding import Finding, pass_check, warn_check
from bot.metrics import OLD_SECRET_COUNTER

SIGN_IN_HOURS = 12  # of the desk: as long as a cookie that the old secret made is good


async def check_old_app_secret(context: CheckContext) -> Finding:
    """Checks that no old app secret is taken beside the one of today."""
    settings = context.loaded_settings
    if not settings.whatsapp_app_secret_old.get_secret_value():
        return pass_check("Webhooks are taken with today's app secret alone.")
    if len(settings.list_app_secrets()) == 1:
        return warn_check(
            "WHATSAPP_APP_SECRET_OLD is the same as WHATSAPP_APP_SECRET.", "Remove it, or set the one from before."
        )
    return warn_check(
        "WHATSAPP_APP_SECRET_OLD is set: webhooks are also taken when they are signed with it."
        + await _describe_need(context),
        f"Remove it once Meta signs with the new one ({OLD_SECRET_COUNTER}_total in /metrics stands still), but not "
        f"before {SIGN_IN_HOURS} hours have passed, so that nobody is signed out of the desk. Then restart "
        f"`{context.command}`.",
    )


async def _describe_need(context: CheckContext) -> str:
    """Says how often the running Tick needed the old secret; "" where none tells."""
    if not await context.is_running_here():
        return ""
    count = await context.visitor.read_counter(context.own_url, OLD_SECRET_COUNTER)
    if count is None:
        return ""
    often = {0: "has not been needed", 1: "was needed once"}.get(count, f"was needed {count} times")
    return f" It {often} since the Tick at {context.own_url} started."
