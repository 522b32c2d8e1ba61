"""The checks of what Meta has: the version, the token, the app secret, the ids."""

from datetime import timedelta

from api.doctor.check_context import Exam, there
from api.doctor.finding import Finding, bad, good
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
from bot.whatsapp.graph.client import GraphResponse

MOST_SKEW = timedelta(seconds=60)
SOON = timedelta(days=14)
PERMISSIONS = ("whatsapp_business_messaging", "whatsapp_business_management")
ANOTHER = (
    "Business Settings > System users > Generate token, with expiry Never and the permissions "
    "whatsapp_business_messaging and whatsapp_business_management; set WHATSAPP_ACCESS_TOKEN."
)
WHERE_IDS = "Copy it from App Dashboard > WhatsApp > API Setup"


def said(answer: GraphResponse) -> str:
    """What came instead of an answer, in a sentence."""
    error = answer.error
    if error is None:
        return answer.failure
    detail = f": {error.detail}" if error.detail else ""
    return f"{error.reason.rstrip('.')} (Meta's code {error.code}{detail})"


def unexpected(answer: GraphResponse) -> Finding:
    """A refusal that has nothing to do with what was asked."""
    return bad(said(answer), "Run the doctor again in a few minutes; if it stays, look Meta's code up.")


async def graph_api(exam: Exam) -> Finding:
    """Is there a way to Meta?"""
    broken = await check_reachability(exam.known.whatsapp_api_url)
    if broken is None:
        return good("The Graph API can be reached.")
    what = {
        Step.NAME: "its name is not found in DNS",
        Step.REFUSED: "it refuses the connection",
        Step.SILENT: "it does not answer",
        Step.NETWORK: "there is no network",
        Step.TLS: f"its certificate is not accepted, {broken.why}",
    }[broken.step]
    return bad(
        f"The Graph API at WHATSAPP_API_URL can't be reached: {what}.",
        "Let this machine call graph.facebook.com, port 443, and look at its DNS, firewall and clock.",
    )


async def clock(exam: Exam) -> Finding:
    """Is our clock right? Windows and signatures of time go by it."""
    theirs = await there(exam.meta).read_clock()
    if theirs is None:
        return good("Meta did not say what time it is.")
    ahead = (exam.now() - theirs).total_seconds()
    if abs(ahead) > MOST_SKEW.total_seconds():
        way = "ahead of" if ahead > 0 else "behind"
        return bad(
            f"This machine's clock is {abs(ahead):.0f} seconds {way} Meta's.",
            "Switch time synchronisation on (timedatectl set-ntp true), on the host if this is a container.",
        )
    return good("It agrees with Meta's.")


async def access_token(exam: Exam) -> Finding:
    """Does Meta take the token, and for how long?"""
    answer = await exam.once("token", there(exam.meta).get_token)
    if is_proof_refused(answer):
        return good("Meta knows the token; more is seen once the app secret is right.")
    if answer.error is not None and answer.error.code in (0, 190):
        return _no_token(answer)
    exam.token = token = read_token(answer) if answer.ok else await _token_by_its_app(exam)
    if token is None:
        return unexpected(answer)
    now = exam.now()
    if token.expires_at is not None and token.expires_at <= now:
        return bad(f"The access token expired on {token.expires_at:%Y-%m-%d}.", ANOTHER)
    if not token.valid:
        return bad("The access token is not valid.", ANOTHER)
    if token.expires_at is not None and token.expires_at - now < SOON:
        hours = (token.expires_at - now).total_seconds() / 3600
        left = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
        return bad(f"The access token is expiring: it is good for another {left}.", ANOTHER)
    return good("It is valid." if token.expires_at is None else f"It is valid until {token.expires_at:%Y-%m-%d}.")


async def _token_by_its_app(exam: Exam) -> Token | None:
    """What is known of a token that may not be asked about itself."""
    app_id = (await there(exam.meta).get_app()).value.get("id")
    if not isinstance(app_id, str):
        return None
    answer = await there(exam.meta).get_token_as_app(app_id)
    return read_token(answer) if answer.ok else Token(app_id, True, None, None, ())


def _no_token(answer: GraphResponse) -> Finding:
    why = {
        458: "the app was removed from the account",
        460: "the password of its owner was changed",
        463: "it has expired",
        467: "it was revoked",
    }.get(there(answer.error).subcode or 0, "Meta can't read it")
    if why == "it has expired":
        return bad("The access token has expired; tokens of the App Dashboard live for a day.", ANOTHER)
    return bad(f"The access token is invalid: {why}.", ANOTHER)


async def app_secret(exam: Exam) -> Finding:
    """Is the app secret that of the token's app?"""
    answer = await exam.once("token", there(exam.meta).get_token)
    if not is_proof_refused(answer) and exam.token is not None and exam.token.app_id:
        answer = await there(exam.meta).get_token_as_app(exam.token.app_id)
        if answer.ok:
            return good("It is that of the token's app.")
        if answer.error is None or answer.error.code not in (1, 100, 101, 104, 190):
            return unexpected(answer)
    elif answer.ok:
        return good("Meta takes the proof that is made with it.")
    return bad(
        "WHATSAPP_APP_SECRET is not the secret of the app that the access token belongs to.",
        "Copy it from App Dashboard > App settings > Basic > App secret, of the same app that made the token.",
    )


