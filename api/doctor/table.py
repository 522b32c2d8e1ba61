"""The checks, in the order in which a newcomer should mend what they find, and what each of them builds on.

Invariant: a check is looked at only when everything that it needs is right; so the first one that fails is the one to
mend, and none fails because of another.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from api.doctor import callback_checks, local_checks, meta_checks, number_checks
from api.doctor.check_context import Exam
from api.doctor.finding import Finding

SETTINGS = "settings"


class Row(NamedTuple):
    """A check. `needs`: the names of others."""

    name: str
    needs: tuple[str, ...]
    look: Callable[[Exam], Awaitable[Finding]]


CHECKS = (
    Row("database", (), local_checks.database),
    Row("migrations", ("database",), local_checks.migrations),
    Row("database_text", ("database",), local_checks.database_text),
    Row("database_packets", ("database",), local_checks.database_packets),
    Row("redis", (), local_checks.redis),
    Row("files", (), local_checks.files),
    Row("graph_api", (SETTINGS,), meta_checks.graph_api),
    Row("clock", ("graph_api",), meta_checks.clock),
    Row("access_token", ("graph_api",), meta_checks.access_token),
    Row("app_secret", ("access_token",), meta_checks.app_secret),
    Row("permissions", ("app_secret",), meta_checks.permissions),
    Row("phone_number_id", ("permissions",), meta_checks.phone_number_id),
    Row("business_account_id", ("phone_number_id",), meta_checks.business_account_id),
    Row("graph_version", ("graph_api",), meta_checks.graph_version),
    Row("server", (SETTINGS,), callback_checks.server),
    Row("public_url", (SETTINGS,), callback_checks.public_url),
    Row("callback", ("public_url",), callback_checks.callback),
    Row("tls", ("callback",), callback_checks.tls),
    Row("callback_answer", ("tls",), callback_checks.callback_answer),
    Row("verify_token", ("callback_answer",), callback_checks.verify_token),
    Row("signed_webhook", ("callback_answer",), callback_checks.signed_webhook),
    Row("proxies", ("signed_webhook",), callback_checks.proxies),
    Row("worker", ("server", "redis"), local_checks.worker),
    Row("callback_at_meta", ("app_secret", "phone_number_id", "public_url"), number_checks.callback_at_meta),
    Row("webhook_fields", ("callback_at_meta",), number_checks.webhook_fields),
    Row("app_subscription", ("business_account_id",), number_checks.app_subscription),
    Row("number", ("phone_number_id",), number_checks.number),
    Row("restrictions", ("number",), number_checks.restrictions),
    Row("display_name", ("number",), number_checks.display_name),
    Row("quality", ("number",), number_checks.quality),
    Row("channel", ("migrations",), local_checks.channel),
    Row("webhooks_lately", ("migrations",), local_checks.webhooks_lately),
)
