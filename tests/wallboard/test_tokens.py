"""Does a link open its board once, for one browser, until it is revoked, and does nobody who reads the store get in?"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from agents.cli import app
from agents.settings import variables
from agents.wallboard.hub import StoreDown
from agents.wallboard.tokens import BoardTokens, Hashes, Holder, MemoryHashes, Opened, RedisHashes
from schemas.errors import InputError
from tests.system.local_redis import LocalRedis
from tests.system.server_process import free_port

Work = Callable[[Hashes], Awaitable[None]]
Run = Callable[[Work], None]


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.system)])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs work with an empty store of either kind."""
    if request.param == "memory":
        return lambda work: asyncio.run(work(MemoryHashes()))  # type: ignore[arg-type]
    server: LocalRedis = request.getfixturevalue("redis")

    async def with_redis(work: Work) -> None:
        hashes = RedisHashes(server.url, f"site-{uuid4().hex}")
        try:
            await work(hashes)
        finally:
            await hashes.close()

    return lambda work: asyncio.run(with_redis(work))


def test_a_link_works_once_and_its_session_until_it_is_revoked(run: Run) -> None:
    async def work(hashes: Hashes) -> None:
        clock = Clock()
        tokens = BoardTokens(hashes, clock)
        token_id, token = await tokens.create("floor 2", "TV")
        opened = await tokens.exchange(token, "floor 2")
        assert isinstance(opened, Opened)
        assert opened.board == "floor 2"
        assert await tokens.exchange(token, "floor 2") is None
        assert await tokens.check(opened.session) == "floor 2"
        assert await tokens.revoke(token_id)
        assert not await tokens.revoke(token_id)
        assert not await tokens.revoke("\udcff")
        assert await BoardTokens(hashes, clock).check(opened.session) is None  # another process, at once
        clock.ms += 5_000
        assert await tokens.check(opened.session) is None
        assert await tokens.exchange(token, "floor 2") is None
        assert await tokens.list() == []

    run(work)


def test_of_many_browsers_that_open_a_link_at_once_one_gets_in(run: Run) -> None:
    async def work(hashes: Hashes) -> None:
        tokens = BoardTokens(hashes)
        _, token = await tokens.create("default")
        opened = await asyncio.gather(*(tokens.exchange(token, "default") for _ in range(20)))
        assert sum(each is not None for each in opened) == 1

    run(work)


def test_nothing_but_the_token_opens_its_board(run: Run) -> None:
    async def work(hashes: Hashes) -> None:
        tokens = BoardTokens(hashes)
        token_id, token = await tokens.create("default")
        other_id, _ = await tokens.create("default")
        secret = token.partition(".")[2]
        stored = next(iter((await hashes.all("board-tokens")).values())).decode()
        for wrong in ("", ".", token_id, f"{token_id}.", f"{other_id}.{secret}", token + "x", secret, stored):
            assert await tokens.exchange(wrong, "default") is None, wrong
        assert await tokens.exchange(token, "floor 2") is None
        opened = await tokens.exchange(token, "default")
        assert opened is not None
        for wrong in ("", ".", token, token_id, f"{token_id}.", opened.session + "x", "\udcff"):
            assert await tokens.check(wrong) is None, wrong

    run(work)


def test_the_store_holds_neither_token_nor_session(run: Run) -> None:
    async def work(hashes: Hashes) -> None:
        tokens = BoardTokens(hashes)
        _, token = await tokens.create("default")
        opened = await tokens.exchange(token, "default")
        assert opened is not None
        await tokens.check(opened.session)
        names = ("board-tokens", "board-sessions", "board-tokens-used")
        stored = repr([await hashes.all(name) for name in names])
        token_secret, session_secret = token.partition(".")[2], opened.session.partition(".")[2]
        assert token_secret not in stored
        assert session_secret not in stored
        assert hashlib.sha256(token_secret.encode()).hexdigest() in stored
        assert len(token_secret) >= 43  # 256 bits
        assert len(session_secret) >= 43

    run(work)


def test_the_list_says_when_a_token_was_made_exchanged_and_used(run: Run) -> None:
    async def work(hashes: Hashes) -> None:
        clock = Clock()
        tokens = BoardTokens(hashes, clock)
        first_id, token = await tokens.create("default", "入口")
        clock.ms += 1
        second_id, _ = await tokens.create("floor 2")
        clock.ms += 10
        opened = await tokens.exchange(token, "default")
        assert opened is not None
        clock.ms += 100
        await tokens.check(opened.session)
        clock.ms += 30_000
        await tokens.check(opened.session)  # within a minute: not written again
        first, second = await tokens.list()
        assert (first.id, first.board, first.label) == (first_id, "default", "入口")
        assert (first.created_ms, first.exchanged_ms, first.last_used_ms) == (1_000_000, 1_000_011, 1_000_111)
        assert (second.id, second.exchanged_ms, second.last_used_ms) == (second_id, None, None)
        clock.ms += 60_000
        await tokens.check(opened.session)
        assert (await tokens.list())[0].last_used_ms == clock.ms

    run(work)


def test_a_label_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(InputError, match="expected a label"):
        asyncio.run(BoardTokens(MemoryHashes()).create("default", "a\tb"))


class Breaking(MemoryHashes):
    """A store that can go away."""

    down = False

    async def get(self, name: str, key: str) -> bytes | None:
        if self.down:
            raise StoreDown("away")
        return await super().get(name, key)


