"""Counts what this process does, for Prometheus.

Invariants
- Counting is adding to a number in memory, never a query. How much waits is in SQL, and /api/whatsapp/status tells it.
- Labels are words of ours from short lists, so no phone number, text or id of a customer can become one.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from storage.statuses import Fate, OutboxReason

OLD_SECRET_COUNTER = "tick_webhooks_signed_with_old_secret"  # noqa: S105 - no secret; Prometheus adds _total


class _Total(Collector):
    """Shows a number that is counted elsewhere."""

    def __init__(self, name: str, description: str, read: Callable[[], int]) -> None:
        self._name = name
        self._description = description
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._description, value=self._read())


class Metrics:
    """Holds the counters, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._webhooks = self._counter("tick_webhooks", "Webhooks by the status they were answered", "status")
        self._items = self._counter("tick_items", "Items by their fate", "fate")
        self._troubles = Gauge(
            "tick_trouble", "Whether what a process stands on is in trouble", ["subject"], registry=self._registry
        )
        self._turned_away = self._counter(
            "tick_turned_away", "Requests and connections turned away at the front door by reason", "reason"
        )
        self._sends = self._counter("tick_sends", "Requests to the Graph API by outcome", "outcome")
        self._resends = self._counter("tick_resends", "Messages sent again after a doubt, by what began it", "reason")
        self._old_secrets = Counter(
            OLD_SECRET_COUNTER, "Webhooks that were signed with WHATSAPP_APP_SECRET_OLD", registry=self._registry
        )

    def _counter(self, name: str, description: str, label: str) -> Counter:
        return Counter(name, description, [label], registry=self._registry)

    def set_trouble(self, subject: str, *, is_there: bool) -> None:
        """Notes whether what this process stands on is in trouble now."""
        self._troubles.labels(subject).set(is_there)

    def show_total(self, name: str, description: str, read: Callable[[], int]) -> None:
        """Shows, under this name, a number that only rises and that `read` returns."""
        self._registry.register(_Total(name, description, read))

    def count_webhook(self, http_status: int) -> None:
        """Counts a webhook by the HTTP status that it was answered with."""
        self._webhooks.labels(str(http_status)).inc()

    def count_turned_away(self, reason: str) -> None:
        """Counts what the front door turned away: broken_body, too_much or connection."""
        self._turned_away.labels(reason).inc()

    def count_old_secret(self) -> None:
        """Counts a webhook that the old app secret had to let in."""
        self._old_secrets.inc()

    def count_items(self, fate: Fate, count: int = 1) -> None:
        """Counts items that got their fate here: done, ignored or dead."""
        self._items.labels(fate).inc(count)

    def count_send(self, outcome: str) -> None:
        """Counts a request to the Graph API that ended: accepted, refused, not_sent, unknown or server_failed."""
        self._sends.labels(outcome).inc()

    def count_resend(self, reason: OutboxReason) -> None:
        """Counts a message that Tick sends again, since no status came; `reason`: why it was in doubt."""
        self._resends.labels(reason).inc()

    def render(self) -> bytes:
        """Returns the page that Prometheus scrapes, in its text format."""
        return generate_latest(self._registry)