async def permissions(exam: Exam) -> Finding:
    """May the token do what Tick does?"""
    scopes = there(exam.token).scopes
    lacking = [name for name in PERMISSIONS if scopes is not None and name not in scopes]
    if lacking:
        return bad(
            f"The access token lacks the permission {' and '.join(lacking)}.",
            ANOTHER,
        )
    return good("It has both permissions.")


async def phone_number_id(exam: Exam) -> Finding:
    """Is it the id of a number?"""
    settings = exam.known
    given = settings.whatsapp_phone_number_id
    answer = await there(exam.meta).get_phone_number(given)
    if answer.ok and answer.value.get("display_phone_number"):
        exam.number = read_phone_number(answer)
        return good(f"It is {exam.number.shown}, {exam.number.name}.")
    if answer.failure or (answer.error is not None and answer.error.code not in (NO_SUCH_OBJECT, WRONG_PARAMETER)):
        return unexpected(answer)
    its_numbers = await there(exam.meta).get_phone_numbers(given)
    if its_numbers.ok:
        return bad(
            "WHATSAPP_PHONE_NUMBER_ID is the id of a WhatsApp Business Account (a WABA id), and not of a number.",
            f"Set {_choices(read_phone_numbers(its_numbers)) or WHERE_IDS}",
        )
    known = await _known_numbers(exam)
    digits = {"".join(filter(str.isdecimal, shown)): one for one, shown in known.items()}
    if given in digits:
        return bad(
            "WHATSAPP_PHONE_NUMBER_ID is the phone number itself, and not its id.",
            f"Set WHATSAPP_PHONE_NUMBER_ID={digits[given]}",
        )
    return bad(
        "WHATSAPP_PHONE_NUMBER_ID is nothing that Meta knows, or the token has no access to it.",
        f"Set {choices}." if (choices := _choices(known)) else f"{WHERE_IDS} > Phone number ID.",
    )


async def _known_numbers(exam: Exam) -> dict[str, str]:
    """The numbers of every account that the settings or the token name."""
    accounts = [exam.known.whatsapp_business_account_id, *there(exam.token).account_ids]
    found: dict[str, str] = {}
    for account_id in [one for one in dict.fromkeys(accounts) if one][:5]:
        answer = await there(exam.meta).get_phone_numbers(account_id)
        found |= read_phone_numbers(answer) if answer.ok else {}
    return found


def _choices(numbers: dict[str, str]) -> str:
    return " or ".join(f"WHATSAPP_PHONE_NUMBER_ID={one} ({shown})" for one, shown in list(numbers.items())[:5])


async def business_account_id(exam: Exam) -> Finding:
    """Is it the account of the number?"""
    settings = exam.known
    own = settings.whatsapp_phone_number_id
    given = settings.whatsapp_business_account_id
    for account_id in (given,) if given else there(exam.token).account_ids[:5]:
        answer = await there(exam.meta).get_phone_numbers(account_id)
        if answer.ok and own in read_phone_numbers(answer):
            exam.account_id = account_id
            if given:
                return good("It is the account of this number.")
            return good(f"It is {account_id}, by the token: set WHATSAPP_BUSINESS_ACCOUNT_ID to have templates.")
        if given and answer.ok:
            return bad(
                "WHATSAPP_BUSINESS_ACCOUNT_ID is an account that this number does not belong to.",
                f"{WHERE_IDS} > WhatsApp Business Account ID, where this number is chosen.",
            )
        if given and (answer.failure or there(answer.error).code not in (NO_SUCH_OBJECT, WRONG_PARAMETER)):
            return unexpected(answer)
    if not given:
        return bad(
            "WHATSAPP_BUSINESS_ACCOUNT_ID is not set, and the token does not tell it.",
            f"{WHERE_IDS} > WhatsApp Business Account ID.",
        )
    what = "the id of the number" if given == own else "nothing that Meta knows, or the token has no access to it"
    named = there(exam.token).account_ids
    return bad(
        f"WHATSAPP_BUSINESS_ACCOUNT_ID is {what}.",
        f"Set WHATSAPP_BUSINESS_ACCOUNT_ID={named[0]}" if len(named) == 1 else f"{WHERE_IDS} > Business Account ID.",
    )


async def graph_version(exam: Exam) -> Finding:
    """Does Meta still serve the version that we ask for?"""
    version = read_version(exam.known.whatsapp_api_url)
    until = find_expiry(version)
    newest = "Set WHATSAPP_API_URL=https://graph.facebook.com/v25.0"
    if until is not None and until <= exam.now():
        return bad(f"{version} of the Graph API expired on {until:%Y-%m-%d}.", newest)
    answered = (await exam.once("token", there(exam.meta).get_token)).api_version
    if version and answered and answered != version:
        return bad(f"Meta answers with {answered} where WHATSAPP_API_URL asks for {version}.", newest)
    if until is not None and until - exam.now() < SOON:
        return bad(f"{version} of the Graph API expires on {until:%Y-%m-%d}.", newest)
    return good(f"{version or 'The version'} is served" + (f" until {until:%Y-%m-%d}." if until else "."))