def test_while_the_store_is_away_known_sessions_stay_and_unknown_ones_are_not_judged() -> None:
    async def work() -> None:
        clock, hashes = Clock(), Breaking()
        tokens = BoardTokens(hashes, clock)
        _, token = await tokens.create("default")
        opened = await tokens.exchange(token, "default")
        assert opened is not None
        assert await tokens.check(opened.session) == "default"
        hashes.down = True
        clock.ms += 3_600_000
        assert await tokens.check(opened.session) == "default"
        with pytest.raises(StoreDown):
            await tokens.check("0123456789ab.another")

    asyncio.run(work())


def test_a_redis_that_is_not_there_is_a_store_that_is_down() -> None:
    async def work() -> None:
        hashes = RedisHashes(f"redis://127.0.0.1:{free_port()}/0", "site")
        try:
            calls: list[Any] = [
                hashes.get("n", "k"), hashes.all("n"), hashes.put("n", "k", b""), hashes.put_new("n", "k", b""),
                hashes.drop("n", "k"),
            ]  # fmt: skip
            for call in calls:
                with pytest.raises(StoreDown):
                    await call
        finally:
            await hashes.close()

    asyncio.run(work())


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*variables(), "QUEUELIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["board-token", *(str(word) for word in words)], prog_name="queuelight")


@pytest.mark.system
def test_a_token_is_made_listed_and_revoked_on_the_command_line(redis: LocalRedis) -> None:
    with Redis.from_url(redis.url) as client:
        client.flushdb()
    made = command("create", "--redis", redis.url, "--board", "default", "--label", "TV floor 2")
    assert made.exit_code == 0, made.stderr
    [link] = made.stdout.splitlines()
    assert link.startswith("http://127.0.0.1:8080/enter?")
    asked = {key: value for key, [value] in parse_qs(urlsplit(link).query).items()}
    assert asked["board"] == "default"
    token_id, _, secret = asked["token"].partition(".")
    assert token_id in made.stderr
    assert secret not in made.stderr

    async def exchanged() -> Opened | None:
        hashes = RedisHashes(redis.url, "default")
        try:
            return await BoardTokens(hashes).exchange(asked["token"], asked["board"])
        finally:
            await hashes.close()

    listed = command("list", "--redis", redis.url)
    heading, row = (line.split("\t") for line in listed.stdout.splitlines())
    shown = dict(zip(heading, row, strict=True))
    assert (shown["id"], shown["board"], shown["label"]) == (token_id, "default", "TV floor 2")
    assert (shown["exchanged"], shown["used"]) == ("-", "-")
    assert shown["created"].startswith("20")
    assert asyncio.run(exchanged()) is not None
    listed = command("list", "--redis", redis.url)
    shown = dict(zip(heading, listed.stdout.splitlines()[1].split("\t"), strict=True))
    assert shown["exchanged"].startswith("20")
    assert secret not in listed.output
    assert hashlib.sha256(secret.encode()).hexdigest() not in listed.output

    revoked = command("revoke", token_id, "--redis", redis.url)
    assert (revoked.exit_code, revoked.stdout) == (0, "")
    again = command("revoke", token_id, "--redis", redis.url)
    assert again.exit_code != 0
    none = command("list", "--redis", redis.url)
    assert (none.exit_code, none.stdout) == (0, "")


@pytest.mark.system
def test_the_address_of_a_proxy_can_be_given(redis: LocalRedis) -> None:
    made = command("create", "--redis", redis.url, "--url", "https://wall.example/")
    assert made.stdout.startswith("https://wall.example/enter?token=")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["create"], "tokens are kept in Redis: give --redis"),
        (["create", "--redis", "redis://h", "--board", "defalt"], "did you mean default?"),
        (["create", "--redis", "redis://h", "--url", "wall"], "--url wall: expected an address"),
        (["create", "--redis", "redis://h", "--url", "http://h/below"], "not below a path"),
    ],
)
def test_misuse_is_answered_in_one_line(words: list[str], says: str) -> None:
    result = command(*words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not result.stdout


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    result = command("list", "--redis", f"redis://:swordfish@127.0.0.1:{free_port()}/0")
    assert result.exit_code == 1
    assert "Redis at redis://:***@127.0.0.1" in result.stderr
    assert "swordfish" not in result.stderr


@pytest.mark.parametrize("words", [[], ["create"], ["list"], ["revoke"]], ids=" ".join)
def test_every_help_fits_one_screen(words: list[str]) -> None:
    lines = command(*words, "--help").stdout.splitlines()
    assert 5 < len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.system
def test_a_token_for_programs_is_no_link_and_opens_no_board(redis: LocalRedis) -> None:
    with Redis.from_url(redis.url) as client:
        client.flushdb()
    made = command("create", "--redis", redis.url, "--journeys", "--label", "CTI")
    assert made.exit_code == 0, made.stderr
    [token] = made.stdout.splitlines()
    token_id, _, secret = token.partition(".")
    assert secret not in made.stderr

    async def asked() -> tuple[Holder | None, Opened | None]:
        hashes = RedisHashes(redis.url, "default")
        try:
            tokens = BoardTokens(hashes)
            return await tokens.holder(token), await tokens.exchange(token, "")
        finally:
            await hashes.close()

    assert asyncio.run(asked()) == (Holder(token_id, "CTI", "journeys"), None)
    heading, row = (line.split("\t") for line in command("list", "--redis", redis.url).stdout.splitlines())
    shown = dict(zip(heading, row, strict=True))
    assert (shown["scope"], shown["board"], shown["label"]) == ("journeys", "-", "CTI")
    for words in (["--journeys"], ["--journeys", "--label", "x", "--board", "floor"]):
        assert command("create", "--redis", redis.url, *words).exit_code == 2
