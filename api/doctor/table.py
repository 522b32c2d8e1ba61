"""The checks, in the order in which a newcomer should mend what they find, and what each of them builds on.

Invariant: a check is looked at only when everything that it needs is right; so the first one that fails is the one to
mend, and none fails because of another.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from api.doctor import at_meta, here, number, way_in
from api.doctor.exam import Exam
from api.doctor.finding import Finding

SETTINGS = "settings"


class Row(NamedTuple):
    """A check. `needs`: the names of others."""

    name: str
    needs: tuple[str, ...]
    look: Callable[[Exam], Awaitable[Finding]]


CHECKS = (
    Row("database", (), here.database),
    Row("migrations", ("database",), here.migrations),
    Row("database_text", ("database",), here.database_text),
    Row("database_packets", ("database",), here.database_packets),
    Row("redis", (), here.redis),
    Row("files", (), here.files),
    Row("graph_api", (SETTINGS,), at_meta.graph_api),
    Row("clock", ("graph_api",), at_meta.clock),
    Row("access_token", ("graph_api",), at_meta.access_token),
    Row("app_secret", ("access_token",), at_meta.app_secret),
    Row("permissions", ("app_secret",), at_meta.permissions),
    Row("phone_number_id", ("permissions",), at_meta.phone_number_id),
    Row("business_account_id", ("phone_number_id",), at_meta.business_account_id),
    Row("graph_version", ("graph_api",), at_meta.graph_version),
    Row("server", (SETTINGS,), way_in.server),
    Row("public_url", (SETTINGS,), way_in.public_url),
    Row("callback", ("public_url",), way_in.callback),
    Row("tls", ("callback",), way_in.tls),
    Row("callback_answer", ("tls",), way_in.callback_answer),
    Row("verify_token", ("callback_answer",), way_in.verify_token),
    Row("signed_webhook", ("callback_answer",), way_in.signed_webhook),
    Row("proxies", ("signed_webhook",), way_in.proxies),
    Row("worker", ("server", "redis"), here.worker),
    Row("callback_at_meta", ("app_secret", "phone_number_id", "public_url"), number.callback_at_meta),
    Row("webhook_fields", ("callback_at_meta",), number.webhook_fields),
    Row("app_subscription", ("business_account_id",), number.app_subscription),
    Row("number", ("phone_number_id",), number.number),
    Row("restrictions", ("number",), number.restrictions),
    Row("display_name", ("number",), number.display_name),
    Row("quality", ("number",), number.quality),
    Row("channel", ("migrations",), here.channel),
    Row("webhooks_lately", ("migrations",), here.webhooks_lately),
)
