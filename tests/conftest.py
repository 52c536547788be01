"""What all tests share: where the reference data lies, and how hypothesis searches."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "queuelight",
    deadline=None,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", parent=settings.get_profile("queuelight"), max_examples=600)
settings.load_profile("queuelight")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The reference data beside the repository (never part of it)."""
    path = Path(__file__).resolve().parents[1] / "../shared/data"
    if not path.exists():
        pytest.skip("reference data not here: ../shared/data")
    return path.resolve()
