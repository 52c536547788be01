"""Is the simulated web site believable, orderly and always the same, and does its truth say what its events say?"""

from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise
from statistics import median

import msgspec
import pytest

import schemas.events as e
import schemas.web_events as w
from schemas.topics import CALLS, CHATS, WEB
from streams.contact_fold import ContactFold
from streams.driver import Stored
from streams.simulator import default_site, encode
from streams.simulator.web import WebSimulation
from streams.simulator.web_browser import WebSent
from streams.simulator.web_plan import WEB_DEMO, WebPlan
from streams.simulator.web_shop import default_web_site
from streams.simulator.web_truth import TrueContact, WebTruth

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
MIDNIGHT = int(datetime.fromisoformat("2026-10-01T00:00:00+09:00").timestamp() * 1000)
MORNING = MIDNIGHT + 10 * HOUR_MS
SITE = default_web_site()
PLAN = WebPlan(sessions_per_day=4000.0)
LIVELY = WebPlan(sessions_per_day=20_000.0, flat=True)

decode_web = msgspec.json.Decoder(w.WebEvent).decode
decode_contact = msgspec.json.Decoder(e.AnyEvent).decode


def ms_of(event: e.CloudEvent) -> int:
    return round(event.time.timestamp() * 1000)


def events_of(plan: WebPlan = LIVELY, seed: int = 1, minutes: int = 60) -> list[WebSent]:
    return list(WebSimulation(SITE, plan, seed).events(MORNING, MORNING + minutes * MINUTE_MS))


@pytest.fixture(scope="module")
def day() -> tuple[list[WebSent], WebTruth]:
    """One day."""
    simulation = WebSimulation(SITE, PLAN, 1)
    events = list(simulation.events(MIDNIGHT, MIDNIGHT + DAY_MS))
    return events, simulation.truth


def by_visitor(events: list[WebSent]) -> dict[str, list[w.WebEvent]]:
    found: dict[str, list[w.WebEvent]] = defaultdict(list)
    for topic, key, event in events:
        if topic == WEB:
            found[key].append(event)  # type: ignore[arg-type]
    return found


def people(truth: WebTruth) -> int:
    return sum(not session.bot for session in truth.sessions)


# --- the same arguments, the same events ------------------------------------------------------------------------------


def test_the_same_seed_tells_the_same_story_to_the_byte() -> None:
    once, again = (b"".join(encode(event) for _, _, event in events_of(minutes=20)) for _ in range(2))
    assert once == again


def test_a_simulation_asked_twice_opens_anew() -> None:
    simulation = WebSimulation(SITE, LIVELY, 7)
    span = MORNING, MORNING + 10 * MINUTE_MS
    assert list(simulation.events(*span)) == list(simulation.events(*span))


def test_another_seed_tells_another_story_and_shares_no_id_and_no_person() -> None:
    one, other = (events_of(seed=seed, minutes=20) for seed in (1, 2))
    assert {event.id for _, _, event in one}.isdisjoint(event.id for _, _, event in other)
    assert {key for _, key, _ in one}.isdisjoint(key for _, key, _ in other)


def test_a_shorter_span_is_the_beginning_of_a_longer_one() -> None:
    long, short = events_of(minutes=40), events_of(minutes=15)
    assert long[: len(short)] == short
    assert ms_of(long[len(short)][2]) >= MORNING + 15 * MINUTE_MS


def test_a_run_without_end_keeps_no_truth_and_tells_the_same() -> None:
    span = MORNING, MORNING + 20 * MINUTE_MS
    kept, free = (WebSimulation(SITE, LIVELY, 3, keep_truth=keep) for keep in (True, False))
    assert list(kept.events(*span)) == list(free.events(*span))
    assert kept.truth.sessions
    assert free.truth == WebTruth(free.truth.causing, free.truth.announcing, free.truth.contact_pages)


# --- order and form ---------------------------------------------------------------------------------------------------


