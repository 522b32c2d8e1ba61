"""What Meta says about a set-up: the token, the app, the number, the account, and what they are allowed and subscribed.

Invariant: only questions, nothing is changed at Meta; what an answer lacks reads as unknown, never as an error. How a
finding is judged and mended is not decided here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from bot.whatsapp.diagnostics.reachability import fetch
from bot.whatsapp.graph.client import GraphClient, GraphResponse, GraphSettings
from bot.whatsapp.sanitize import clean_line

NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,status,name_status,platform_type,webhook_configuration,"
    "health_status"
)
SUBSCRIBED_OBJECT = "whatsapp_business_account"
BASIC_NUMBER_FIELDS = "id,display_phone_number,verified_name,quality_rating"
NO_SUCH_OBJECT, WRONG_PARAMETER = 33, 100
_PROOF_CODES = (100, 104)


@dataclass(frozen=True, slots=True)
class Token:
    """`expires_at`: None for never. `scopes`: None when Meta does not say. `account_ids`: those it is given for."""

    app_id: str
    valid: bool
    expires_at: datetime | None
    scopes: frozenset[str] | None
    account_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class HealthIssue:
    """What keeps messages from going out, in Meta's words."""

    where: str
    state: str
    description: str
    solution: str


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A business phone number. `callbacks`: the addresses that webhooks go to, by level; the first one counts."""

    shown: str
    name: str
    quality: str
    status: str
    name_status: str
    platform: str
    callbacks: Sequence[tuple[str, str]]
    health_issues: Sequence[HealthIssue]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What the app hears of WhatsApp, and where."""

    callback_url: str
    active: bool
    fields: frozenset[str] = field(default_factory=frozenset)


class SetupClient:
    """Asks Meta with one token."""

    def __init__(self, settings: GraphSettings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._client = GraphClient(settings, http)

    async def read_clock(self) -> datetime | None:
        """Meta's clock, by any answer of its; None when it did not say."""
        answer = await fetch(self._http, "GET", f"{self._settings.api_url}/", {"User-Agent": "tick"})
        try:
            date = parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError):
            return None
        return date if date.tzinfo else date.replace(tzinfo=UTC)

    async def get_token(self) -> GraphResponse:
        """The token, asked about itself."""
        return await self._client.get("debug_token", {"input_token": self._settings.access_token})

    async def get_app(self) -> GraphResponse:
        """The app that the token belongs to."""
        return await self._client.get("app", {"fields": "id"})

    async def get_token_as_app(self, app_id: str) -> GraphResponse:
        """The token, asked about as the app: only who has the right app secret may."""
        return await self._as_app(app_id).get("debug_token", {"input_token": self._settings.access_token})

    async def get_subscriptions(self, app_id: str) -> GraphResponse:
        """The webhooks of the app."""
        return await self._as_app(app_id).get(f"{app_id}/subscriptions")

    async def get_phone_number(self, number_id: str) -> GraphResponse:
        """A business phone number. A field that a version lacks is refused as a whole, so there is a second try."""
        answer = await self._client.get(number_id, {"fields": NUMBER_FIELDS})
        if answer.error is not None and answer.error.code == WRONG_PARAMETER:
            fewer = await self._client.get(number_id, {"fields": BASIC_NUMBER_FIELDS})
            return fewer if fewer.ok else answer
        return answer

    async def get_phone_numbers(self, account_id: str) -> GraphResponse:
        """The numbers of a WhatsApp Business Account."""
        return await self._client.get(
            f"{account_id}/phone_numbers", {"fields": "id,display_phone_number", "limit": "100"}
        )

    async def get_subscribed_apps(self, account_id: str) -> GraphResponse:
        """The apps that hear of this account's messages."""
        return await self._client.get(f"{account_id}/subscribed_apps")

    def _as_app(self, app_id: str) -> GraphClient:
        token = f"{app_id}|{self._settings.app_secret}"
        return GraphClient(replace(self._settings, access_token=token), self._http)


def is_proof_refused(answer: GraphResponse) -> bool:
    """Whether Meta knows the token, and the app secret is not that of its app."""
    error = answer.error
    return error is not None and error.code in _PROOF_CODES and "appsecret_proof" in error.detail.lower()


def read_token(answer: GraphResponse) -> Token:
    data = _mapping(answer.value.get("data"))
    expires = data.get("expires_at")
    scopes = data.get("scopes")
    granted = [_mapping(each) for each in _rows(data.get("granular_scopes"))]
    ids = [str(one) for each in granted for one in _rows(each.get("target_ids"))]
    return Token(
        _text(data.get("app_id")),
        data.get("is_valid") is not False,
        _instant(expires) if type(expires) is int and expires > 0 else None,
        frozenset(map(str, scopes)) if isinstance(scopes, list) else None,
        list(dict.fromkeys(ids)),
    )


def read_phone_number(answer: GraphResponse) -> PhoneNumber:
    value = answer.value
    configured = _mapping(value.get("webhook_configuration"))
    levels = ("phone_number", "whatsapp_business_account", "application")
    health = _mapping(value.get("health_status"))
    return PhoneNumber(
        _text(value.get("display_phone_number")),
        _text(value.get("verified_name")),
        _text(value.get("quality_rating")),
        _text(value.get("status")),
        _text(value.get("name_status")),
        _text(value.get("platform_type")),
        [(level, url) for level in levels if (url := _text(configured.get(level)))],
        list(_read_health_issues(health)),
    )


def read_phone_numbers(answer: GraphResponse) -> dict[str, str]:
    """The numbers as people write them, by their ids."""
    rows = [_mapping(row) for row in _rows(answer.value.get("data"))]
    return {_text(row.get("id")): _text(row.get("display_phone_number")) for row in rows}


def read_apps(answer: GraphResponse) -> set[str]:
    """The ids of the apps."""
    rows = [_mapping(_mapping(row).get("whatsapp_business_api_data")) for row in _rows(answer.value.get("data"))]
    return {_text(row.get("id")) for row in rows}


def read_subscription(answer: GraphResponse) -> Subscription | None:
    """What the app has subscribed of WhatsApp; None when it has nothing."""
    for row in _rows(answer.value.get("data")):
        row = _mapping(row)
        if row.get("object") == SUBSCRIBED_OBJECT:
            names = [
                _mapping(each).get("name") if isinstance(each, dict) else each for each in _rows(row.get("fields"))
            ]
            return Subscription(
                _text(row.get("callback_url")), row.get("active") is not False, frozenset(map(_text, names))
            )
    return None


def _read_health_issues(health: Mapping[str, object]) -> Iterator[HealthIssue]:
    for entity in map(_mapping, _rows(health.get("entities"))):
        state = _text(entity.get("can_send_message"))
        if state in ("", "AVAILABLE"):
            continue
        errors = [_mapping(error) for error in _rows(entity.get("errors"))] or [{}]
        for error in errors:
            yield HealthIssue(
                _text(entity.get("entity_type")),
                state,
                _text(error.get("error_description")),
                _text(error.get("possible_solution")),
            )
    state = _text(health.get("can_send_message"))
    if state not in ("", "AVAILABLE") and not _rows(health.get("entities")):
        yield HealthIssue("", state, "", "")


def _instant(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str:
    return clean_line(value, 300) if isinstance(value, str) else ""
