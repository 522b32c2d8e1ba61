"""Sends the webhooks that are no customer's message: updates of the account, its number and templates, echoes,
handovers.

Each update changes the set-up as the real one would have changed, and is then sent to the service. Source: Meta's
webhook reference, by field.
"""

import os
from typing import Final

from api.simulator import bodies, message_bodies
from api.simulator.bodies import Json
from api.simulator.message_bodies import MessageHead
from api.simulator.meta import Meta
from api.simulator.records import Customer

UPDATES: Final = (
    "template_paused", "template_disabled", "template_rejected", "template_approved", "quality_red", "quality_green",
    "account_restricted", "account_unrestricted", "account_banned", "account_reinstated", "name_approved",
    "rate_limited", "echo", "handover", "standby",
)  # fmt: skip
DAY_SECONDS: Final = 86_400
TEMPLATE_EVENTS: Final = {
    "template_paused": ("PAUSED", "PAUSED", "LOW_QUALITY"),
    "template_disabled": ("DISABLED", "DISABLED", "LOW_QUALITY"),
    "template_approved": ("APPROVED", "APPROVED", "NONE"),
    "template_rejected": ("REJECTED", "REJECTED", "INVALID_FORMAT"),
}
REJECTION: Final = {
    "reason": "A parameter stands at the end of the text.",
    "recommendation": "Put some words after the last parameter.",
}
QUALITIES: Final = {"quality_red": ("RED", "FLAGGED", "TIER_250"), "quality_green": ("GREEN", "UNFLAGGED", "TIER_2K")}
ACCOUNTS: Final = {
    "account_restricted": "ACCOUNT_RESTRICTION",
    "account_unrestricted": "ACCOUNT_RESTRICTION",
    "account_reinstated": "DISABLED_UPDATE",
    "account_banned": "DISABLED_UPDATE",
}


