"""Does a board show what Alertmanager says? A real Alertmanager, a wallboard and a Chromium."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from playwright.sync_api import Browser, expect

from tests.system.local_alertmanager import Listener, LocalAlertmanager, shipped_routes
from tests.system.local_redis import LocalRedis
from tests.system.members import until
from tests.wallboard.page_world import Centre, chromium, page_of, see, serious
from tests.wallboard.walls import Wall

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
SHOWN, OTHER = "注文・配送", "Elsewhere"


def alert(name: str, severity: str, queue: str, **words: str) -> dict[str, object]:
    labels = {"alertname": name, "severity": severity, "site": "東京", "queue": queue, "channel": "voice"}
    now = datetime.now(UTC)
    since, until_ = (now - timedelta(minutes=3)).isoformat(), (now + timedelta(hours=1)).isoformat()
    return {"labels": labels, "annotations": words, "startsAt": since, "endsAt": until_}


def alerts() -> list[dict[str, object]]:
    """Three that fire, and the one that always does."""
    return [
        alert("QueuelightServiceLevelBelowTarget", "warning", "Sales", summary="Below its target.", value="50%", n="20"),
        alert(
            "QueuelightLongestWait", "critical", SHOWN, summary="Customers wait far longer than promised.",
            summary_ja="お客様の待ち時間が約束を大きく超えています。", value="1m 16s", limit="1m 0s", n="4",
        ),
        alert("QueuelightLongestWait", "critical", OTHER, summary="Not on this board."),
        {**alert("QueuelightWatchdog", "none", ""), "labels": {"alertname": "QueuelightWatchdog", "severity": "none"}},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def alertmanager() -> Iterator[LocalAlertmanager]:
    with Listener() as listener, LocalAlertmanager(shipped_routes(listener)) as server:
        yield server


def toml(alertmanager: LocalAlertmanager) -> str:
    queues = f'queues = ["{SHOWN}", "Sales"]'
    return f'[alerts]\nalertmanager_url = "{alertmanager.url}"\n[wallboard.boards."two"]\n{queues}\n'


def assert_as_documented(wall: Wall) -> None:
    document = json.loads(wall.get("/api/v1/openapi.json")[1])
    schema = {"$ref": "#/components/schemas/FiringAlerts", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(json.loads(wall.get("/api/v1/alerts?board=two")[1]))


def test_a_board_shows_the_alerts_of_its_queues_and_says_when_nobody_tells_it_any_more(
    browser: Browser, redis: LocalRedis, alertmanager: LocalAlertmanager, tmp_path: Path
) -> None:
    told = alerts()
    alertmanager.post("/api/v2/alerts", told)
    until(lambda: len(alertmanager.alerts()) == len(told), "Alertmanager has heard of them")
    with (
        Centre(redis.url, 3) as centre,
        Wall(tmp_path, redis.url, toml(alertmanager), site=centre.site.name) as wall,
    ):
        centre.replace(centre.queues()[0].queue, queue=SHOWN)
        with page_of(browser) as page:
            see(page, wall.url, "?board=two&view=desk&lang=ja")
            mark = page.locator("#alerts")
            expect(mark).to_have_text("アラート 2件", timeout=20_000)
            expect(mark).to_have_attribute("data-tone", "act")
            mark.click()
            first, second = page.locator("#panel .alert").all()
            for part in (
                f"{SHOWN} · 音声",
                "お客様の待ち時間が約束を大きく超えています。",
                "1m 16s · 基準 1m 0s · n 4",
                "3分",
            ):
                expect(first).to_contain_text(part)
            expect(second).to_contain_text("Sales")
            expect(page.locator("#panel")).not_to_contain_text("Not on this board.")
            assert serious(page) == []
            assert_as_documented(wall)
            page.keyboard.press("Escape")

            alertmanager.stop()
            expect(mark).to_have_attribute("data-tone", "stale", timeout=30_000)
            expect(mark).to_have_text("アラート不明")
            mark.click()
            expect(page.locator("#panel")).to_contain_text("Alertmanager が応答しません。")
            expect(page.locator("#panel .alert")).to_have_count(2)


def test_without_an_alertmanager_a_board_says_nothing_of_alerts(
    browser: Browser, redis: LocalRedis, tmp_path: Path
) -> None:
    with (
        Centre(redis.url, 3) as centre,
        Wall(tmp_path, redis.url, site=centre.site.name) as wall,
        page_of(browser) as page,
    ):
        with page.expect_response("**/api/v1/alerts*") as answer:
            see(page, wall.url, "?view=desk&lang=en")
        assert answer.value.status == 204
        expect(page.locator("#alerts")).to_be_hidden()
