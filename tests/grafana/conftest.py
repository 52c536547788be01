"""A simulated day as the dashboards ask for it: with all that the shipped rules record, and the alerts that fired."""

import pytest

from tests.grafana.remembered import remember
from tests.prometheus.history import Day


@pytest.fixture(scope="session")
def day(history: Day) -> Day:
    remember(history)
    return history
