"""Checks what is set up at Meta: the way to it, the clock, the access token, the app secret, ids, version."""

from datetime import timedelta

from api.doctor.check_context import CheckContext, require
from api.doctor.finding import Finding, fail_check, pass_check, warn_check
from bot.whatsapp.diagnostics.reachability import Step, check_reachability
from bot.whatsapp.diagnostics.setup import (
    NO_SUCH_OBJECT,
    WRONG_PARAMETER,
    Token,
    is_proof_refused,
    read_phone_number,
    read_phone_numbers,
    read_token,
)
from bot.whatsapp.diagnostics.versions import find_expiry, read_version
from bot.whatsapp.errors import describe_refusal
from bot.whatsapp.graph.client import GraphResponse

MAX_CLOCK_SKEW = timedelta(seconds=60)
EXPIRY_NOTICE = timedelta(days=14)  # what expires within that is a warning
NEEDED_PERMISSIONS = ("whatsapp_business_messaging", "whatsapp_business_management")
GENERATE_ANOTHER = (
    "Business Settings > System users > Generate token, with expiry Never and the permissions "
    "whatsapp_business_messaging and whatsapp_business_management; set WHATSAPP_ACCESS_TOKEN."
)
WHERE_IDS = "Copy it from App Dashboard > WhatsApp > API Setup"


def describe_failure(answer: GraphResponse) -> str:
    """Returns a sentence on a call that failed: Meta's error, or what kept an answer from coming."""
    error = answer.error
    if error is None:
        return answer.failure
    return describe_refusal(error.reason, error.code, error.detail)


def fail_unexpectedly(answer: GraphResponse) -> Finding:
    """Makes the finding of a call that failed for a reason which has nothing to do with what the check looks at."""
    has_code = answer.error is not None and answer.error.code is not None
    look = "look Meta's code up" if has_code else "see what answers at WHATSAPP_API_URL: a proxy or a firewall, perhaps"
    return fail_check(describe_failure(answer), f"Run the doctor again in a few minutes; if it stays, {look}.")


async def check_graph_api(context: CheckContext) -> Finding:
    """Checks that a connection to the Graph API comes about."""
    obstacle = await check_reachability(context.loaded_settings.whatsapp_api_url)
    if obstacle is None:
        return pass_check("The Graph API can be reached.")
    what = {
        Step.NAME: "its name is not found in DNS",
        Step.REFUSED: "it refuses the connection",
        Step.SILENT: "it does not answer",
        Step.NETWORK: "there is no network",
        Step.TLS: f"its certificate is not accepted, {obstacle.why}",
    }[obstacle.step]
    return fail_check(
        f"The Graph API at WHATSAPP_API_URL can't be reached: {what}.",
        "Let this machine call graph.facebook.com, port 443, and check its DNS, firewall and clock.",
    )


async def check_clock(context: CheckContext) -> Finding:
    """Checks that this machine's clock agrees with Meta's, since the customer service window goes by timestamps."""
    theirs = await require(context.meta).read_clock()
    if theirs is None:
        return pass_check("Meta did not say what time it is.")
    ahead = (context.now() - theirs).total_seconds()
    if abs(ahead) > MAX_CLOCK_SKEW.total_seconds():
        way = "ahead of" if ahead > 0 else "behind"
        return fail_check(
            f"This machine's clock is {abs(ahead):.0f} seconds {way} Meta's.",
            "Switch time synchronisation on (timedatectl set-ntp true), on the host if this is a container.",
        )
    return pass_check("It agrees with Meta's.")


