"""The Prometheus and Alertmanager that rules and routes must hold on: the oldest one in use, and a present one."""

import pytest

from tests.system.prometheus_programs import Programs, installed, later
from tests.system.server_process import ServerError


@pytest.fixture(scope="session", params=["installed", "later"])
def programs(request: pytest.FixtureRequest) -> Programs:
    """The programs of one release."""
    if request.param == "installed":
        return installed()
    try:
        return later()
    except ServerError as error:
        pytest.skip(f"Prometheus 3 cannot be had here: {error}")
