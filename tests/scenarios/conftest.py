"""Every story that asks for `order` is told in order, backwards, and shuffled and twice."""

import pytest

from tests.scenarios.contact_centre import ORDERS


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> str:
    return str(request.param)
