"""Do the topics exist, with the settings they need? Created and checked through Kafka's admin interface."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from agents.kafka_client import reached
from schemas.errors import BrokerError
from schemas.topics import Topic, topics

if TYPE_CHECKING:
    from agents.settings import Settings

_PATIENCE_S = 10.0


def wanted(settings: "Settings") -> tuple[Topic, ...]:
    """The topics of this installation."""
    kafka = settings.kafka
    return topics(kafka.partitions, kafka.app_id, kafka.topic_prefix)


def check_broker(settings: "Settings") -> str:
    """Ask the broker who it is.

    Raises:
        BrokerError: it does not answer.
    """
    _, metadata = reached(settings)
    return f"{len(metadata.brokers)} broker(s), {len(metadata.topics)} topics"


def create_topics(settings: "Settings") -> list[str]:
    """Create what is missing; return the names created.

    Raises:
        BrokerError: the broker does not answer or refuses, or a topic exists with another number of partitions.
    """
    problems = [
        problem for problem in check_topics(settings, missing_is_bad=False) if "partitions" in problem
    ]
    if problems:
        raise BrokerError("; ".join(problems))
    admin, metadata = reached(settings)
    missing = [topic for topic in wanted(settings) if topic.name not in metadata.topics]
    requests = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=-1, config=topic.settings())
        for topic in missing
    ]
    if requests:
        for name, future in admin.create_topics(requests, operation_timeout=_PATIENCE_S).items():
            try:
                future.result()
            except KafkaException as error:
                raise BrokerError(f"topic {name} could not be created: {error}") from error
    return [topic.name for topic in missing]


def check_topics(settings: "Settings", *, missing_is_bad: bool = True) -> list[str]:
    """What is wrong with the topics, in sentences that say how to mend it; empty: nothing.

    Raises:
        BrokerError: the broker does not answer.
    """
    admin, metadata = reached(settings)
    problems = []
    existing: list[Topic] = []
    for topic in wanted(settings):
        found = metadata.topics.get(topic.name)
        if found is None:
            if missing_is_bad:
                problems.append(f"topic {topic.name} is missing: run `queuelight topics create`")
        elif len(found.partitions) != topic.partitions:
            problems.append(
                f"topic {topic.name} has {len(found.partitions)} partitions, expected {topic.partitions}: "
                f"set [kafka] partitions, or recreate it"
            )
        else:
            existing.append(topic)
    return problems + _wrong_settings(admin, existing)


def _wrong_settings(admin: AdminClient, existing: Sequence[Topic]) -> list[str]:
    if not existing:
        return []
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in existing]
    by_name = {topic.name: topic for topic in existing}
    problems = []
    for resource, future in admin.describe_configs(resources, request_timeout=_PATIENCE_S).items():
        try:
            found = future.result()
        except KafkaException as error:
            problems.append(f"topic {resource.name}: its settings cannot be read: {error}")
            continue
        for name in ("cleanup.policy", "max.message.bytes"):
            expected = by_name[resource.name].settings()[name]
            value = found[name].value
            if value != expected and not (name == "max.message.bytes" and int(value) >= int(expected)):
                problems.append(f"topic {resource.name}: {name} is {value}, expected {expected}")
    return problems
