"""Which of the things that librdkafka says of its connections is the reason that people are told?"""

import pytest
from confluent_kafka import KafkaError

from agents.kafka_client import Trouble, in_our_words

AWAY = KafkaError(KafkaError._TRANSPORT, "Connect to ipv4#127.0.0.1:1 failed: Connection refused")
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
REFUSED = KafkaError(KafkaError._AUTHENTICATION, "invalid credentials (after 343ms in state AUTH_REQ)")
ALERT = KafkaError(KafkaError._TRANSPORT, "Receive failed: bad certificate: SSL alert number 42")


@pytest.mark.parametrize(
    ("heard", "reason", "is_refusal"),
    [
        ([], "", False),
        ([DOWN], "", False),
        ([AWAY, DOWN, AWAY], AWAY.str(), False),
        ([AWAY, REFUSED, ALERT], "invalid credentials", True),
        ([DOWN, ALERT, REFUSED], ALERT.str(), True),
    ],
)
def test_the_first_refusal_is_told_and_without_one_the_first_reason(
    heard: list[KafkaError], reason: str, is_refusal: bool
) -> None:
    trouble = Trouble()
    for error in heard:
        trouble(error)
    assert (trouble.reason, trouble.is_refusal) == (reason, is_refusal)


def test_settings_have_the_names_that_people_write() -> None:
    said = "verify that ssl.ca.location is right (after 9ms in state SSL_HANDSHAKE)"
    assert in_our_words(said) == "verify that [kafka] ca_file is right"