class AccountUpdates:
    """Sends updates of the account, each by its name in UPDATES."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta

    def send(self, name: str, *, phone: str = "", text: str = "") -> None:
        """Sends one of UPDATES; `phone`: the customer whom it is about, `text`: what was written, or a template's name.

        Raises ValueError when there is no such update, or nobody whom it could be about.
        """
        if name in TEMPLATE_EVENTS:
            self._update_template(name, text)
        elif name in QUALITIES:
            self._update_quality(name)
        elif name in ACCOUNTS:
            self._update_account(name)
        elif name == "name_approved":
            self._approve_name()
        elif name == "rate_limited":
            self._send_error(130429)
        elif name == "echo":
            self._send_echo(phone, text)
        elif name == "handover":
            self._send_handover(phone, text)
        elif name == "standby":
            self._send_standby(phone, text)
        else:
            raise ValueError(f"News is one of {', '.join(UPDATES)}.")

    def _update_template(self, update: str, name: str) -> None:
        setup = self._meta.setup
        found = [one for one in setup.templates if name in ("", one["name"])]
        if not found:
            raise ValueError("There is no such template.")
        status, event, reason = TEMPLATE_EVENTS[update]
        for template in found if name else found[-1:]:
            template["status"] = status
            value: Json = {
                "event": event,
                "message_template_id": int(template["id"]),
                "message_template_name": template["name"],
                "message_template_language": template["language"],
                "message_template_category": template["category"],
                "reason": reason,
            }
            if status == "PAUSED":
                value["other_info"] = {"title": "FIRST_PAUSE", "description": "It is paused for 3 hours."}
            elif status == "DISABLED":
                value["disable_info"] = {"disable_date": int(self._meta.clock())}
            elif status == "REJECTED":
                value["rejection_info"] = REJECTION
            self._send_about_account("message_template_status_update", value)

    def _update_quality(self, update: str) -> None:
        setup = self._meta.setup
        setup.quality, event, setup.messaging_limit = QUALITIES[update]
        value = {"display_phone_number": setup.display_phone_number, "event": event}
        limit = {"max_daily_conversations_per_business": setup.messaging_limit}
        self._send_about_account("phone_number_quality_update", value | limit)

    def _update_account(self, update: str) -> None:
        setup, now = self._meta.setup, int(self._meta.clock())
        value: Json = {"phone_number": setup.display_phone_number, "event": ACCOUNTS[update]}
        if update == "account_restricted":
            setup.health = "LIMITED"
            restriction = {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": now + DAY_SECONDS}
            value |= {"violation_info": {"violation_type": "SPAM"}, "restriction_info": [restriction]}
        elif update == "account_banned":
            setup.health = "BLOCKED"
            value["ban_info"] = {"waba_ban_state": "DISABLE", "waba_ban_date": "November 22, 2026"}
        else:
            setup.health = "AVAILABLE"
            value |= {"ban_info": {"waba_ban_state": "REINSTATE"}} if update == "account_reinstated" else {}
        self._send_about_account("account_update", value)

    def _approve_name(self) -> None:
        setup = self._meta.setup
        setup.name_status = "APPROVED"
        named = {"display_phone_number": setup.display_phone_number, "requested_verified_name": setup.verified_name}
        self._send_about_account("phone_number_name_update", named | {"decision": "APPROVED", "rejection_reason": None})

    def _send_error(self, code: int) -> None:
        error = bodies.build_status_error(code, "Rate limit hit", "Cloud API message throughput has been reached.")
        self._send_messaging("messages", {"errors": [error]})

    def _send_echo(self, phone: str, text: str) -> None:
        """Sends what somebody of the business answered in the Business app."""
        self._send_messaging("smb_message_echoes", {"message_echoes": [self._build_echo(phone, text)]}, phone)

    def _send_handover(self, phone: str, text: str) -> None:
        """Passes the conversation from Meta's agent back to the app, with a summary."""
        person = self._meta.show_person(self._find_customer(phone))
        sender = {"phone_number": person.wa_id} if person.wa_id else {"user_id": person.user_id}
        summary = {"type": "summary", "summary": {"text": text or "The customer asks for a person."}}
        setup = self._meta.setup
        value: Json = {
            "messaging_product": "whatsapp",
            "sender": sender,
            "recipient": {"phone_number_id": setup.phone_number_id, "display_phone_number": setup.display_phone_number},
            "type": "control_passed",
            "timestamp": self._get_timestamp(),
            "control_passed": {
                "previous_owner_role": "meta_business_agent",
                "new_owner_role": "app",
                "conversation_context": summary,
            },
        }
        body = bodies.build_field_webhook(self._meta.number.waba_id, "messaging_handovers", value)
        self._meta.send_webhook("messaging_handovers", body, phone)

    def _send_standby(self, phone: str, text: str) -> None:
        """Sends what a customer writes while Meta's agent has the conversation."""
        person = self._meta.show_person(self._find_customer(phone))
        wamid = bodies.make_wamid(phone, os.urandom(10))
        head = MessageHead(person, wamid, int(self._meta.clock()))
        written = message_bodies.text(head, text or "Are you open on Sunday?")
        self._send_messaging(
            "standby", {"contacts": [bodies.build_contact(person)], "standby": {"messages": [written]}}, phone
        )

    def _build_echo(self, phone: str, text: str) -> Json:
        person = self._meta.show_person(self._find_customer(phone))
        to: Json = ({"to": person.wa_id} if person.wa_id else {}) | {"to_user_id": person.user_id}
        content = {"body": text or "I have called you, all is well now."}
        wamid = bodies.make_wamid(phone, os.urandom(10))
        whole: Json = {"from": self._meta.setup.display_phone_number} | to
        return whole | {"id": wamid, "timestamp": self._get_timestamp(), "type": "text", "text": content}

    def _send_about_account(self, field: str, value: Json) -> None:
        now = int(self._meta.clock())
        self._meta.send_webhook(field, bodies.build_field_webhook(self._meta.number.waba_id, field, value, time=now))

    def _send_messaging(self, field: str, what: Json, phone: str = "") -> None:
        value = bodies.build_messaging_value(self._meta.number) | what
        self._meta.send_webhook(field, bodies.build_field_webhook(self._meta.number.waba_id, field, value), phone)

    def _find_customer(self, phone: str) -> Customer:
        customer = self._meta.chats.customers.get(phone)
        if customer is None:
            raise ValueError("There is no such customer.")
        return customer

    def _get_timestamp(self) -> str:
        return str(int(self._meta.clock()))
