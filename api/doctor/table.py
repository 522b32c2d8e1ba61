"""Lists the checks, in the order in which a newcomer should fix what they find, and what each of them needs.

Invariants
- A check runs only when no check that it needs has failed; so the first one that fails is the one to fix, and none
  fails because of another. One that only warns keeps nothing from being looked at.

A new check is a function in one of the modules for checks, and a row here.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from api.doctor import callback_checks, exposure_checks, local_checks, meta_checks, number_checks, secret_checks
from api.doctor.check_context import CheckContext
from api.doctor.finding import Finding

SETTINGS = "settings"


class Row(NamedTuple):
    """A check of the doctor as a line of the table. `needs`: the names of the checks that must not fail before it."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[CheckContext], Awaitable[Finding]]


CHECKS = (
    Row("database", (), local_checks.check_database),
    Row("migrations", ("database",), local_checks.check_migrations),
    Row("database_text", ("database",), local_checks.check_database_text),
    Row("database_tables", ("database",), local_checks.check_database_tables),
    Row("database_packets", ("database",), local_checks.check_database_packets),
    Row("history", ("migrations",), local_checks.check_history),
    Row("redis", (), local_checks.check_redis),
    Row("files", (), local_checks.check_files),
    Row("graph_api", (SETTINGS,), meta_checks.check_graph_api),
    Row("clock", ("graph_api",), meta_checks.check_clock),
    Row("access_token", ("graph_api",), meta_checks.check_access_token),
    Row("app_secret", ("access_token",), meta_checks.check_app_secret),
    Row("permissions", ("app_secret",), meta_checks.check_permissions),
    Row("phone_number_id", ("permissions",), meta_checks.check_phone_number_id),
    Row("business_account_id", ("phone_number_id",), meta_checks.check_business_account_id),
    Row("graph_version", ("graph_api",), meta_checks.check_graph_version),
    Row("server", (SETTINGS,), callback_checks.check_server),
    Row("public_url", (SETTINGS,), callback_checks.check_public_url),
    Row("callback", ("public_url",), callback_checks.check_callback),
    Row("tls", ("callback",), callback_checks.check_tls),
    Row("callback_answer", ("tls",), callback_checks.check_callback_answer),
    Row("verify_token", ("callback_answer",), callback_checks.check_verify_token),
    Row("signed_webhook", ("callback_answer",), callback_checks.check_signed_webhook),
    Row("old_app_secret", (SETTINGS,), secret_checks.check_old_app_secret),
    Row("proxies", ("signed_webhook",), callback_checks.check_proxies),
    Row("worker", ("server", "redis"), local_checks.check_worker),
    Row("callback_at_meta", ("app_secret", "phone_number_id", "public_url"), number_checks.check_callback_at_meta),
    Row("webhook_fields", ("callback_at_meta",), number_checks.check_webhook_fields),
    Row("app_subscription", ("business_account_id",), number_checks.check_app_subscription),
    Row("number", ("phone_number_id",), number_checks.check_number),
    Row("restrictions", ("number",), number_checks.check_restrictions),
    Row("display_name", ("number",), number_checks.check_display_name),
    Row("quality", ("number",), number_checks.check_quality),
    Row("channel", ("migrations",), local_checks.check_channel),
    Row("webhooks_lately", ("migrations",), local_checks.check_webhooks_lately),
    Row("weak_settings", (SETTINGS,), exposure_checks.check_weak_settings),  # it works, so it comes last
)
