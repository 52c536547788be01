"""Which alerts are nobody told of while others fire? The shipped rules of a real Alertmanager, one site for each case."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from tests.prometheus.shipped import ALERTS
from tests.system.local_alertmanager import Listener, LocalAlertmanager, shipped_routes
from tests.system.members import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


class Case(NamedTuple):
    """Alerts as "Name label=value ...", without their prefix."""

    because: str
    fires: tuple[str, ...]
    held_back: tuple[str, ...]


CASES = (
    Case("the source of calls is silent, whatever the prefix of its topic",
         ("TelemetryStale source=tokyo.calls", "LongestWait queue=Chats channel=chat"),
         ("LongestWait queue=Sales channel=voice", "ServiceLevelCollapsed queue=Sales channel=voice",
          "AbandonmentHigh queue=Mail channel=email", "SiteServiceLevelCollapsed channel=voice")),
    Case("the source of chats is silent",
         ("TelemetryStale source=chats", "LongestWait queue=Sales channel=voice"),
         ("ChatFirstResponseSlow queue=Chats channel=chat", "LongestWait queue=Chats channel=chat")),
    Case("nobody tells of agents",
         ("TelemetryStale source=presence", "LongestWait queue=Sales channel=voice"),
         ("QueueUnstaffed queue=Support channel=voice", "NoAgentAvailable queue=Support channel=voice")),
    Case("there is no worker",
         ("TelemetryAbsent", "Watchdog"),
         ("TargetDown instance=a", "LongestWait queue=Sales channel=voice", "TelemetryStale source=calls")),
    Case("a queue's row is old",
         ("SnapshotStale queue=Sales channel=voice", "LongestWait queue=Support channel=voice"),
         ("LongestWait queue=Sales channel=voice",)),
    Case("a whole channel breaks its promise",
         ("SiteServiceLevelCollapsed channel=voice", "LongestWait queue=Sales channel=voice",
          "ServiceLevelCollapsed queue=Chats channel=chat"),
         ("ServiceLevelCollapsed queue=Sales channel=voice", "AbandonmentHigh queue=Support channel=voice")),
    Case("nobody serves the queue",
         ("QueueUnstaffed queue=Sales channel=voice", "WaitingPastTarget queue=Support channel=voice"),
         ("LongestWait queue=Sales channel=voice", "ServiceLevelCollapsed queue=Sales channel=voice",
          "ExpectedWaitHigh queue=Sales channel=voice")),
    Case("what is urgent stands for what is not",
         ("ServiceLevelCollapsed queue=Sales channel=voice", "ServiceLevelBelowTarget queue=Support channel=voice"),
         ("ServiceLevelBelowTarget queue=Sales channel=voice", "ServiceLevelBudgetSpent queue=Sales channel=voice")),
    Case("a warning stands for nothing",
         ("ServiceLevelBelowTarget queue=Sales channel=voice", "AbandonmentHigh queue=Sales channel=voice",
          "DeadLetters topic=calls"),
         ()),
)  # fmt: skip


def labels_of(alert: str, site: str) -> dict[str, str]:
    name, *pairs = alert.split()
    rule = ALERTS[f"Queuelight{name}"]
    return {"alertname": rule.name, "site": site, **rule.labels, **dict(pair.split("=") for pair in pairs)}


def test_nobody_is_told_what_another_alert_says_already() -> None:
    until_ = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    wanted = {
        frozenset(labels_of(alert, case.because).items()): state
        for case in CASES
        for state, alerts in (("active", case.fires), ("suppressed", case.held_back))
        for alert in alerts
    }
    with Listener() as listener, LocalAlertmanager(shipped_routes(listener)) as alertmanager:
        alertmanager.post("/api/v2/alerts", [{"labels": dict(each), "endsAt": until_} for each in wanted])

        def wrong() -> list[tuple[object, ...]]:
            states = {
                frozenset(each["labels"].items()): each["status"]["state"] for each in alertmanager.alerts()
            }
            return [
                (sorted(each), states.get(each), state)
                for each, state in wanted.items()
                if states.get(each) != state
            ]

        with suppress(AssertionError):  # which of them are wrong says more than that some are
            until(lambda: not wrong(), "all are judged", 20)
        assert wrong() == []
