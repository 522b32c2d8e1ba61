"""Asks Meta about the set-up: the token, the app, the number, the account, and what they are allowed and subscribed to.

Invariants
- Nothing is changed at Meta: every call is a GET.
- What an answer lacks reads as unknown, never as an error.

How a finding is judged and fixed is decided in api/doctor.

Sources: Meta, business-phone-numbers/phone-numbers, webhooks/overview (subscribed_apps); the Graph API's pages on
debug_token and on an app's subscriptions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from bot.whatsapp.diagnostics.reachability import fetch
from bot.whatsapp.graph.client import GraphClient, GraphResponse, GraphSettings
from bot.whatsapp.json_access import get_object, get_objects
from bot.whatsapp.sanitize import clean_line

NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,status,name_status,platform_type,webhook_configuration,"
    "health_status"
)
BASIC_NUMBER_FIELDS = "id,display_phone_number,verified_name,quality_rating"  # which every version has
SUBSCRIBED_OBJECT = "whatsapp_business_account"
NO_SUCH_OBJECT, WRONG_PARAMETER = 33, 100  # error codes
_PROOF_CODES = (100, 104)
_CALLBACK_LEVELS = ("phone_number", "whatsapp_business_account", "application")  # the first that is set counts
_MAX_TEXT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, as Meta describes it.

    `expires_at` is None for never, `scopes` None when Meta does not say. `account_ids` are the business accounts that
    it was given for.
    """

    app_id: str
    valid: bool
    expires_at: datetime | None
    scopes: frozenset[str] | None
    account_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class HealthIssue:
    """What keeps messages from going out, in Meta's words: an entity of `health_status` that is not AVAILABLE."""

    where: str
    state: str
    description: str
    solution: str


class Callback(NamedTuple):
    """The address that webhooks go to, and where it is set: for the number, the business account or the app."""

    level: str
    url: str


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A business phone number, as Meta describes it. Of `callbacks` the first one counts; `shown` is for people."""

    shown: str
    name: str
    quality: str
    status: str
    name_status: str
    platform: str
    callbacks: Sequence[Callback]
    health_issues: Sequence[HealthIssue]


@dataclass(frozen=True, slots=True)
class Subscription:
    """The fields of WhatsApp's webhooks that the app is subscribed to, and where they go."""

    callback_url: str
    active: bool
    fields: frozenset[str] = field(default_factory=frozenset)


class SetupClient:
    """Asks Meta about the set-up with one access token."""

    def __init__(self, settings: GraphSettings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._client = GraphClient(settings, http)

    async def read_clock(self) -> datetime | None:
        """Reads Meta's clock off any answer of its; None when it did not say."""
        answer = await fetch(self._http, "GET", f"{self._settings.api_url}/", headers={"User-Agent": "tick"})
        try:
            date = parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError):
            return None
        return date if date.tzinfo else date.replace(tzinfo=UTC)

    async def get_token(self) -> GraphResponse:
        """Asks about the token as itself; `read_token` reads the answer."""
        return await self._client.get("debug_token", {"input_token": self._settings.access_token})

    async def get_app(self) -> GraphResponse:
        """Asks which app the token belongs to: `value["id"]`."""
        return await self._client.get("app", {"fields": "id"})

    async def get_token_as_app(self, app_id: str) -> GraphResponse:
        """Asks about the token as the app: only who has the right app secret may."""
        return await self._make_app_client(app_id).get("debug_token", {"input_token": self._settings.access_token})

    async def get_subscriptions(self, app_id: str) -> GraphResponse:
        """Asks for the webhooks of the app; `read_subscription` reads the answer."""
        return await self._make_app_client(app_id).get(f"{app_id}/subscriptions")

    async def get_phone_number(self, number_id: str) -> GraphResponse:
        """Asks about a business phone number; `read_phone_number` reads the answer.

        Where one field is not known to a version of the Graph API, the whole request is refused: then it is made again
        with the basic fields.
        """
        response = await self._client.get(number_id, {"fields": NUMBER_FIELDS})
        if response.error is not None and response.error.code == WRONG_PARAMETER:
            basic = await self._client.get(number_id, {"fields": BASIC_NUMBER_FIELDS})
            return basic if basic.ok else response
        return response

    async def get_phone_numbers(self, account_id: str) -> GraphResponse:
        """Asks for the numbers of a WhatsApp business account; `read_phone_numbers` reads the answer."""
        params = {"fields": "id,display_phone_number", "limit": "100"}
        return await self._client.get(f"{account_id}/phone_numbers", params)

    async def get_subscribed_apps(self, account_id: str) -> GraphResponse:
        """Asks for the apps that get this account's webhooks; `read_apps` reads the answer."""
        return await self._client.get(f"{account_id}/subscribed_apps")

    def _make_app_client(self, app_id: str) -> GraphClient:
        token = f"{app_id}|{self._settings.app_secret}"
        return GraphClient(replace(self._settings, access_token=token), self._http)


