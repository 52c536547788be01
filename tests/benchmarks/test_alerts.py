"""Does the alert benchmark count what alerts did on simulated days as it says it does?"""

from itertools import takewhile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks.alert_days import (
    HEALTHY,
    INCIDENT_ENDS_MS,
    KINDS,
    OPENS_MS,
    STRIKES_MS,
    VOLUMES,
    Day,
    days,
    samples,
)
from tests.benchmarks.alerts import (
    ALERTS,
    ANY,
    NAIVE,
    Verdict,
    as_markdown,
    judged,
    picture,
    raw_names,
    shipped,
    simulated,
    table,
    with_groups,
)
from tests.prometheus.firing import Firing

FOREVER = float("inf")
STRIKES_S = STRIKES_MS / 1000


def verdict(
    *found: tuple[float, float], kind: str = KINDS[0], alert: str = ALERTS[0], number: int = 1
) -> Verdict:
    """Firings in minutes after the incident began."""
    firings = tuple(Firing(STRIKES_S + 60 * a, STRIKES_S + 60 * b) for a, b in found)
    return Verdict(Day(number, VOLUMES[0], kind), alert, firings, 0)


@pytest.mark.parametrize(
    ("found", "delay_min"),
    [
        ([], None),
        ([(-30, -20)], None),
        ([(-30, 5)], 0),
        ([(4, 6), (20, FOREVER)], 4),
        ([(-9, -8), (7, 8)], 7),
        ([(121, 130)], None),
    ],
)
def test_an_incident_is_found_by_the_first_ring_while_it_lasts(
    found: list[tuple[float, float]], delay_min: float | None
) -> None:
    assert (INCIDENT_ENDS_MS - STRIKES_MS) == 120 * 60_000
    assert verdict(*found).delay_s() == (None if delay_min is None else 60 * delay_min)


def test_two_hundred_days_are_as_many_healthy_ones_as_others_of_every_volume_and_kind() -> None:
    made = days(200)
    assert [day.number for day in made] == list(range(200))
    for volume in VOLUMES:
        of_volume = [day for day in made if day.volume == volume]
        assert sum(day.kind == HEALTHY for day in of_volume) == 25
        assert {sum(day.kind == kind for day in of_volume) for kind in KINDS} == {5}


def test_days_in_one_worker_say_of_each_queue_what_it_says_alone() -> None:
    alike = [Day(4, VOLUMES[0], "half leave"), Day(5, VOLUMES[1], "half leave")]

    def first_minutes(*days: Day) -> list[str]:
        ends_s = OPENS_MS / 1000 + 900
        return list(
            takewhile(lambda line: line[0] == "#" or float(line.rsplit(" ", 1)[1]) <= ends_s, samples(days))
        )

    def of_day(lines: list[str], day: Day) -> list[str]:
        return [line.partition(",")[2] for line in lines if f'queue="{day.queue}"' in line]

    together = first_minutes(*alike)
    for day in alike:
        assert len(of_day(together, day)) > 1000
        assert of_day(first_minutes(day), day) == of_day(together, day)


def test_alerts_of_a_group_count_as_one_from_the_first_of_them() -> None:
    late, soon = verdict((9, 12), alert=ALERTS[0]), verdict((3, 5), alert=ALERTS[1])
    naive = verdict((1, 2), alert=NAIVE)
    (both,) = (each for each in with_groups([late, soon, naive]) if each.alert == ANY)
    assert both.delay_s() == 180


def test_the_table_has_medians_of_the_days_that_were_found() -> None:
    group = [verdict((minutes, 30), number=n) for n, minutes in enumerate((2, 4, 9))] + [verdict(number=9)]
    (cell,) = table(group).values()
    assert cell == (4, 3, 3, 0, 240)
    assert f"| `{ALERTS[0]}` | 3 of 4, 4.0 | - | - | - |" in as_markdown(table(group))


def test_the_picture_is_well_formed_and_has_a_row_for_every_kind_and_volume() -> None:
    drawn = ElementTree.fromstring(picture(table([verdict((2, 4)), verdict((1, 3), alert=NAIVE)])))
    texts = ["".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in KINDS] == list(KINDS)
    assert sum(text.endswith("calls/h") for text in texts) == len(KINDS) * len(VOLUMES)
    assert "100% / 0% / 0%" in texts


@pytest.mark.system
def test_the_shipped_rules_find_a_queue_that_half_of_its_agents_left(tmp_path: Path) -> None:
    rules = shipped()
    batch = [Day(6, VOLUMES[2], "half leave")]
    simulated(batch, raw_names(rules), tmp_path, iter(batch))
    found = {each.alert: each for each in judged(batch, rules, tmp_path)}
    assert set(found) >= {*ALERTS, NAIVE}
    for alert in ("QueuelightServiceLevelCollapsed", "QueuelightServiceLevelBelowTarget"):
        delay_s = found[alert].delay_s()
        assert delay_s is not None, alert
        assert 60 <= delay_s <= 1800, alert
        assert found[alert].firings[0].from_s > STRIKES_S, alert
    assert not found["QueuelightQueueUnstaffed"].firings
