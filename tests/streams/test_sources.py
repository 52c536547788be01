"""Who may tell, and how far has each source come?"""

from streams.sources import hear_clock, is_heard, slowest_ms
from streams.stored import QueueMeta


def test_an_owner_of_the_past_is_not_heard_and_a_new_one_tells_all_it_holds_before_time_goes_on() -> None:
    meta = QueueMeta()
    assert is_heard(meta, "calls/0", 10)
    assert not meta.sweeping, "nobody held anything before the first owner"
    assert hear_clock(meta, "calls/0", 500)
    assert slowest_ms(meta, 1) == 500
    assert not is_heard(meta, "calls/0", 9)
    assert is_heard(meta, "calls/0", 10)
    assert slowest_ms(meta, 1) == 500
    assert is_heard(meta, "calls/0", 11)
    assert meta.sweeping == {"calls/0": set()}
    assert hear_clock(meta, "calls/0", 400), "its clock may go back"
    assert slowest_ms(meta, 1) is None
    del meta.sweeping["calls/0"]
    assert slowest_ms(meta, 1) == 400


def test_time_is_that_of_the_slowest_source_and_of_all_of_them() -> None:
    meta = QueueMeta()
    for source, now_ms in (("calls/0", 700), ("chats/0", 300), ("calls/0", 600)):
        assert is_heard(meta, source, 1)
        hear_clock(meta, source, now_ms)
    assert not hear_clock(meta, "presence/0", 0), "nothing has happened there yet"
    assert slowest_ms(meta, 3) is None
    assert slowest_ms(meta, 2) == 300
    assert meta.clocks == {"calls/0": 700, "chats/0": 300}
