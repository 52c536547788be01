"""What do `queuelight explain` and `queuelight journey` say of what workers told Redis? As processes, with a real Redis."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from agents.journeys.customer_keys import CustomerKeys
from agents.journeys.store import RedisJourneys
from agents.settings import load
from schemas.journeys import (
    Flag,
    JourneyContact,
    JourneyPage,
    JourneySearch,
    JourneySession,
    Reason,
    VisitorNow,
)
from tests.system.commands import command, told
from tests.system.local_redis import LocalRedis

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
KEY = "a-key-of-this-test-only"
CUSTOMER = CustomerKeys([("1", KEY)]).of("4711")
AT_MS = 1_794_000_000_000
REASONS = (
    Reason(code="page", log_odds=1.2, detail="/billing/fees"),
    Reason(code="loop", log_odds=0.9),
    Reason(code="engaged", log_odds=0.5, detail="95"),
    Reason(code="base", log_odds=-3.0),
)
FLAG = Flag(
    id="f1", visitor_id="v1", session_id="s1", page="/billing/fees", raised_ms=AT_MS, probability=0.4, threshold=0.3,
    arm="holdout", queue="Billing", kind="callback", reasons=REASONS,
)  # fmt: skip
VISITOR = VisitorNow(
    visitor_id="v1", session_id="s1", page="/billing/fees", seen_ms=AT_MS, probability=0.4, reasons=REASONS, flag=FLAG,
    withheld="holdout",
)  # fmt: skip
SESSION = JourneySession(
    session_id="s1", visitor_id="v1", start_ms=AT_MS, end_ms=AT_MS + 60_000, errors=2, flags=(FLAG,),
    pages=(JourneyPage(page="/billing/fees", at_ms=AT_MS, engaged_s=95.0, signals=("rage_click",)),),
    searches=(JourneySearch(at_ms=AT_MS + 5000, hits=0, term="refund\x1b[2J"),),
)  # fmt: skip
CONTACT = JourneyContact(
    contact_id="c1",
    channel="voice",
    queue="Billing",
    queued_ms=AT_MS + 90_000,
    outcome="answered",
    reason="fees",
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings of a site whose workers have told of one stuck visitor and one customer."""
    path = tmp_path_factory.mktemp("commands") / "queuelight.toml"
    with LocalRedis() as server:
        path.write_text(
            f'[redis]\nurl = "{server.url}"\n[site]\nname = "explained"\n[collector]\ntenant_keys = "1 {KEY}"\n'
        )
        asyncio.run(tell(path, server.url))
        yield path


async def tell(config: Path, url: str) -> None:
    client = aioredis.Redis.from_url(url)
    store = RedisJourneys(client, load(config).site.name)
    writing = asyncio.create_task(store.run())
    try:
        store.begin(0, 1, 1)
        store.offer_visitors(0, {"v1": VISITOR})
        store.offer_sessions({(CUSTOMER, "s1"): SESSION})
        store.offer_contacts(1, {CUSTOMER: (CONTACT,)})
        async with asyncio.timeout(10):
            while await store.visitor("v1") is None or not getattr(
                await store.journey(CUSTOMER), "contacts", ()
            ):
                await asyncio.sleep(0.01)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await client.aclose()


def refused(*words: object) -> str:
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    assert not done.stdout
    return done.stderr


def test_a_stuck_visitor_is_explained_reason_by_reason(config: Path) -> None:
    said = told("explain", "v1", "--config", config, "--lang", "en").stdout
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    contributions = [line for line in lines if line[:1] in "+-"]
    assert [line.split()[0] for line in contributions] == ["+1.20", "+0.90", "+0.50", "-3.00", "-0.40"]
    assert "the page /billing/fees" in contributions[0]
    assert "three visits or more to the same page" in contributions[1]
    assert "95 s busy on the page" in contributions[2]
    assert "log-odds together" in contributions[-1]
    assert "40 % likely to contact" in said
    assert "(from 30 % on)" in said
    assert "held out, to measure whether offers help" in said


def test_it_is_explained_in_japanese(config: Path) -> None:
    said = told("explain", "v1", "--config", config, "--lang", "ja").stdout
    assert "問い合わせる確率 40 %" in said
    assert "ページを95秒間操作" in said


def test_programs_get_it_as_json(config: Path) -> None:
    found = json.loads(told("explain", "v1", "--config", config, "--json").stdout)
    assert [each["log_odds"] for each in found["reasons"]] == [each.log_odds for each in REASONS]
    assert found["flag"]["id"] == "f1"
    journey = json.loads(told("journey", "4711", "--config", config, "--json").stdout)
    assert journey["customer_id"] == CUSTOMER
    assert [each["contact_id"] for each in journey["contacts"]] == ["c1"]


@pytest.mark.parametrize("words", [("4711",), (CUSTOMER, "--pseudonym")])
def test_a_journey_is_a_time_line_the_newest_first(config: Path, words: tuple[str, ...]) -> None:
    said = told("journey", *words, "--config", config, "--lang", "en").stdout
    assert "4711" not in said, "a customer is shown under the pseudonym only"
    parts = (
        "☎",
        "answered",
        "about fees",
        "▦",
        "2 errors",
        "/billing/fees",
        "engaged",
        "▲ stuck",
        "0 results",
    )
    places = [said.index(part) for part in parts]
    assert places == sorted(places)
    assert "clicked again and again" in said
    assert "\x1b[2J" not in said


def test_whom_nobody_knows_is_said_clearly(config: Path) -> None:
    assert "visitor 'v9': not here now" in refused("explain", "v9", "--config", config)
    assert "nothing is known" in refused("journey", "4712", "--config", config)
