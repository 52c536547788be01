"""How is the broker spoken to through librdkafka, and why does it not answer?

librdkafka's calls only say that time ran out; the reason (a refused password, a certificate nobody vouches for) comes
on the side, and is waited for here. Refuses to know topics and what is sent.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]

from schemas.errors import BrokerError, SettingsError

if TYPE_CHECKING:
    from agents.settings import Settings

_Client = TypeVar("_Client")
_PATIENCE_S = 10.0
_LOOK_S = 1.0
_OURS = {
    "ssl.ca.location": "[kafka] ca_file",
    "ssl.certificate.location": "[kafka] cert_file",
    "ssl.key.location": "[kafka] key_file",
}


def client_settings(settings: "Settings") -> dict[str, str | int | float | bool]:
    """librdkafka's settings for the broker in force."""
    kafka = settings.kafka
    made: dict[str, str | int | float | bool] = {
        "bootstrap.servers": kafka.broker,
        "security.protocol": kafka.security_protocol,
    }
    if kafka.sasl_mechanism:
        password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else ""
        made |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username or "",
            "sasl.password": password,
        }
    if kafka.ca_file:
        made["ssl.ca.location"] = str(kafka.ca_file)
    if kafka.cert_file and kafka.key_file:
        made |= {
            "ssl.certificate.location": str(kafka.cert_file),
            "ssl.key.location": str(kafka.key_file),
        }
    return made


class Trouble:
    """What a client says of its connections: given to it as `error_cb`, told while it is polled."""

    def __init__(self) -> None:
        self.reason = ""
        """The first reason heard; one that waiting does not cure takes precedence. Empty: none."""
        self.is_refusal = False
        """True when one side does not accept who the other is: waiting does not cure it."""

    def __call__(self, error: KafkaError) -> None:
        # The broker's refusal of our certificate comes as a mere end of the connection, with an alert in its text.
        refused = error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL) or "SSL alert" in error.str()
        if (self.reason and not refused) or self.is_refusal or error.code() == KafkaError._ALL_BROKERS_DOWN:
            return
        self.reason, self.is_refusal = in_our_words(error.str()), refused


def in_our_words(text: str) -> str:
    """librdkafka's sentence with the names of our settings, and without its inner states."""
    text = re.sub(r" \(after \d+ms in state [^)]*\)", "", text)
    for theirs, ours in _OURS.items():
        text = text.replace(theirs, ours)
    return text


def connecting(client: Callable[[Any], _Client], settings: "Settings", more: Mapping[str, object]) -> _Client:
    """A client of librdkafka, which begins to connect; `more`: what it is told besides `client_settings`.

    Raises:
        SettingsError: certificates or keys that cannot be used.
    """
    try:
        return client({**client_settings(settings), **more})
    except KafkaException as error:
        raise SettingsError(f"[kafka]: {in_our_words(error.args[0].str())}") from error


def reached(settings: "Settings") -> tuple[AdminClient, ClusterMetadata]:
    """An admin client of the broker, and what the broker says of itself and its topics.

    Raises:
        SettingsError: certificates or keys that cannot be used.
        BrokerError: it does not answer, or refuses us or we it; the message says which.
    """
    trouble = Trouble()
    admin = connecting(AdminClient, settings, {"log_level": 2, "error_cb": trouble})
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return admin, admin.list_topics(timeout=_LOOK_S)
        except KafkaException as error:
            admin.poll(0)
            if trouble.is_refusal or time.monotonic() > deadline:
                reason = trouble.reason or error
                raise BrokerError(f"Kafka at {settings.kafka.broker} does not answer: {reason}") from error
