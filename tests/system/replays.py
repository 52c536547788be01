"""A recording through Kafka and workers that something happens to."""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from agents.replay import Through, has_workers, replay_through_kafka
from agents.settings import Settings, load
from agents.topics import create_topics
from streams.driver import Item
from streams.site import Site
from tests.system.local_kafka import LocalKafka
from tests.system.local_redis import LocalRedis
from tests.system.members import Member, until


def settings_for(
    kafka: LocalKafka, name: str, site: Site, redis: LocalRedis | None = None, *, replay: bool = False
) -> Settings:
    """Settings of an application of its own, its topics and its site named after it; `replay`: for a replay's workers."""
    flags = {"kafka.broker": kafka.bootstrap, "kafka.app_id": name, "kafka.topic_prefix": f"{name}."}
    if redis is not None:
        flags["redis.url"] = redis.url
    if replay:
        flags["worker.clock"] = "event"
    made = load(None, flags)
    return made.with_site(msgspec.structs.replace(site, name=name))


def run(
    settings: Settings, items: tuple[Item, ...], members: list[Member], disturb: Callable[[], None]
) -> Through:
    """Replay through running members, of settings for a replay, while `disturb` goes on in another thread."""
    create_topics(settings)
    for member in members:
        member.start()
    failed: list[BaseException] = []

    def disturbing() -> None:
        try:
            disturb()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=disturbing, daemon=True)
    half = len(items) // 2

    def paced_items() -> Iterator[Item]:
        for number, item in enumerate(items):
            if number == half:
                thread.start()
            if number > half and number % 200 == 0 and thread.is_alive():
                time.sleep(0.05)  # spread what is left over the disturbance, so that it meets work
            yield item

    until(lambda: has_workers(settings), "workers in the group")
    through = replay_through_kafka(settings, paced_items(), 900, running=True)
    thread.join(120)
    assert not failed, failed
    return through
