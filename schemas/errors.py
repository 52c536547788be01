"""What can go wrong, as one tree with a bounded ``reason`` for each leaf (the reason is also the metric label).

    QueuelightError
     |- SettingsError          the configuration cannot be used            (exit code 2)
     |- InputError             a file or argument cannot be read           (exit code 2)
     |- BrokerError            Kafka cannot be reached or refuses          (exit code 1)
     '- BrokenInvariant        the process must stop: its state is in doubt (exit code 1)

Bad *messages* are no exceptions: they become `schemas.dead_letters.DeadLetter` with a `Reason`.
"""

from enum import StrEnum


class QueuelightError(Exception):
    """The root of all errors that Queuelight raises on purpose."""


class SettingsError(QueuelightError):
    """The configuration has an unknown key, a wrong type or an impossible value."""


class InputError(QueuelightError):
    """A file or an argument cannot be read; the message says where and what was expected."""


class BrokerError(QueuelightError):
    """Kafka cannot be reached, lacks a topic, or refuses a request."""


class BrokenInvariant(QueuelightError):
    """The state of this process is in doubt; it must exit and restore."""


class Reason(StrEnum):
    """Why a record was set aside as a dead letter. Bounded: each is a metric label."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_AN_EVENT = "not_an_event"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    TIME_IN_FUTURE = "time_in_future"
    BAD_NAME = "bad_name"
    TOO_MANY_EVENTS = "too_many_events"
    TOO_MANY_AGENTS = "too_many_agents"
    WRONG_TOPIC = "wrong_topic"
    WRONG_CLOCK = "wrong_clock"
    UNREADABLE_ROW = "unreadable_row"