def is_proof_refused(response: GraphResponse) -> bool:
    """Whether Meta knows the token, and the app secret is not that of its app."""
    error = response.error
    return error is not None and error.code in _PROOF_CODES and "appsecret_proof" in error.detail.lower()


def read_token(response: GraphResponse) -> Token:
    """Reads the answer of `debug_token`."""
    data = get_object(response.value, "data")
    expires = data.get("expires_at")
    scopes = data.get("scopes")
    granted = get_objects(data, "granular_scopes")
    ids = [str(one) for each in granted for one in _list_or_empty(each.get("target_ids"))]
    return Token(
        app_id=_clean_text(data.get("app_id")),
        valid=data.get("is_valid") is not False,
        expires_at=_to_instant(expires) if type(expires) is int and expires > 0 else None,
        scopes=frozenset(map(str, scopes)) if isinstance(scopes, list) else None,
        account_ids=list(dict.fromkeys(ids)),
    )


def read_phone_number(response: GraphResponse) -> PhoneNumber:
    """Reads the answer about one business phone number."""
    value = response.value
    configured = get_object(value, "webhook_configuration")
    return PhoneNumber(
        shown=_clean_text(value.get("display_phone_number")),
        name=_clean_text(value.get("verified_name")),
        quality=_clean_text(value.get("quality_rating")),
        status=_clean_text(value.get("status")),
        name_status=_clean_text(value.get("name_status")),
        platform=_clean_text(value.get("platform_type")),
        callbacks=[Callback(level, url) for level in _CALLBACK_LEVELS if (url := _clean_text(configured.get(level)))],
        health_issues=list(_read_health_issues(get_object(value, "health_status"))),
    )


def read_phone_numbers(response: GraphResponse) -> dict[str, str]:
    """Reads the numbers of an account, as people write them, by their phone_number_ids."""
    rows = get_objects(response.value, "data")
    return {_clean_text(row.get("id")): _clean_text(row.get("display_phone_number")) for row in rows}


def read_apps(response: GraphResponse) -> set[str]:
    """Reads the ids of the apps that get an account's webhooks."""
    rows = get_objects(response.value, "data")
    return {_clean_text(get_object(row, "whatsapp_business_api_data").get("id")) for row in rows}


def read_subscription(response: GraphResponse) -> Subscription | None:
    """Reads what the app is subscribed to of WhatsApp; None when it is to nothing."""
    for row in get_objects(response.value, "data"):
        if row.get("object") == SUBSCRIBED_OBJECT:
            names = [each.get("name") if isinstance(each, dict) else each for each in _list_or_empty(row.get("fields"))]
            is_active = row.get("active") is not False
            return Subscription(_clean_text(row.get("callback_url")), is_active, frozenset(map(_clean_text, names)))
    return None


def _read_health_issues(health: dict[str, object]) -> Iterator[HealthIssue]:
    entities = get_objects(health, "entities")
    for entity in entities:
        state = _clean_text(entity.get("can_send_message"))
        if state in ("", "AVAILABLE"):
            continue
        for error in get_objects(entity, "errors") or [{}]:
            yield HealthIssue(
                where=_clean_text(entity.get("entity_type")),
                state=state,
                description=_clean_text(error.get("error_description")),
                solution=_clean_text(error.get("possible_solution")),
            )
    state = _clean_text(health.get("can_send_message"))
    if state not in ("", "AVAILABLE") and not entities:
        yield HealthIssue(where="", state=state, description="", solution="")


def _to_instant(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _list_or_empty(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _clean_text(value: object) -> str:
    return clean_line(value, _MAX_TEXT_CHARACTERS) if isinstance(value, str) else ""
