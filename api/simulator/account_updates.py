"""What Meta says about the account, and what else is no customer's message: templates, quality, bans, the Business app.

Each piece of news changes the set-up as the real one would have changed, and then tells the service of it.
"""

import os
from collections.abc import Callable
from typing import Any, Final

from api.simulator import bodies
from api.simulator.bodies import Json
from api.simulator.meta import Meta

NEWS: Final = (
    "template_paused", "template_disabled", "template_rejected", "template_approved", "quality_red", "quality_green",
    "account_restricted", "account_unrestricted", "account_banned", "account_reinstated", "name_approved",
    "rate_limited", "user_id_update", "echo", "handover", "standby",
)  # fmt: skip
DAY_SECONDS: Final = 86_400
TEMPLATE_EVENTS: Final = {
    "template_paused": ("PAUSED", "PAUSED", "LOW_QUALITY"),
    "template_disabled": ("DISABLED", "DISABLED", "LOW_QUALITY"),
    "template_approved": ("APPROVED", "APPROVED", "NONE"),
    "template_rejected": ("REJECTED", "REJECTED", "INVALID_FORMAT"),
}
QUALITIES: Final = {"quality_red": ("RED", "FLAGGED", "TIER_250"), "quality_green": ("GREEN", "UNFLAGGED", "TIER_2K")}
ACCOUNTS: Final = {
    "account_restricted": "ACCOUNT_RESTRICTION",
    "account_unrestricted": "ACCOUNT_RESTRICTION",
    "account_reinstated": "DISABLED_UPDATE",
    "account_banned": "DISABLED_UPDATE",
}


