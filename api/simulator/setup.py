"""Keeps what is set up at Meta: the app, the access token, the business phone number, the templates.

It is one object, which everything in the simulator reads at each request, so a set-up is broken by one assignment and
fixed by another: by a test, over HTTP, or from the page. It begins with everything as it should be.
"""

import copy
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from api.simulator.settings import SimulatorSettings

MESSAGING: Final = "whatsapp_business_messaging"
MANAGEMENT: Final = "whatsapp_business_management"
EXPIRED: Final = "expired"
INVALID: Final = "invalid"
FIELDS: Final = frozenset(
    {
        "account_alerts", "account_review_update", "account_update", "message_template_quality_update",
        "message_template_status_update", "messages", "messaging_handovers", "phone_number_name_update",
        "phone_number_quality_update", "security", "smb_message_echoes", "standby", "template_category_update",
    }
)  # fmt: skip
TEMPLATES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "hello_world",
        "language": "en_US",
        "status": "APPROVED",
        "category": "UTILITY",
        "id": "1192339204654487",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome. This message shows that templates work."},
            {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
        ],
    },
    {
        "name": "ticket_resolved",
        "language": "en",
        "status": "APPROVED",
        "category": "UTILITY",
        "id": "1192339204654489",
        "components": [
            {
                "type": "BODY",
                "text": "Your ticket {{1}} is resolved. If anything is still wrong, just write here.",
                "example": {"body_text": [["#12"]]},
            },
        ],
    },
    {
        "name": "ticket_news",
        "language": "en",
        "status": "APPROVED",
        "category": "UTILITY",
        "id": "1192339204654488",
        "components": [
            {
                "type": "BODY",
                "text": "There is news about your ticket {{1}}: {{2}}",
                "example": {"body_text": [["#12", "we are working on it"]]},
            },
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Show it"}]},
        ],
    },
)


@dataclass(slots=True)
class Setup:
    """The app, its token, the WhatsApp Business Account (WABA) and the number, as an operator finds them at Meta."""

    app_id: str
    app_secret: str
    access_token: str
    waba_id: str
    phone_number_id: str
    display_phone_number: str
    verified_name: str
    callback_url: str
    verify_token: str = ""
    app_name: str = "Tick"
    business_id: str = "506914307656634"
    token_state: str = "valid"  # or expired, invalid  # noqa: S105 - no password
    token_expires_at: float = 0.0  # in Unix time; 0: never
    scopes: set[str] = field(default_factory=lambda: {MESSAGING, MANAGEMENT})
    require_proof: bool = False  # the app's "Require App Secret"
    subscribed_apps: bool = True  # whether this app is subscribed to this WABA
    webhook_fields: set[str] = field(default_factory=lambda: set(FIELDS))
    waba_callback_url: str = ""  # instead of callback_url, for this WABA
    override_callback_url: str = ""  # instead of both, for this number
    registered: bool = True
    number_status: str = "CONNECTED"
    name_status: str = "APPROVED"
    health: str = "AVAILABLE"  # or LIMITED, BLOCKED
    health_errors: list[dict[str, Any]] = field(default_factory=list)
    quality: str = "GREEN"
    throughput: str = "STANDARD"
    messaging_limit: str = "TIER_2K"
    served_version: str = ""  # what facebook-api-version says; "": the version that was asked for
    messages_per_second: int = 0  # the number's limit, refused with 130429; 0: none
    pair_limit: bool = False  # one message each six seconds to the same customer, refused with 131056
    allowed_recipients: set[str] | None = None  # a test number's list, refused with 131030; None: everybody
    templates: list[dict[str, Any]] = field(default_factory=lambda: copy.deepcopy(list(TEMPLATES)))

    def is_own_token(self, given: str) -> bool:
        """Whether this is the access token, expired or not."""
        same = hmac.compare_digest(given.encode("utf-8", "replace"), self.access_token.encode("utf-8", "replace"))
        return same and self.token_state != INVALID

    def is_token_expired(self, now: float) -> bool:
        """Whether the access token is no good any more."""
        return self.token_state == EXPIRED or 0 < self.token_expires_at <= now

    def is_subscribed_to(self, webhook_field: str) -> bool:
        """Whether webhooks of this field reach the service; otherwise they silently never arrive."""
        return self.subscribed_apps and webhook_field in self.webhook_fields

    @property
    def webhook_url(self) -> str:
        """Where webhooks go: the number's address comes before the WABA's, and that before the app's."""
        return self.override_callback_url or self.waba_callback_url or self.callback_url

    def find_template(self, name: str, language: str) -> dict[str, Any] | None:
        """Returns the template with this name in this language."""
        found = (one for one in self.templates if one["name"] == name and one["language"] == language)
        return next(found, None)

    def change(self, values: Mapping[str, Any]) -> None:
        """Sets these values, by name. Raises ValueError with what is wrong, and then nothing has changed."""
        parsed = {name: self._parse(name, value) for name, value in values.items()}
        for name, value in parsed.items():
            setattr(self, name, value)

    def restore(self, whole: "Setup") -> None:
        """Sets all values as they are in another set-up."""
        for one in fields(self):
            setattr(self, one.name, getattr(whole, one.name))

    def describe(self) -> dict[str, Any]:
        """Returns everything but the secrets, as JSON has it."""
        described: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            described[one.name] = sorted(value) if isinstance(value, set) else value
        return {name: value for name, value in described.items() if name not in {"app_secret", "access_token"}}

    def _parse(self, name: str, value: Any) -> Any:
        if name not in {one.name for one in fields(self)}:
            raise ValueError(f"There is no {name} in the set-up.")
        now = getattr(self, name)
        if name == "allowed_recipients" and value is None:
            return None
        if isinstance(now, set) or name == "allowed_recipients":
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                return set(value)
        elif isinstance(now, float):
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        elif type(value) is type(now):
            return value
        raise ValueError(f"{name} can't be {value!r}.")


def make_setup(settings: SimulatorSettings) -> Setup:
    """Makes a set-up in which everything is as it should be."""
    return Setup(
        app_id=settings.app_id,
        app_secret=settings.app_secret,
        access_token=settings.access_token,
        waba_id=settings.waba_id,
        phone_number_id=settings.phone_number_id,
        display_phone_number=settings.display_phone_number,
        verified_name=settings.business_name,
        callback_url=settings.webhook_url,
    )
