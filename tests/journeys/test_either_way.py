"""Do counters, flags and journeys depend on order, repetition, runs, restarts? They must not."""

import json
import random
from datetime import datetime

from hypothesis import given, note, settings
from hypothesis import strategies as st

from schemas.journeys import StuckModel
from tests.journeys.visits import BASE, HOUR, SURE, Browser, Watcher, in_order, model_event

PAGES = ("/", "/pay", "/pay/iban", "/faq/iban", "/help", "/contact", "/shop/thanks", "/shoes")
DEEDS = (
    *["view"] * 4, *["ping"] * 3, *["click"] * 2, "error", "refuse", "search", "leave", "link", "contacted", "offered",
)  # fmt: skip
CUSTOMERS = ("c1_ann", "c1_bob", None)
PAUSES_S = (0, 0.2, 0.3, 1, 4.9, 5, 9, 10, 11, 40, 60, 200, 299, 300, 301, 700, 1799, 1800, 1801, 5000)
AFTER_S = (0, 100, 301, 1801, 90_000, 150_000)
"""How long after the last event is looked."""
LATER = StuckModel(
    version=2, valid_from_ms=BASE + HOUR // 2, base=-1.0, weights={"loop": -1.0, "engaged_30": 0.6}
)


@st.composite
def lives(draw: st.DrawFn, visitor: str) -> list[bytes]:
    """What one visitor does, sensible or not, within some hours."""
    browser = Browser(visitor)
    at_s = draw(st.integers(0, 3600)) / 1.0
    count = draw(st.integers(1, 25))
    dice = random.Random(draw(st.integers(0, 10**9)))
    for number in range(count):
        at_s += dice.choice(PAUSES_S)
        what = dice.choice(DEEDS)
        if what == "view":
            browser.view(at_s, dice.choice(PAGES), bot=dice.random() < 0.01)
        elif what == "ping":
            browser.ping(at_s)
        elif what == "click":
            for each in range(dice.choice((1, 4))):
                browser.click(at_s + each / 5, dead=dice.random() < 0.2)
        elif what == "error":
            browser.error(at_s, dice.choice(("script", "resource")))
        elif what == "refuse":
            browser.refuse(at_s)
        elif what == "search":
            browser.search(at_s, dice.choice((0, 3, None)), dice.choice((None, "iban")))
        elif what == "leave":
            browser.leave(at_s)
        elif what == "link":
            browser.link(at_s, dice.choice(CUSTOMERS))
        elif what == "contacted":
            customer = dice.choice(CUSTOMERS[:2]) or ""
            browser.contacted(
                at_s, customer, f"call-{dice.randrange(3)}", revision=number, withdrawn=dice.random() < 0.2,
                channel=dice.choice(("voice", "chat")), told_s=at_s + dice.choice((0, 1, 500)),
            )  # fmt: skip
        else:
            browser.offered(at_s, dice.choice(("shown", "accepted")), page=dice.choice(PAGES))
    return browser.events


@st.composite
def plays(draw: st.DrawFn) -> tuple[list[bytes], list[bytes], list[str], float]:
    """The same events in order, and as they arrive: late, repeated, in runs, with a worker that dies."""
    events = [each for name in ("ann", "ben")[: draw(st.integers(1, 2))] for each in draw(lives(name))]
    dice = random.Random(draw(st.integers(0, 10**9)))
    ordered = in_order(events)
    models = [model_event(SURE, BASE - HOUR), model_event(LATER, BASE)]
    arriving = ordered[:]
    if draw(st.booleans()):
        dice.shuffle(arriving)
    else:
        for _ in range(len(arriving) // 4):
            place = dice.randrange(len(arriving))
            arriving.insert(min(len(arriving), place + dice.randrange(5)), arriving.pop(place))
    arriving += dice.sample(arriving, k=dice.randrange(len(arriving) + 1))
    for model in models:
        arriving.insert(dice.randrange(len(arriving) + 1) if draw(st.booleans()) else 0, model)
    actions = draw(st.lists(st.sampled_from(("run 1", "run 3", "run 20", "settle", "restart")), max_size=40))
    last = datetime.fromisoformat(json.loads(ordered[-1])["time"]).timestamp() * 1000
    return models + ordered, arriving, actions, (last - BASE) / 1000 + draw(st.sampled_from(AFTER_S))


def calm(events: list[bytes], end_s: float) -> Watcher:
    """Every event in order, in one run."""
    return Watcher(model=None).feed(events).settle().at(end_s)


def stepwise(events: list[bytes], end_s: float) -> Watcher:
    """Every event in order, alone and at once."""
    watcher = Watcher(model=None)
    for each in events:
        watcher.feed([each]).settle()
    return watcher.at(end_s)


def wild(arriving: list[bytes], actions: list[str], end_s: float) -> Watcher:
    watcher = Watcher(model=None)
    rest = arriving[:]
    for action in actions:
        if action == "settle":
            watcher.settle()
        elif action == "restart":
            watcher.restart()
        else:
            size = int(action.split()[1])
            watcher.feed(rest[:size])
            del rest[:size]
    return watcher.feed(rest).settle().at(end_s)


@settings(max_examples=300, deadline=None)
@given(plays())
def test_everything_told_is_the_same_in_any_order_repeated_and_with_workers_dying(
    play: tuple[list[bytes], list[bytes], list[str], float],
) -> None:
    ordered, arriving, actions, end_s = play
    note(f"{actions}")
    one, two, other = calm(ordered, end_s), stepwise(ordered, end_s), wild(arriving, actions, end_s)
    assert one.letters == other.letters == []
    for part, told in one.told().items():
        assert two.told()[part] == told, f"{part}: stepwise"
        assert other.told()[part] == told, f"{part}: {actions}"
