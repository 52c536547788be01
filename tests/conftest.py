"""What all tests share: where the reference data lies, and how hypothesis searches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from agents.compiled import stale

if TYPE_CHECKING:
    from tests.prometheus.history import Day

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "queuelight",
    deadline=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", parent=settings.get_profile("queuelight"), max_examples=600)
settings.load_profile("queuelight")


def pytest_sessionstart() -> None:
    """Refuse to test what is no longer written anywhere."""
    old = stale()
    if old:
        pytest.exit(
            f"streams/: {', '.join(old)} changed after being compiled, and would be tested as before; "
            "expected: `make compile` (anew) or `make pure` (not compiled)",
            returncode=4,
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with servers come first: they take longest, and processes that share the tests then end together."""
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The reference data beside the repository (never part of it)."""
    path = ROOT / "../shared/data"
    if not path.exists():
        pytest.skip("reference data not here: ../shared/data")
    return path.resolve()


@pytest.fixture(scope="session")
def history() -> Iterator[Day]:
    """A Prometheus that remembers a simulated day: a worker's own metrics, and the shipped rules to be asked for.

    For tests of alerts and of dashboards: what the rules record of the day is added by whoever needs it.
    """
    # Only tests of Prometheus need all that stands behind it.
    from tests.prometheus.history import History, simulated_day

    rules = sorted((ROOT / "dashboards" / "prometheus" / "rules").glob("*.yml"))
    # A queue vanishes half way through the day.
    with History(rules, lookback_s=10) as prometheus:
        yield simulated_day(prometheus)