async def check_access_token(context: CheckContext) -> Finding:
    """Checks that Meta accepts the access token, and for two weeks at least."""
    answer = await context.ask_once("token", require(context.meta).get_token)
    if is_proof_refused(answer):
        return pass_check("Meta knows the token; the rest can be checked once the app secret is right.")
    if answer.error is not None and answer.error.code in (0, 190):
        return _fail_rejected_token(answer)
    context.token = token = read_token(answer) if answer.ok else await _read_token_by_app(context)
    if token is None:
        return fail_unexpectedly(answer)
    now = context.now()
    if token.expires_at is not None and token.expires_at <= now:
        return fail_check(f"The access token expired on {token.expires_at:%Y-%m-%d}.", GENERATE_ANOTHER)
    if not token.valid:
        return fail_check("The access token is not valid.", GENERATE_ANOTHER)
    if token.expires_at is not None and token.expires_at - now < EXPIRY_NOTICE:
        hours = (token.expires_at - now).total_seconds() / 3600
        left = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
        return warn_check(f"The access token is expiring: it is good for another {left}.", GENERATE_ANOTHER)
    return pass_check("It is valid." if token.expires_at is None else f"It is valid until {token.expires_at:%Y-%m-%d}.")


async def _read_token_by_app(context: CheckContext) -> Token | None:
    """Returns what is known of a token that may not describe itself."""
    app_id = (await require(context.meta).get_app()).value.get("id")
    if not isinstance(app_id, str):
        return None
    answer = await require(context.meta).get_token_as_app(app_id)
    return read_token(answer) if answer.ok else Token(app_id, True, None, None, ())


def _fail_rejected_token(answer: GraphResponse) -> Finding:
    why = {
        458: "the app was removed from the account",
        460: "the password of its owner was changed",
        463: "it has expired",
        467: "it was revoked",
    }.get(require(answer.error).subcode or 0, "Meta can't read it")
    if why == "it has expired":
        return fail_check("The access token has expired; tokens from the App Dashboard last one day.", GENERATE_ANOTHER)
    return fail_check(f"The access token is invalid: {why}.", GENERATE_ANOTHER)


async def check_app_secret(context: CheckContext) -> Finding:
    """Checks that the app secret is that of the app to which the token belongs."""
    answer = await context.ask_once("token", require(context.meta).get_token)
    if not is_proof_refused(answer) and context.token is not None and context.token.app_id:
        answer = await require(context.meta).get_token_as_app(context.token.app_id)
        if answer.ok:
            return pass_check("It is that of the token's app.")
        if answer.error is None or answer.error.code not in (1, 100, 101, 104, 190):
            return fail_unexpectedly(answer)
    elif answer.ok:
        return pass_check("Meta takes the proof that is made with it.")
    return fail_check(
        "WHATSAPP_APP_SECRET is not the secret of the app that the access token belongs to.",
        "Copy it from App Dashboard > App settings > Basic > App secret, of the same app that made the token.",
    )


async def check_permissions(context: CheckContext) -> Finding:
    """Checks that the token has the permissions that Tick needs."""
    scopes = require(context.token).scopes
    lacking = [name for name in NEEDED_PERMISSIONS if scopes is not None and name not in scopes]
    if lacking:
        return fail_check(
            f"The access token lacks the permission {' and '.join(lacking)}.",
            GENERATE_ANOTHER,
        )
    return pass_check("It has both permissions.")


async def check_phone_number_id(context: CheckContext) -> Finding:
    """Checks that WHATSAPP_PHONE_NUMBER_ID is the id of a number, and finds out what it is where it is not."""
    settings = context.loaded_settings
    given = settings.whatsapp_phone_number_id
    answer = await require(context.meta).get_phone_number(given)
    if answer.ok and answer.value.get("display_phone_number"):
        context.number = read_phone_number(answer)
        return pass_check(f"It is {context.number.shown}, {context.number.name}.")
    if answer.failure or (answer.error is not None and answer.error.code not in (NO_SUCH_OBJECT, WRONG_PARAMETER)):
        return fail_unexpectedly(answer)
    its_numbers = await require(context.meta).get_phone_numbers(given)
    if its_numbers.ok:
        return fail_check(
            "WHATSAPP_PHONE_NUMBER_ID is the id of a WhatsApp Business Account (a WABA id), and not of a number.",
            f"Set {_suggest_number_ids(read_phone_numbers(its_numbers)) or WHERE_IDS}",
        )
    known = await _list_known_numbers(context)
    digits = {"".join(filter(str.isdecimal, shown)): one for one, shown in known.items()}
    if given in digits:
        return fail_check(
            "WHATSAPP_PHONE_NUMBER_ID is the phone number itself, and not its id.",
            f"Set WHATSAPP_PHONE_NUMBER_ID={digits[given]}",
        )
    return fail_check(
        "WHATSAPP_PHONE_NUMBER_ID is no id that Meta knows, or the token has no access to it.",
        f"Set {choices}." if (choices := _suggest_number_ids(known)) else f"{WHERE_IDS} > Phone number ID.",
    )


