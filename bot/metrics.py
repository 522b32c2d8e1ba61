"""What this process counts of itself, for Prometheus.

Invariant: counting is adding to a number in memory, never a query; the labels are words of ours from short lists, so no
phone number, text or id of a customer can become one. How much waits is in SQL, and /api/whatsapp/status tells it.
"""

from prometheus_client import CollectorRegistry, Counter, generate_latest

from storage.statuses import Fate


class Metrics:
    """The counters, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._webhooks = self._counter("tick_webhooks", "Webhooks by the status they were answered", "status")
        self._items = self._counter("tick_items", "Items by their fate", "fate")
        self._sends = self._counter("tick_sends", "Requests to the Graph API by outcome", "outcome")

    def _counter(self, name: str, told: str, label: str) -> Counter:
        return Counter(name, told, [label], registry=self._registry)

    def count_webhook(self, status: int) -> None:
        """A webhook was answered."""
        self._webhooks.labels(str(status)).inc()

    def count_items(self, fate: Fate, count: int = 1) -> None:
        """So many items got their fate here."""
        self._items.labels(fate).inc(count)

    def count_send(self, outcome: str) -> None:
        """A request to the Graph API ended: accepted, refused, not_sent or unknown."""
        self._sends.labels(outcome).inc()

    def render(self) -> bytes:
        """What Prometheus reads."""
        return generate_latest(self._registry)
