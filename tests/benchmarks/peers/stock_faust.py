"""With which settings does stock Faust run? Those found best for it, with no web server; the rest is as it comes."""

from __future__ import annotations

import faust

from tests.benchmarks.peers.stopwatch import DURABLE_EVERY_S, Flags


def app_of(told: Flags) -> faust.App:
    """An application without topics, tables and agent functions."""
    return faust.App(
        told.run_id,
        broker=f"kafka://{told.broker}",
        datadir=str(told.state_dir),
        store="memory://",
        topic_partitions=told.partitions,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=DURABLE_EVERY_S,
        broker_commit_every=50_000,
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
        producer_linger=0.02,
    )
