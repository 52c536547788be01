"""What happens to a queue, a source or a worker until an alert rings, and until it ends? One story for each alert.

A story says what its metrics show while all is well, while it is not, and just before it is not. `chapters` makes of
it what `promtool test rules` reads. Refuses to know the rules: a story tells only metrics and what people are told.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

STEP_S = 5
"""Scrapes and evaluations."""
QUEUE, OTHER = "注文・配送", "Sales"
A, B = "10.0.0.1:9108", "10.0.0.2:9108"

Value = float | Callable[[int], float]
"""A number, or what it is at a second of the story."""
Rows = Mapping[str, Value]
"""What one worker exports: {name, or name{label="value"}: value}."""
Scrape = dict[str, float]
Yaml = dict[str, object]


def staffed(available: int = 2, busy: int = 3, wrap_up: int = 0, break_: int = 0, offline: int = 4) -> Rows:
    """The agents of a queue."""
    states = {
        "available": available,
        "busy": busy,
        "wrap_up": wrap_up,
        "break": break_,
        "offline": offline,
        "lost": 0,
    }
    return {f'queuelight_queue_agents{{state="{state}"}}': n for state, n in states.items()}


def _window(window: str, **counts: float) -> Rows:
    return {f'queuelight_window_{name}{{window="{window}"}}': n for name, n in counts.items()}


def kept(window: str, answered_in_time: float, n: float) -> Rows:
    """The live service level of a window."""
    return _window(window, sl_live_numerator_contacts=answered_in_time, sl_live_denominator_contacts=n)


WELL: Rows = {
    "queuelight_queue_waiting_contacts": 1,
    "queuelight_queue_at_risk_contacts": 0,
    "queuelight_queue_oldest_waiting_timestamp_seconds": 0,
    "queuelight_queue_expected_wait_seconds": float("nan"),
    "queuelight_queue_callbacks_open_contacts": 0,
    "queuelight_queue_oldest_callback_timestamp_seconds": 0,
    "queuelight_queue_snapshot_timestamp_seconds": lambda t: t,
    "queuelight_queue_open": 1,
    'queuelight_queue_info{owner="support",team="north"}': 1,
    "queuelight_sl_threshold_seconds": 20,
    "queuelight_sl_target_ratio": 0.8,
    "queuelight_alert_longest_wait_seconds": 60,
    "queuelight_alert_expected_wait_seconds": 60,
    "queuelight_alert_callback_wait_seconds": 100,
    "queuelight_alert_abandonment_ratio": 0.1,
    **staffed(),
    **kept("5m", 9, 10),
    **kept("15m", 14, 15),
    **kept("30m", 30, 32),
    **kept("day", 500, 520),
    **_window("30m", answered_contacts=38, abandoned_contacts=2),
}
"""A queue on a good day."""
CHAT: Rows = {
    "queuelight_alert_first_response_seconds": 120,
    "queuelight_alert_silent_abandonment_ratio": 0.1,
    **_window("30m", first_response_seconds=300, first_response_contacts=5),
    **_window("1h", answered_contacts=25, abandoned_contacts=4, silent_abandoned_contacts=1),
}
"""What a queue of chats says besides."""
_SHORTLY_WELL: Rows = {
    key: WELL[key]
    for key in ("queuelight_queue_waiting_contacts", "queuelight_queue_snapshot_timestamp_seconds")
}
"""The same where only its being there matters."""
RUNS: Rows = {
    'queuelight_build_info{version="1",revision="r"}': 1,
    'queuelight_agents{state="available"}': 4,
    'queuelight_agents{state="offline"}': 4,
    'queuelight_source_last_event_timestamp_seconds{source="calls"}': lambda t: t,
    'queuelight_heartbeat_timestamp_seconds{source="calls"}': lambda t: t,
    'queuelight_source_last_event_timestamp_seconds{source="chats"}': lambda t: t,
    'queuelight_heartbeat_timestamp_seconds{source="chats"}': 0,
    'queuelight_consumer_lag_messages{topic="calls",partition="0"}': 3,
    'queuelight_recovering{topic="calls",partition="0"}': 0,
    'queuelight_dead_letters_total{topic="calls",reason="too_big"}': 0,
    'queuelight_redis_writes_total{result="fenced"}': 0,
    'queuelight_redis_writes_total{result="failed"}': 0,
    "queuelight_rebalances_total": 1,
    'queuelight_page_stuck_visitors{page="/料金"}': 2,
    'queuelight_page_stuck_visitors{page="/returns"}': 1,
    "queuelight_alert_stuck_visitors": 10,
    "queuelight_web_report_timestamp_seconds": lambda t: t,
    "up": 1,
    "scrape_samples_scraped": 5000,
}
"""A worker that works."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """How one alert begins and ends.

    Attributes:
        alert: its name.
        worse: what the queue shows in trouble, from `onset_s` on; where it has not changed it is as in `WELL`.
        nearly: what it shows as close to trouble as can be, for ever.
        process: the same of the worker, of `RUNS`.
        nearly_process: likewise.
        fires_s: seconds from onset to ringing (the rule's `for`).
        stays_s: seconds from recovery to the end (its `keep_firing_for`, or what a counter's window takes).
        slack_s: how exactly these two are known: to the step, or not so.
        numbers: what people are told at the first ring, beside what stands in the rule.
        labels: besides queue, channel, owner and team.
        of_queue: False for the pipeline's alerts.
        hurt: whether missed scrapes, a rebalance and an absent target happen while it fires.
    """

    alert: str
    fires_s: int
    worse: Rows = field(default_factory=dict)
    nearly: Rows = field(default_factory=dict)
    process: Rows = field(default_factory=dict)
    nearly_process: Rows = field(default_factory=dict)
    channel: str = "voice"
    onset_s: int = 120
    stays_s: int = 0
    slack_s: int = STEP_S
    numbers: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    of_queue: bool = True
    hurt: bool = True
    both_queues: bool = False

    @property
    def first_ring_s(self) -> int:
        """When it rings."""
        return self.onset_s + self.fires_s

    @property
    def well_again_s(self) -> int:
        """When trouble is over."""
        return self.first_ring_s + 150

    def told(self) -> dict[str, str]:
        """The labels of the alert without severity and subject."""
        if not self.of_queue:
            return dict(self.labels)
        owned = {"owner": "support", "team": "north"}
        return {"queue": QUEUE, "channel": self.channel, **owned, **self.labels}


_T = Story(alert="", fires_s=0).onset_s

STORIES = (
    Story(
        alert="QueuelightLongestWait", fires_s=30, stays_s=60,
        worse={
            "queuelight_queue_oldest_waiting_timestamp_seconds": _T - 61,
            "queuelight_queue_at_risk_contacts": 3,
            "queuelight_queue_waiting_contacts": 4,
        },
        nearly={
            "queuelight_queue_oldest_waiting_timestamp_seconds": lambda t: t - 60,
            "queuelight_queue_at_risk_contacts": 3,
        },
        numbers={"value": "1m 31s", "limit": "1m 0s", "n": "4"},
    ),
    Story(
        alert="QueuelightWaitingPastTarget", fires_s=30, stays_s=60,
        worse={"queuelight_queue_at_risk_contacts": 6, "queuelight_queue_waiting_contacts": 9, **staffed(0, 5)},
        nearly={"queuelight_queue_at_risk_contacts": 5, "queuelight_queue_waiting_contacts": 9, **staffed(0, 5)},
        numbers={"value": "6", "limit": "5", "n": "9"},
    ),
    Story(
        alert="QueuelightQueueUnstaffed", fires_s=15, stays_s=60,
        worse=staffed(0, 0), nearly=staffed(0, 0, wrap_up=1),
        numbers={"value": "1", "n": "1"},
    ),
    Story(
        alert="QueuelightNoAgentAvailable", fires_s=60, stays_s=60,
        worse={"queuelight_queue_at_risk_contacts": 1, **staffed(0, 2, wrap_up=1, break_=2)},
        nearly={"queuelight_queue_at_risk_contacts": 1, **staffed(0, 3, wrap_up=1, break_=2)},
        numbers={"value": "1", "n": "1"},
    ),
    Story(
        alert="QueuelightExpectedWaitHigh", fires_s=60, stays_s=60,
        worse={"queuelight_queue_expected_wait_seconds": 61, "queuelight_queue_waiting_contacts": 3},
        nearly={"queuelight_queue_expected_wait_seconds": 60, "queuelight_queue_waiting_contacts": 3},
        numbers={"value": "1m 1s", "limit": "1m 0s", "n": "3"},
    ),
    Story(
        alert="QueuelightCallbacksOverdue", fires_s=60, stays_s=60,
        worse={
            "queuelight_queue_oldest_callback_timestamp_seconds": _T - 101,
            "queuelight_queue_callbacks_open_contacts": 2,
        },
        nearly={"queuelight_queue_oldest_callback_timestamp_seconds": lambda t: max(0, t - 100)},
        numbers={"value": "2m 41s", "limit": "1m 40s", "n": "2"},
    ),
    Story(
        alert="QueuelightServiceLevelCollapsed", fires_s=60, stays_s=300,
        worse={**kept("5m", 3, 10), **kept("15m", 3, 10)},
        nearly={**kept("5m", 3, 10), **kept("15m", 4, 10)},
        numbers={"value": "30%", "limit": "80%", "n": "10"}, labels={"window": "5m"},
    ),
    Story(
        alert="QueuelightServiceLevelBelowTarget", fires_s=60, stays_s=600,
        worse=kept("30m", 10, 20), nearly=kept("30m", 11, 20),
        numbers={"value": "50%", "limit": "80%", "n": "20"}, labels={"window": "30m"},
    ),
    Story(
        alert="QueuelightSiteServiceLevelCollapsed", fires_s=60, stays_s=300, both_queues=True, of_queue=False,
        worse={**kept("5m", 3, 10), **kept("15m", 4, 15)},
        nearly={**kept("5m", 4, 10), **kept("15m", 4, 15)},
        numbers={"value": "30%", "n": "20"}, labels={"channel": "voice", "window": "5m"},
    ),
    Story(
        alert="QueuelightAbandonmentHigh", fires_s=60, stays_s=600,
        worse=_window("30m", answered_contacts=29, abandoned_contacts=11),
        nearly=_window("30m", answered_contacts=30, abandoned_contacts=10),
        numbers={"value": "27.5%", "limit": "10%", "n": "40"}, labels={"window": "30m"},
    ),
    Story(
        alert="QueuelightChatFirstResponseSlow", fires_s=60, stays_s=600, channel="chat",
        worse=_window("30m", first_response_seconds=605), nearly=_window("30m", first_response_seconds=600),
        numbers={"value": "2m 1s", "limit": "2m 0s", "n": "5"}, labels={"window": "30m"},
    ),
    Story(
        alert="QueuelightChatSilentAbandonsHigh", fires_s=60, stays_s=600, channel="chat",
        worse=_window("1h", silent_abandoned_contacts=11), nearly=_window("1h", silent_abandoned_contacts=9),
        numbers={"value": "27.5%", "limit": "10%", "n": "40"}, labels={"window": "1h"},
    ),
    Story(
        alert="QueuelightServiceLevelBudgetSpent", fires_s=600, stays_s=900,
        worse=kept("day", 39, 50), nearly=kept("day", 40, 50),
        numbers={"value": "78%", "limit": "80%", "n": "50"}, labels={"window": "day"},
    ),
    Story(
        alert="QueuelightStuckVisitorsSurge", fires_s=60, stays_s=300, of_queue=False, labels={"page": "/料金"},
        process={'queuelight_page_stuck_visitors{page="/料金"}': 10},
        nearly_process={'queuelight_page_stuck_visitors{page="/料金"}': 9},
        numbers={"value": "10", "limit": "10"},
    ),
    Story(
        alert="QueuelightSnapshotStale", fires_s=30, stays_s=30,
        worse={"queuelight_queue_snapshot_timestamp_seconds": _T - 31},
        nearly={"queuelight_queue_snapshot_timestamp_seconds": lambda t: t - 30},
        numbers={"value": "1m 1s"}, of_queue=False, labels={"queue": QUEUE, "channel": "voice"}, hurt=False,
    ),
    Story(
        alert="QueuelightTelemetryStale", fires_s=15, stays_s=30, of_queue=False, labels={"source": "calls"},
        process={'queuelight_source_last_event_timestamp_seconds{source="calls"}': _T - 61},
        nearly_process={'queuelight_source_last_event_timestamp_seconds{source="calls"}': lambda t: t - 60},
        numbers={"value": "1m 16s"}, hurt=False,
    ),
    Story(
        alert="QueuelightTelemetryStale", onset_s=1200, fires_s=15, stays_s=30, of_queue=False,
        labels={"source": "chats"},
        process={'queuelight_source_last_event_timestamp_seconds{source="chats"}': 1200 - 901},
        nearly_process={'queuelight_source_last_event_timestamp_seconds{source="chats"}': lambda t: max(0, t - 900)},
        numbers={"value": "15m 16s"}, hurt=False,
    ),
    Story(
        alert="QueuelightRecoveringTooLong", fires_s=120, of_queue=False, labels={"topic": "calls"},
        process={'queuelight_recovering{topic="calls",partition="0"}': 1},
        nearly_process={'queuelight_recovering{topic="calls",partition="0"}': lambda t: _T <= t < _T + 120},
        hurt=False,
    ),
    Story(
        alert="QueuelightClockSkew", fires_s=60, stays_s=60, of_queue=False, labels={"source": "calls"},
        process={'queuelight_source_last_event_timestamp_seconds{source="calls"}': lambda t: t + 6},
        nearly_process={'queuelight_source_last_event_timestamp_seconds{source="calls"}': lambda t: t + 5},
        numbers={"value": "6s"}, hurt=False,
    ),
    Story(
        alert="QueuelightTargetDown", fires_s=60, stays_s=30, of_queue=False,
        labels={"job": "queuelight", "instance": A},
        process={"up": 0}, nearly_process={"up": lambda t: not _T <= t < _T + 60}, hurt=False,
    ),
    Story(
        alert="QueuelightTooManySeries", fires_s=300, of_queue=False, labels={"job": "queuelight", "instance": A},
        process={"scrape_samples_scraped": 240_001}, nearly_process={"scrape_samples_scraped": 240_000},
        numbers={"value": "240001"}, hurt=False,
    ),
    # What takes a window to begin or to end is known to a few scrapes only.
    Story(
        alert="QueuelightConsumerLagGrowing", fires_s=360, stays_s=120, slack_s=15, of_queue=False,
        labels={"topic": "calls"},
        process={'queuelight_consumer_lag_messages{topic="calls",partition="0"}': lambda t: min(2000 + 10 * (t - _T), 5600)},
        nearly_process={'queuelight_consumer_lag_messages{topic="calls",partition="0"}': 2000},
        numbers={"value": "5600"}, hurt=False,
    ),
    Story(
        alert="QueuelightDeadLetters", fires_s=0, stays_s=900, slack_s=180, of_queue=False,
        labels={"topic": "calls", "reason": "too_big"},
        process={'queuelight_dead_letters_total{topic="calls",reason="too_big"}': 1},
        numbers={"value": "1"}, hurt=False,
    ),
    Story(
        alert="QueuelightWritesFenced", fires_s=300, stays_s=300, slack_s=15, of_queue=False,
        process={'queuelight_redis_writes_total{result="fenced"}': lambda t: t - _T + 5},
        nearly_process={'queuelight_redis_writes_total{result="fenced"}': 5},
        numbers={"value": "1/s"}, hurt=False,
    ),
    Story(
        alert="QueuelightWritesFailed", fires_s=60, stays_s=120, slack_s=15, of_queue=False,
        process={'queuelight_redis_writes_total{result="failed"}': lambda t: t - _T + 5},
        numbers={"value": "1/s"}, hurt=False,
    ),
)  # fmt: skip


# --- what promtool reads ----------------------------------------------------------------------------------------------


def _at(rows: Rows, t: int) -> Scrape:
    return {key: float(value(t)) if callable(value) else value for key, value in rows.items()}


def _labelled(key: str, **labels: str) -> str:
    name, _, inner = key.rstrip("}").partition("{")
    pairs = [*([inner] if inner else []), *(f'{label}="{value}"' for label, value in labels.items())]
    return f"{name}{{{','.join(pairs)}}}"


def queue_scrape(rows: Rows, t: int, queue: str, channel: str, instance: str) -> Scrape:
    """What a worker exports of one queue."""
    labels = {"queue": queue, "channel": channel, "job": "queuelight", "instance": instance}
    return {_labelled(key, **labels): value for key, value in _at(rows, t).items()}


def process_scrape(rows: Rows, t: int, instance: str) -> Scrape:
    """What a worker exports of itself."""
    return {_labelled(key, job="queuelight", instance=instance): value for key, value in _at(rows, t).items()}


def series(scrapes: list[Scrape]) -> list[Yaml]:
    """Scrapes as promtool's input series: a series that a scrape lacks goes stale, as in Prometheus."""
    names = sorted({name for scrape in scrapes for name in scrape})
    out: list[Yaml] = []
    for name in names:
        values: list[str] = []
        there = False
        for scrape in scrapes:
            if name in scrape:
                values.append(f"{scrape[name]!r}")
            else:
                values.append("stale" if there else "_")
            there = name in scrape
        out.append({"series": name, "values": " ".join(values).replace("nan", "NaN")})
    return out


def unit_test(
    scrapes: list[Scrape], checks: Mapping[int, list[Yaml]], alert: str, held_s: tuple[int, int] | None = None
) -> Yaml:
    """One test of promtool: these scrapes, which alerts are there at which second, and from when to when all the time."""
    held: list[Yaml] = []
    if held_s is not None:
        first_s, last_s = held_s
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        # A second more than the span: whether its first sample is in it differs between Prometheus 2 and 3.
        count = f"sum(count_over_time({firing}[{last_s - first_s + 1}s]))"
        times = (last_s - first_s) // STEP_S + 1
        held = [{"expr": count, "eval_time": f"{last_s}s", "exp_samples": [{"labels": "{}", "value": times}]}]
    return {
        "interval": f"{STEP_S}s",
        "input_series": series(scrapes),
        "alert_rule_test": [
            {"eval_time": f"{at_s}s", "alertname": alert, "exp_alerts": expected}
            for at_s, expected in sorted(checks.items())
        ],
        "promql_expr_test": held,
    }


def scrapes_of(story: Story, trouble: bool) -> Iterator[Scrape]:
    """The whole story, scrape by scrape: in trouble from the onset to `well_again_s`, or nearly for ever."""
    well = {**WELL, **CHAT} if story.channel == "chat" else WELL if story.worse else _SHORTLY_WELL
    ends_s = story.well_again_s + story.stays_s + story.slack_s if trouble else story.first_ring_s + 120
    for t in range(0, ends_s, STEP_S):
        in_trouble = trouble and story.onset_s <= t < story.well_again_s
        rows, process = well, RUNS
        if in_trouble:
            rows, process = {**rows, **story.worse}, {**process, **story.process}
        elif not trouble:
            rows, process = {**rows, **story.nearly}, {**process, **story.nearly_process}
        other = rows if story.both_queues else well
        mine = {B: rows} if story.hurt and trouble and t > story.first_ring_s + 30 else {A: rows}
        scrape: Scrape = {}
        if story.hurt and trouble:
            mine = _moved(mine, t - story.first_ring_s)
        for instance, each in mine.items():
            scrape |= queue_scrape(each, t, QUEUE, story.channel, instance)
            scrape |= process_scrape(process, t, instance)
        if mine:
            scrape |= queue_scrape(other, t, OTHER, story.channel, next(iter(mine)))
        yield scrape


def _moved(mine: dict[str, Rows], since_s: int) -> dict[str, Rows]:
    """Who exports the queue so long after the first ring: hardships in the order of a bad day."""
    if since_s in (15, 20):
        return {}  # two scrapes fail
    if 30 < since_s <= 50:
        return {}  # the queue moves from A to B, which restores it first
    if 60 <= since_s < 75:
        return {A: WELL, B: mine[B]}  # A comes back for a moment, with what it knew
    if 90 <= since_s < 130:
        return {}  # B is started again
    return mine