def test_events_come_in_order_of_time_within_the_span_and_none_has_the_id_of_another(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    times = [ms_of(event) for _, _, event in day[0]]
    assert times == sorted(times)
    assert times[0] >= MIDNIGHT
    assert times[-1] < MIDNIGHT + DAY_MS
    assert len({event.id for _, _, event in day[0]}) == len(times)


def test_every_event_is_read_back_as_it_was(day: tuple[list[WebSent], WebTruth]) -> None:
    for topic, _, event in day[0]:
        assert (decode_web if topic == WEB else decode_contact)(encode(event)) == event


def test_everything_that_a_browser_can_do_is_done(day: tuple[list[WebSent], WebTruth]) -> None:
    offers = {w.InterventionShown, w.InterventionAccepted, w.InterventionDeclined}
    assert {type(event) for topic, _, event in day[0] if topic == WEB} == set(w.PUBLIC_WEB_STRUCTS) - offers


def test_visitors_and_contacts_travel_on_their_own_topics_under_their_own_keys(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    channels = {}
    for topic, key, event in day[0]:
        if topic == WEB:
            assert key == event.data.visitor_id  # type: ignore[union-attr]
            continue
        assert key == event.data.contact_id  # type: ignore[union-attr]
        if isinstance(event, e.ContactQueued):
            channels[key] = event.data.channel
        assert topic == (CHATS if channels[key] == "chat" else CALLS)
    assert set(channels.values()) == {"voice", "chat", "form"}


def test_people_are_named_as_the_collector_names_them_on_every_topic(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    customers = {
        event.data.customer_id
        for _, _, event in day[0]
        if isinstance(event, w.IdentityLinked | e.ContactQueued) and event.data.customer_id
    }
    assert len(customers) > 500
    assert all(len(each) == 27 and each.startswith("c1_") and int(each[3:], 16) >= 0 for each in customers)


def test_what_happens_on_a_view_names_a_view_that_was_told_before(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    for events in by_visitor(day[0]).values():
        pages: dict[str, str] = {}
        for event in events:
            if isinstance(event, w.WebPageView):
                assert event.data.view_id not in pages
                pages[event.data.view_id] = event.data.page
            elif isinstance(event, w.BrowserEvent):
                assert pages[event.data.view_id] == event.data.page
    assert {page.path for page in SITE.pages} >= set(pages.values())


def test_a_ping_comes_at_most_every_ten_seconds_of_a_view(day: tuple[list[WebSent], WebTruth]) -> None:
    pings: dict[str, list[int]] = defaultdict(list)
    for _, _, event in day[0]:
        if isinstance(event, w.WebPagePing):
            pings[event.data.view_id].append(ms_of(event))
    assert sum(len(times) for times in pings.values()) > 20_000
    assert min(b - a for times in pings.values() for a, b in pairwise(times)) >= 1


def test_the_contact_fold_takes_every_contact_and_finds_nothing_wrong() -> None:
    simulation = WebSimulation(SITE, LIVELY, 5)
    fold = ContactFold(default_site(8), CALLS, 0, event_clock=True)
    records = [
        encode(event)
        for topic, _, event in simulation.events(MORNING, MORNING + 4 * HOUR_MS)
        if topic in (CALLS, CHATS)
    ]
    assert len(records) > 200
    assert not fold.apply([Stored(offset, value) for offset, value in enumerate(records)], 0)
    assert fold.truth.unmatched == 0


# --- the world --------------------------------------------------------------------------------------------------------


def test_pages_are_some_dozens_in_two_languages_and_their_classes_are_as_the_owner_knows_them() -> None:
    policy = SITE.policy()
    classes = {page.path: policy.page_class(page.path) for page in SITE.pages}
    assert 40 <= len(classes) <= 70
    assert sum(not path.isascii() for path in classes) >= 10
    assert {path for path, kind in classes.items() if kind == "contact"} == set(SITE.contact)
    assert {path for path, kind in classes.items() if kind == "help"} == set(SITE.help)
    assert all(classes[path] == "content" for path in (*SITE.cause_of, *SITE.announcing))
    assert all(classes[path] == "progress" for path in SITE.thanks.values())
    assert all(policy.offer_for(cause.page) for cause in SITE.causes)


def test_queues_of_calls_and_chats_exist_at_the_simulated_contact_centre() -> None:
    queues = default_site(8).queues
    for channels in (SITE.base_channels, *(cause.channels for cause in SITE.causes)):
        for channel, queue, _ in channels:
            assert channel == "form" or queues[queue].channel == channel


def test_as_many_come_get_stuck_and_contact_as_the_plan_says(day: tuple[list[WebSent], WebTruth]) -> None:
    truth = day[1]
    assert people(truth) == pytest.approx(PLAN.sessions_per_day, rel=0.08)
    of_visitors = [contact for contact in truth.contacts if contact.visitor_id is not None]
    assert 0.025 < len(of_visitors) / people(truth) < 0.05
    assert 0.04 < len(truth.stuck) / people(truth) < 0.1
    ends = Counter(spell.ends for spell in truth.stuck)
    assert all(ends[how] / len(truth.stuck) > 0.12 for how in ("contacted", "helped", "left"))
    blameless = sum(contact.cause is None for contact in of_visitors) / len(of_visitors)
    assert 0.12 < blameless < 0.4
    assert 0.4 < sum(contact.joined for contact in of_visitors) / len(of_visitors) < 0.75


def test_the_day_has_its_curve_and_a_flat_day_none(day: tuple[list[WebSent], WebTruth]) -> None:
    hours = Counter((session.start_ms - MIDNIGHT) // HOUR_MS for session in day[1].sessions)
    assert hours[10] > 8 * hours[3]
    flat = WebSimulation(SITE, msgspec.structs.replace(PLAN, flat=True), 1)
    assert sum(1 for _ in flat.events(MIDNIGHT, MIDNIGHT + DAY_MS)) > 50_000
    level = Counter((session.start_ms - MIDNIGHT) // HOUR_MS for session in flat.truth.sessions)
    assert max(level.values()) < 1.7 * min(level.values())


def test_robots_see_many_pages_and_are_engaged_with_none_and_half_of_them_say_so(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    robots = {session.visitor_id for session in day[1].sessions if session.bot}
    visitors = by_visitor(day[0])
    declared: Counter[bool] = Counter()
    for visitor_id in robots:
        events = visitors[visitor_id]
        views = [event for event in events if isinstance(event, w.WebPageView)]
        assert not any(isinstance(event, w.WebPagePing | w.WebClick) for event in events)
        declared[views[0].data.bot] += 1
        assert len({view.data.bot for view in views}) == 1
    assert len(robots) > 100
    assert 0.3 < declared[True] / len(robots) < 0.7
    others = (event for who, events in visitors.items() if who not in robots for event in events)
    assert not any(isinstance(event, w.WebPageView) and event.data.bot for event in others)


def test_some_browsers_have_two_customers_and_some_customers_two_browsers(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    customers: dict[str, set[str]] = defaultdict(set)
    browsers: dict[str, set[str]] = defaultdict(set)
    logged_out = set()
    simulation = WebSimulation(SITE, msgspec.structs.replace(PLAN, customers_per_session=0.1), 2)
    for _, _, event in simulation.events(MIDNIGHT, MIDNIGHT + DAY_MS):
        if isinstance(event, w.IdentityLinked):
            if event.data.customer_id is None:
                logged_out.add(event.data.visitor_id)
                continue
            customers[event.data.visitor_id].add(event.data.customer_id)
            browsers[event.data.customer_id].add(event.data.visitor_id)
    shared = {visitor for visitor, each in customers.items() if len(each) == 2}
    assert len(shared) >= 5
    assert max(map(len, customers.values())) == 2
    assert shared <= logged_out
    assert sum(len(each) == 2 for each in browsers.values()) > 30


def test_links_come_at_once_early_late_after_the_contact_or_never(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    events, truth = day
    visitors = by_visitor(events)
    seen = Counter(session.link for session in truth.sessions if not session.bot)
    assert set(seen) == {"remembered", "early", "late", "at_contact", "never"}
    after = 0
    for contact in truth.contacts:
        if contact.visitor_id is None or contact.at_ms > MIDNIGHT + DAY_MS - HOUR_MS:
            continue
        links = [event for event in visitors[contact.visitor_id] if isinstance(event, w.IdentityLinked)]
        proofs = {event.data.proof for event in links}
        if proofs & {"call_token", "chat", "spoken"}:
            after += any(ms_of(event) > contact.at_ms for event in links)
        if contact.joined:
            assert contact.customer_id in {event.data.customer_id for event in links}
    assert after >= 3


def test_people_come_back_within_a_day_some_of_them_for_what_did_not_work(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    starts: dict[str, list[int]] = defaultdict(list)
    for session in day[1].sessions:
        starts[session.visitor_id].append(session.start_ms)
    assert sum(len(each) > 1 for each in starts.values()) > 200
    pages: dict[str, list[str]] = defaultdict(list)
    for spell in day[1].stuck:
        pages[spell.visitor_id].append(spell.page)
    assert sum(len(each) > 1 and len(set(each)) == 1 for each in pages.values()) > 10


def test_some_look_at_a_page_in_a_second_tab_and_come_back_to_the_first(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    returned = 0
    for events in by_visitor(day[0]).values():
        newest = ""
        for event in events:
            if isinstance(event, w.WebPageView):
                newest = event.data.view_id
            elif isinstance(event, w.WebPagePing) and event.data.view_id != newest:
                returned += 1
                break
    assert returned > 20


def test_happy_people_click_in_bursts_where_nothing_is_wrong(day: tuple[list[WebSent], WebTruth]) -> None:
    robots = {session.visitor_id for session in day[1].sessions if session.bot}
    clicks: Counter[bool] = Counter()
    views: Counter[bool] = Counter()
    for _, key, event in day[0]:
        if key not in robots and isinstance(event, w.WebClick | w.WebPageView):
            counted = clicks if isinstance(event, w.WebClick) else views
            counted[event.data.page.startswith("/fun/")] += 1
    assert clicks[True] / views[True] > 5 * clicks[False] / views[False]


# --- truth ------------------------------------------------------------------------------------------------------------


def test_contacts_of_the_truth_are_those_that_the_contact_centre_sees(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    seen = {
        event.data.contact_id: (ms_of(event), event.data.channel, event.data.queue, event.data.customer_id)
        for _, _, event in day[0]
        if isinstance(event, e.ContactQueued)
    }

    def told(contact: TrueContact) -> tuple[int, str, str, str | None]:
        return contact.at_ms, contact.channel, contact.queue, contact.customer_id

    expected = [contact for contact in day[1].contacts if contact.at_ms < MIDNIGHT + DAY_MS]
    assert seen == {contact.contact_id: told(contact) for contact in expected}


def test_who_is_stuck_was_on_that_page_and_contacts_after_it_for_the_reason_of_its_cause(
    day: tuple[list[WebSent], WebTruth],
) -> None:
    visitors = by_visitor(day[0])
    for spell in day[1].stuck:
        assert spell.from_ms < spell.to_ms
        views = [event for event in visitors[spell.visitor_id] if isinstance(event, w.WebPageView)]
        assert spell.from_ms > MIDNIGHT + DAY_MS - HOUR_MS or any(
            view.data.page == spell.page and ms_of(view) <= spell.from_ms for view in views
        )
    contacted = [spell for spell in day[1].stuck if spell.ends == "contacted"]
    caused = [contact for contact in day[1].contacts if contact.cause is not None]
    assert {(spell.visitor_id, spell.page, spell.to_ms) for spell in contacted} == {
        (contact.visitor_id, contact.cause, contact.at_ms) for contact in caused
    }
    assert all(contact.reason in (None, SITE.cause_of[contact.cause or ""].reason) for contact in caused)
    assert all(contact.lead_ms is not None and contact.lead_ms > 0 for contact in caused)
    assert 120 < median((contact.lead_ms or 0) / 1000 for contact in caused) < 600


def test_causes_differ_in_how_they_show_and_one_shows_in_hardly_anything_but_time() -> None:
    simulation = WebSimulation(SITE, msgspec.structs.replace(PLAN, noise=0.0), 4)
    signs = (w.WebError, w.WebFormError, w.WebSearch)
    shown: Counter[tuple[str, str]] = Counter()
    spells: dict[str, int] = {}
    events = by_visitor(list(simulation.events(MIDNIGHT, MIDNIGHT + DAY_MS)))
    for spell in simulation.truth.stuck:
        spells[spell.page] = spells.get(spell.page, 0) + 1
        for event in events[spell.visitor_id]:
            if spell.from_ms <= ms_of(event) <= spell.to_ms and isinstance(event, signs):
                shown[spell.page, type(event).__name__] += 1
    per_spell = {(page, sign): count / spells[page] for (page, sign), count in shown.items()}
    assert per_spell["/checkout/address", "WebFormError"] > 2
    assert per_spell["/account/two-factor", "WebError"] > 1
    assert per_spell["/returns/new", "WebSearch"] > 0.5
    assert all(per_spell.get(("/解約/手続き", sign.__name__), 0) < 0.2 for sign in signs)


# --- offers -----------------------------------------------------------------------------------------------------------


def run_with_offers(effect: float) -> tuple[list[WebSent], WebTruth]:
    """A day on which every form error brings an offer."""
    simulation = WebSimulation(SITE, msgspec.structs.replace(PLAN, offer_effect=effect), 6)
    events: list[WebSent] = []
    offered: set[str] = set()
    for sent in simulation.events(MIDNIGHT, MIDNIGHT + DAY_MS):
        events.append(sent)
        event = sent[2]
        if isinstance(event, w.WebFormError) and event.data.visitor_id not in offered:
            offered.add(event.data.visitor_id)
            visitor = event.data.visitor_id
            simulation.offered(visitor, ms_of(event), "chat", f"flag-{visitor}")
    return events, simulation.truth


def test_an_offer_that_always_works_prevents_every_contact_that_was_to_come() -> None:
    events, truth = run_with_offers(1.0)
    prevented = {contact.contact_id for contact in truth.contacts if contact.prevented_by is not None}
    assert len(prevented) > 10
    assert not any(
        isinstance(event, e.ContactQueued) and event.data.contact_id in prevented for _, _, event in events
    )
    helpless = [offer for offer in truth.offers if offer.contact_ms is not None and not offer.prevented]
    assert not helpless
    assert sum(spell.ends == "offered" for spell in truth.stuck) > 5


def test_an_offer_without_effect_is_shown_and_answered_and_changes_nothing_else() -> None:
    events, truth = run_with_offers(0.0)
    plain = [event.id for _, _, event in WebSimulation(SITE, PLAN, 6).events(MIDNIGHT, MIDNIGHT + DAY_MS)]
    offers = [event for _, _, event in events if isinstance(event, w.Intervention)]
    shown = sum(isinstance(event, w.InterventionShown) for event in offers)
    accepted = sum(isinstance(event, w.InterventionAccepted) for event in offers)
    assert shown == len(truth.offers) > 100
    assert accepted / shown == pytest.approx(PLAN.accepts, abs=0.12)
    assert [event.id for _, _, event in events if not isinstance(event, w.Intervention)] == plain
    assert not any(contact.prevented_by for contact in truth.contacts)


def test_the_same_offers_have_the_same_effect_and_half_an_effect_prevents_about_half() -> None:
    once, again = run_with_offers(0.5), run_with_offers(0.5)
    assert once == again
    to_come = [offer for offer in once[1].offers if offer.contact_ms is not None]
    assert len(to_come) > 20
    assert 0.25 < sum(offer.prevented for offer in to_come) / len(to_come) < 0.75


def test_nobody_is_shown_anything_who_is_not_there() -> None:
    simulation = WebSimulation(SITE, LIVELY, 1)
    for _ in simulation.events(MORNING, MORNING + 10 * MINUTE_MS):
        pass
    assert not simulation.offered("v1_nobody", MORNING, "chat", "flag-1")
    gone = next(session for session in simulation.truth.sessions if session.end_ms < MORNING + 5 * MINUTE_MS)
    assert not simulation.offered(gone.visitor_id, MORNING + 9 * MINUTE_MS, "chat", "flag-2")
    assert not simulation.truth.offers


def test_a_demo_has_stuck_visitors_and_contacts_within_minutes() -> None:
    simulation = WebSimulation(SITE, WEB_DEMO, 1)
    span = MORNING, MORNING + 10 * MINUTE_MS
    contacts = sum(isinstance(event, e.ContactQueued) for _, _, event in simulation.events(*span))
    assert contacts >= 5
    assert sum(spell.from_ms < span[1] for spell in simulation.truth.stuck) >= 15
