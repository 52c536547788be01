"""When does a worker believe that another one has its name?"""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from agents.settings import Settings
from agents.settings.file import WorkerSettings
from agents.worker_name import Membership, alone_under_its_name
from schemas.errors import BrokerError, SettingsError


def worker(name: str, folder: Path | None = None) -> Settings:
    return replace(Settings(), worker=WorkerSettings(name=name, names_folder=folder))


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


def test_who_has_worked_undisturbed_outlasts_a_newcomer_of_its_name() -> None:
    settled, newcomer = Membership("one"), Membership("one")
    settled.seen("settled", 0.0)
    settled.seen("settled", 10.0)
    newcomer.seen("newcomer", 11.0)
    for number in range(4):
        settled.seen(f"settled-{number}", 12.0 + 2 * number)
        if number < 3:
            newcomer.seen(f"newcomer-{number}", 13.0 + 2 * number)
    with pytest.raises(BrokerError, match="evicted from the group 4 times within 60 s"):
        newcomer.seen("newcomer-3", 19.0)
    for number in range(4, 11):
        settled.seen(f"settled-{number}", 12.0 + 2 * number)
    with pytest.raises(BrokerError, match="evicted from the group 12 times within 60 s"):
        settled.seen("settled-11", 40.0)


def test_a_second_worker_of_a_name_is_refused_until_the_first_has_ended() -> None:
    settings = worker(f"test-{uuid.uuid4().hex}")
    with alone_under_its_name(settings) as named:
        assert named == settings
        with (
            pytest.raises(SettingsError, match="runs on this machine already: give each its own --name"),
            alone_under_its_name(settings),
        ):
            pass
    with alone_under_its_name(settings):
        pass


def test_workers_that_share_a_folder_take_the_first_free_number(tmp_path: Path) -> None:
    shared = worker("worker", tmp_path)
    with alone_under_its_name(shared) as first:
        assert first.worker.name == "worker-1"
        with alone_under_its_name(shared) as second, alone_under_its_name(worker("other", tmp_path)) as other:
            assert (second.worker.name, other.worker.name) == ("worker-2", "other-1")
        with alone_under_its_name(shared) as again:
            assert again.worker.name == "worker-2"
    with alone_under_its_name(shared) as restarted:
        assert restarted.worker.name == "worker-1"
