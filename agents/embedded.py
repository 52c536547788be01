"""A Kafka broker inside this process, for a first look: librdkafka's built-in one. Nothing to install.

It keeps 5 MiB a partition in memory and forgets everything at the end; it cannot compact. Good for a demo, not for
durability or throughput (for those: `make kafka`).
"""

import signal

from confluent_kafka import Producer

from schemas.topics import Topic

_PATIENCE_S = 10.0


class EmbeddedBroker:
    """Starts on `start`; lives until `stop` or the end of the process."""

    def __init__(self) -> None:
        self._owner: Producer | None = None
        self.bootstrap = ""

    def start(self) -> str:
        """Start the broker and return its address."""
        # Its thread ends when a signal interrupts it; threads inherit what their maker blocks.
        unblocked = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        try:
            self._owner = Producer(
                {"test.mock.num.brokers": 1, "bootstrap.servers": "embedded:1", "log_level": 2}
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        brokers = self._owner.list_topics(timeout=_PATIENCE_S).brokers
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
        return self.bootstrap

    def create(self, wanted: tuple[Topic, ...]) -> None:
        """Let topics appear by asking for them; each has four partitions, whatever is wanted."""
        assert self._owner is not None
        for topic in wanted:
            self._owner.list_topics(topic.name, timeout=_PATIENCE_S)

    def stop(self) -> None:
        """Stop the broker."""
        self._owner = None
