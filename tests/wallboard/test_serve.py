"""Does a wallboard end when it is told to, and when it could only go on with old numbers?"""

import asyncio
import socket
import time
from collections.abc import Sequence

import pytest

from agents.settings import Settings
from agents.settings.alerts import AlertsSettings
from agents.snapshot_store import MemorySnapshots
from agents.wallboard.frames import Acks
from agents.wallboard.serve import address_of, bound, serve
from agents.wallboard.stores import MemoryStore
from agents.wallboard.tokens import MemoryHashes
from schemas.errors import SettingsError
from schemas.snapshots import RowState


class WithABug(MemoryStore):
    async def read(self) -> tuple[Sequence[RowState], Acks]:
        raise ZeroDivisionError


async def served(store: MemoryStore, ended: asyncio.Event, settings: Settings | None = None) -> None:
    async with asyncio.timeout(10):
        await serve(settings or Settings(), store, MemoryHashes(), bound("127.0.0.1", 0), ended)


def test_a_board_that_nobody_brings_up_to_date_any_more_does_not_stay() -> None:
    with pytest.raises(ExceptionGroup) as error:
        asyncio.run(served(WithABug(MemorySnapshots()), asyncio.Event()))
    assert isinstance(error.value.exceptions[0], ZeroDivisionError)


def test_it_ends_when_it_is_told_to() -> None:
    async def run() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, ended.set)
        await served(MemoryStore(MemorySnapshots()), ended)

    asyncio.run(run())


def test_an_alertmanager_that_takes_calls_and_never_answers_does_not_keep_it_from_ending() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        settings = Settings(alerts=AlertsSettings(alertmanager_url=url))

        async def run() -> None:
            ended = asyncio.Event()
            asyncio.get_running_loop().call_later(0.5, ended.set)
            await served(MemoryStore(MemorySnapshots()), ended, settings)

        began = time.monotonic()
        asyncio.run(run())
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(("host", "start"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_an_address_is_said_as_people_type_it(host: str, start: str) -> None:
    with bound(host, 0) as listening:
        assert address_of(listening).startswith(start)
        port = listening.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on {host}:{port}"):
            bound(host, port)
