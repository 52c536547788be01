"""What is counted of the collector? By Prometheus, in a registry of its own; every label is bounded.

Refuses to know HTTP; `agents.metrics_server` hands it out.
"""

from collections import Counter as Counts
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from agents.collector.records import REASONS

OUTCOMES = ("taken", "empty", "invalid", "too_large", "not_a_site", "not_an_origin", "not_signed", "too_often",
            "wrong_type", "full", "cut_off")  # fmt: skip
"""What became of a request."""
_EDGES_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class CollectorMetrics:
    """The collector's numbers.

    Args:
        types: of the events there are.
    """

    def __init__(self, types: Iterable[str]) -> None:
        self._registry = CollectorRegistry()
        prefix, registry = "queuelight_collector", self._registry
        requests = Counter(
            f"{prefix}_requests", "Requests, by way and outcome.", ("way", "outcome"), registry=registry
        )
        events = Counter(f"{prefix}_events", "Events that were kept, by type.", ("type",), registry=registry)
        refused = Counter(
            f"{prefix}_refused_events", "Events that were refused, by reason.", ("reason",), registry=registry
        )
        self._requests = {
            (way, outcome): requests.labels(way, outcome) for way in ("web", "events") for outcome in OUTCOMES
        }
        self._events = {name: events.labels(name) for name in types}
        self._refused = {name: refused.labels(name) for name in REASONS}
        acks = Histogram(
            f"{prefix}_kafka_ack_seconds",
            "From a request's events to Kafka's acknowledgement of all of them.",
            buckets=_EDGES_S,
            registry=registry,
        )
        self.acknowledged: Callable[[float], None] = acks.observe
        self._bytes = Gauge(f"{prefix}_spool_bytes", "Bytes in the spool on disk.", registry=registry)
        self._entries = Gauge(
            f"{prefix}_spool_requests", "Requests that wait in the spool.", registry=registry
        )
        self._spooling = Gauge(f"{prefix}_spooling", "1 while events go to the spool.", registry=registry)
        self._torn = Gauge(
            f"{prefix}_spool_torn_bytes", "Bytes that were no whole entry at the start.", registry=registry
        )

    def request(self, way: str, outcome: str) -> None:
        """A request was answered."""
        self._requests[way, outcome].inc()

    def kept(self, types: Iterable[str]) -> None:
        """Events were kept."""
        for name, count in Counts(types).items():
            self._events[name].inc(count)

    def refused(self, reasons: Iterable[str]) -> None:
        """Events were refused."""
        for reason in reasons:
            self._refused[reason].inc()

    def spool(self, size: int, entries: int, torn: int, *, spooling: bool) -> None:
        """How the spool is."""
        self._bytes.set(size)
        self._entries.set(entries)
        self._torn.set(torn)
        self._spooling.set(spooling)

    def page(self, accept: str) -> tuple[bytes, str]:
        """A scrape and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