async def _list_known_numbers(context: CheckContext) -> dict[str, str]:
    """Returns the numbers (id to number) of every account that the settings or the token name."""
    accounts = [context.loaded_settings.whatsapp_business_account_id, *require(context.token).account_ids]
    found: dict[str, str] = {}
    for account_id in [one for one in dict.fromkeys(accounts) if one][:5]:
        answer = await require(context.meta).get_phone_numbers(account_id)
        found |= read_phone_numbers(answer) if answer.ok else {}
    return found


def _suggest_number_ids(numbers: dict[str, str]) -> str:
    return " or ".join(f"WHATSAPP_PHONE_NUMBER_ID={one} ({shown})" for one, shown in list(numbers.items())[:5])


async def check_business_account_id(context: CheckContext) -> Finding:
    """Checks that WHATSAPP_BUSINESS_ACCOUNT_ID is the account of the number."""
    settings = context.loaded_settings
    own = settings.whatsapp_phone_number_id
    given = settings.whatsapp_business_account_id
    for account_id in (given,) if given else require(context.token).account_ids[:5]:
        answer = await require(context.meta).get_phone_numbers(account_id)
        if answer.ok and own in read_phone_numbers(answer):
            context.account_id = account_id
            if given:
                return pass_check("It is the account of this number.")
            return pass_check(f"It is {account_id}, by the token: set WHATSAPP_BUSINESS_ACCOUNT_ID to have templates.")
        if given and answer.ok:
            return fail_check(
                "WHATSAPP_BUSINESS_ACCOUNT_ID is an account that this number does not belong to.",
                f"{WHERE_IDS} > WhatsApp Business Account ID, where this number is chosen.",
            )
        if given and (answer.failure or require(answer.error).code not in (NO_SUCH_OBJECT, WRONG_PARAMETER)):
            return fail_unexpectedly(answer)
    if not given:
        return fail_check(
            "WHATSAPP_BUSINESS_ACCOUNT_ID is not set, and the token doesn't say which one it is.",
            f"{WHERE_IDS} > WhatsApp Business Account ID.",
        )
    what = "the id of the number" if given == own else "no id that Meta knows, or the token has no access to it"
    named = require(context.token).account_ids
    return fail_check(
        f"WHATSAPP_BUSINESS_ACCOUNT_ID is {what}.",
        f"Set WHATSAPP_BUSINESS_ACCOUNT_ID={named[0]}" if len(named) == 1 else f"{WHERE_IDS} > Business Account ID.",
    )


async def check_graph_version(context: CheckContext) -> Finding:
    """Checks that Meta serves the version of the Graph API that the settings name, and for two weeks at least."""
    version = read_version(context.loaded_settings.whatsapp_api_url)
    until = find_expiry(version)
    newest = "Set WHATSAPP_API_URL=https://graph.facebook.com/v25.0"
    if not version:
        return warn_check(
            "WHATSAPP_API_URL has no version at its end: Meta answers with the oldest that your app may use, and with "
            "another one once that expires.",
            f"Set WHATSAPP_API_URL={context.loaded_settings.whatsapp_api_url}/v25.0",
        )
    if until is not None and until <= context.now():
        return fail_check(f"{version} of the Graph API expired on {until:%Y-%m-%d}.", newest)
    answered = (await context.ask_once("token", require(context.meta).get_token)).api_version
    if answered and answered != version:
        return fail_check(f"Meta answers with {answered} where WHATSAPP_API_URL asks for {version}.", newest)
    if until is not None and until - context.now() < EXPIRY_NOTICE:
        return warn_check(f"{version} of the Graph API expires on {until:%Y-%m-%d}.", newest)
    return pass_check(f"{version} is served" + (f" until {until:%Y-%m-%d}." if until else "."))
