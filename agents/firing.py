"""Which alerts fire now, since when, and who has taken them on? As Alertmanager says it, in our words.

Refuses to know rules (`dashboards/prometheus`) and how alerts are shown: `agents.firing_shown` and the wallboard do.
"""

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import datetime
from http.client import HTTPException
from typing import TypeVar

import msgspec
from msgspec import Struct

from agents.settings.file import masked_url
from schemas.errors import QueuelightError

WATCHDOG = "QueuelightWatchdog"
"""Always fires; its absence means that alerting does not work."""
SEVERITIES = ("critical", "warning", "info")
_OURS = "Queuelight"
_PATIENCE_S = 5.0
_Answer = TypeVar("_Answer")


class Handling(Struct, frozen=True):
    """Somebody silenced an alert: who, why, until when."""

    by: str
    comment: str
    until: datetime


class Firing(Struct, frozen=True, kw_only=True):
    """One alert that fires.

    `value`, `limit` and `n` are texts with their units, "" where the alert has none. `told` is False while nobody is
    told of it: it is silenced (then `handling` says by whom) or another alert stands for it (`instead`: which).
    """

    alert: str
    severity: str
    since: datetime
    summary: str
    summary_ja: str = ""
    site: str = ""
    queue: str = ""
    channel: str = ""
    owner: str = ""
    about: str = ""
    subject: str = ""
    value: str = ""
    limit: str = ""
    n: str = ""
    told: bool = True
    handling: tuple[Handling, ...] = ()
    instead: tuple[str, ...] = ()
    dashboard: str = ""
    runbook: str = ""


class Fired(Struct, frozen=True):
    """Everything that fires, the worst and oldest first, and whether the watchdog does."""

    alerts: tuple[Firing, ...]
    watched: bool


class AlertmanagerError(QueuelightError):
    """Alertmanager does not answer, or not as expected."""


class _Status(Struct, rename="camel"):
    state: str
    silenced_by: list[str] = []
    inhibited_by: list[str] = []


class _Alert(Struct, rename="camel"):
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    status: _Status
    fingerprint: str = ""


class _Silence(Struct, rename="camel"):
    id: str
    created_by: str
    comment: str
    ends_at: datetime


def fired(url: str) -> Fired:
    """Ask the Alertmanager at `url` ("http://HOST:9093").

    Raises:
        AlertmanagerError: it does not answer within 5 s, or not as an Alertmanager does.
    """
    alerts = _asked(url, "/api/v2/alerts", list[_Alert])
    silenced = any(each.status.silenced_by for each in alerts)
    silences = _asked(url, "/api/v2/silences", list[_Silence]) if silenced else []
    return read(alerts, {each.id: each for each in silences})


def read(alerts: Iterable[_Alert], silences: Mapping[str, _Silence]) -> Fired:
    """Our alerts among Alertmanager's, in our words."""
    ours = [each for each in alerts if each.labels.get("alertname", "").startswith(_OURS)]
    names = {each.fingerprint: each.labels["alertname"] for each in alerts if "alertname" in each.labels}
    firing = [_firing(each, silences, names) for each in ours if each.labels["alertname"] != WATCHDOG]
    watched = len(firing) < len(ours)
    return Fired(tuple(sorted(firing, key=_urgency)), watched)


def _urgency(firing: Firing) -> tuple[int, bool, datetime, str, str]:
    known = firing.severity in SEVERITIES
    rank = SEVERITIES.index(firing.severity) if known else len(SEVERITIES)
    return rank, not firing.told, firing.since, firing.alert, firing.queue


_SUBJECTS = ("page", "source", "topic", "reason", "instance")


def _firing(alert: _Alert, silences: Mapping[str, _Silence], names: Mapping[str, str]) -> Firing:
    labels, words = alert.labels, alert.annotations
    found = [silences[each] for each in alert.status.silenced_by if each in silences]
    return Firing(
        alert=labels["alertname"],
        severity=labels.get("severity", ""),
        since=alert.starts_at,
        summary=words.get("summary", labels["alertname"]),
        summary_ja=words.get("summary_ja", ""),
        site=labels.get("site", ""),
        queue=labels.get("queue", ""),
        channel=labels.get("channel", ""),
        owner=labels.get("owner", ""),
        about=labels.get("about", ""),
        subject=" ".join(labels[key] for key in _SUBJECTS if key in labels),
        value=words.get("value", ""),
        limit=words.get("limit", ""),
        n=words.get("n", ""),
        told=alert.status.state != "suppressed",
        handling=tuple(Handling(each.created_by, each.comment, each.ends_at) for each in found),
        instead=tuple(sorted({names.get(each, each) for each in alert.status.inhibited_by})),
        dashboard=words.get("dashboard_url", ""),
        runbook=words.get("runbook_url", ""),
    )


def _asked(url: str, path: str, kind: type[_Answer]) -> _Answer:
    shown = masked_url(url)
    try:
        with urllib.request.urlopen(url + path, timeout=_PATIENCE_S) as answer:
            return msgspec.json.decode(answer.read(), type=kind)
    except urllib.error.HTTPError as error:
        raise AlertmanagerError(
            f"Alertmanager at {shown}: it answered {error.code} {error.reason} to {path}"
        ) from None
    except (msgspec.MsgspecError, HTTPException) as error:
        seen = " ".join(str(error).split())
        raise AlertmanagerError(
            f"Alertmanager at {shown}: its answer is none of Alertmanager: {seen}"
        ) from None
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise AlertmanagerError(f"Alertmanager at {shown} does not answer: {reason}") from None
