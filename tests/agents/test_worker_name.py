"""When does a worker believe that another one has its name?"""

import pytest

from agents.worker_name import Membership
from schemas.errors import BrokerError


def test_joining_and_a_few_evictions_an_hour_are_borne() -> None:
    membership = Membership("one")
    for number in range(20):
        membership.seen(f"member-{number}", number * 25.0)
        membership.seen(f"member-{number}", number * 25.0 + 1)
        membership.seen("", number * 25.0 + 2)


def test_the_fourth_eviction_within_a_minute_is_the_end() -> None:
    membership = Membership("one")
    for number in range(4):
        membership.seen(f"member-{number}", number * 2.0)
    with pytest.raises(BrokerError, match="another process works under the name 'one'"):
        membership.seen("member-4", 8.0)