class AccountNews:
    def __init__(self, meta: Meta) -> None:
        self._meta = meta

    def tell(self, what: str, *, phone: str = "", text: str = "") -> None:
        """ValueError when there is no such news, or nobody whom it could be about."""
        tellers: dict[str, Callable[[str, str], None]] = {
            "name_approved": lambda phone, text: self._name(),
            "rate_limited": lambda phone, text: self._errors(130429),
            "user_id_update": self._user_id,
            "echo": self._echo,
            "handover": self._handover,
            "standby": self._standby,
        }
        if what in TEMPLATE_EVENTS:
            self._template(what, text)
        elif what in QUALITIES:
            self._quality(what)
        elif what in ACCOUNTS:
            self._account(what)
        elif what in tellers:
            tellers[what](phone, text)
        else:
            raise ValueError(f"News is one of {', '.join(NEWS)}.")

    def _template(self, what: str, name: str) -> None:
        setup = self._meta.setup
        found = [one for one in setup.templates if name in ("", one["name"])]
        if not found:
            raise ValueError("There is no such template.")
        status, event, reason = TEMPLATE_EVENTS[what]
        for template in found if name else found[-1:]:
            template["status"] = status
            told: Json = {
                "event": event,
                "message_template_id": int(template["id"]),
                "message_template_name": template["name"],
                "message_template_language": template["language"],
                "message_template_category": template["category"],
                "reason": reason,
            }
            if status == "PAUSED":
                told["other_info"] = {"title": "FIRST_PAUSE", "description": "It is paused for 3 hours."}
            self._account_level("message_template_status_update", told)

    def _quality(self, what: str) -> None:
        setup = self._meta.setup
        setup.quality, event, setup.messaging_limit = QUALITIES[what]
        told = {"display_phone_number": setup.display_phone_number, "event": event}
        limit = {"max_daily_conversations_per_business": setup.messaging_limit}
        self._account_level("phone_number_quality_update", told | limit)

    def _account(self, what: str) -> None:
        setup, now = self._meta.setup, int(self._meta.clock())
        told: Json = {"phone_number": setup.display_phone_number, "event": ACCOUNTS[what]}
        if what == "account_restricted":
            setup.health = "LIMITED"
            restriction = {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": now + DAY_SECONDS}
            told |= {"violation_info": {"violation_type": "SPAM"}, "restriction_info": [restriction]}
        elif what == "account_banned":
            setup.health = "BLOCKED"
            told["ban_info"] = {"waba_ban_state": "DISABLE", "waba_ban_date": "November 22, 2026"}
        else:
            setup.health = "AVAILABLE"
            told |= {"ban_info": {"waba_ban_state": "REINSTATE"}} if what == "account_reinstated" else {}
        self._account_level("account_update", told)

    def _name(self) -> None:
        setup = self._meta.setup
        setup.name_status = "APPROVED"
        named = {"display_phone_number": setup.display_phone_number, "requested_verified_name": setup.verified_name}
        self._account_level("phone_number_name_update", named | {"decision": "APPROVED", "rejection_reason": None})

    def _errors(self, code: int) -> None:
        error = bodies.error(code, "Rate limit hit", "Cloud API message throughput has been reached.")
        self._messaging("messages", {"errors": [error]})

    def _user_id(self, phone: str, _text: str) -> None:
        customer = self._customer(phone)
        person = self._meta.person(customer)
        change: Json = {
            "detail": "The user id of this user has changed.",
            "user_id": {"previous": f"{customer.user_id}0", "current": customer.user_id},
            "timestamp": self._now(),
        }
        change |= {"wa_id": person.wa_id} if person.wa_id else {}
        self._messaging("user_id_update", {"contacts": [bodies.contact(person)], "user_id_update": [change]})

    def _echo(self, phone: str, text: str) -> None:
        """Somebody of the business answered in the Business app."""
        self._messaging("smb_message_echoes", {"message_echoes": [self._echoed(phone, text)]}, phone)

    def _handover(self, phone: str, text: str) -> None:
        """Meta's agent gives the conversation back to us, and says what it was about."""
        person = self._meta.person(self._customer(phone))
        sender = {"phone_number": person.wa_id} if person.wa_id else {"user_id": person.user_id}
        summary = {"type": "summary", "summary": {"text": text or "The customer asks for a person."}}
        setup = self._meta.setup
        value: Json = {
            "messaging_product": "whatsapp",
            "sender": sender,
            "recipient": {"phone_number_id": setup.phone_number_id, "display_phone_number": setup.display_phone_number},
            "type": "control_passed",
            "timestamp": self._now(),
            "control_passed": {
                "previous_owner_role": "meta_business_agent",
                "new_owner_role": "app",
                "conversation_context": summary,
            },
        }
        body = bodies.field_webhook(self._meta.number.waba_id, "messaging_handovers", value)
        self._meta.tell("messaging_handovers", body, phone)

    def _standby(self, phone: str, text: str) -> None:
        """The customer writes while Meta's agent has the conversation."""
        person = self._meta.person(self._customer(phone))
        wamid = bodies.make_wamid(phone, os.urandom(10))
        written = bodies.text(person, wamid, int(self._meta.clock()), text or "Are you open on Sunday?")
        self._messaging("standby", {"contacts": [bodies.contact(person)], "standby": {"messages": [written]}}, phone)

    def _echoed(self, phone: str, text: str) -> Json:
        person = self._meta.person(self._customer(phone))
        to: Json = ({"to": person.wa_id} if person.wa_id else {}) | (
            {"to_user_id": person.user_id} if person.user_id else {}
        )
        said = {"body": text or "I have called you, all is well now."}
        wamid = bodies.make_wamid(phone, os.urandom(10))
        whole: Json = {"from": self._meta.setup.display_phone_number} | to
        return whole | {"id": wamid, "timestamp": self._now(), "type": "text", "text": said}

    def _account_level(self, field: str, value: Json) -> None:
        now = int(self._meta.clock())
        self._meta.tell(field, bodies.field_webhook(self._meta.number.waba_id, field, value, time=now))

    def _messaging(self, field: str, what: Json, phone: str = "") -> None:
        value = bodies.messaging_value(self._meta.number) | what
        self._meta.tell(field, bodies.field_webhook(self._meta.number.waba_id, field, value), phone)

    def _customer(self, phone: str) -> Any:
        customer = self._meta.chats.customers.get(phone)
        if customer is None:
            raise ValueError("There is no such customer.")
        return customer

    def _now(self) -> str:
        return str(int(self._meta.clock()))
