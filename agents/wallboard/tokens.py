"""Which link opens which board? Random tokens for screens that cannot sign in, and the sessions they turn into.

Programs have tokens of another scope: no link, no session, they are sent with every request until they are revoked.

A token is shown once, when it is made, and works once: the browser that opens its link gets a session in a cookie.
Only SHA-256 of either is stored. They are 256 random bits, not words people choose: there is nothing to guess, so a
salt or a slow hash would add nothing. Revoking a token ends its session.

Redis holds, per site, three hashes by the token's id: what it is for (written once), its session (written once, so
that of two browsers that open a link at the same moment only one gets in), and when it was used last. None is ever
read, changed and written back, so that a server cannot bring back a token that is being revoked.

Refuses to know HTTP.
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec
from redis.exceptions import RedisError

from agents.wall_clock import wall_ms
from agents.wallboard.hub import StoreDown
from agents.wallboard.stores import connected
from schemas.errors import InputError
from schemas.events import MAX_NAME
from streams.decode import is_clean

_SECRET_BYTES = 32
_ID_BYTES = 6
_ID = re.compile(r"[0-9a-f]{12}")
_FRESH_MS = 5_000
"""For so long a session that was good is not asked for again; a revoked one ends within this time."""
BOARD, JOURNEYS = "board", "journeys"
"""Scopes of tokens."""
_MOST_KNOWN = 10_000
_USED_EVERY_MS = 60_000


class TokenInfo(msgspec.Struct, frozen=True):
    """A token as it may be shown: when it was made, exchanged and used last (Unix ms)."""

    id: str
    board: str
    label: str
    created_ms: int
    exchanged_ms: int | None
    last_used_ms: int | None
    scope: str = BOARD


class Holder(NamedTuple):
    """Whose token it is, and what it is for."""

    id: str
    label: str
    scope: str


class Opened(NamedTuple):
    """A link that was exchanged: the value of the session's cookie, and the board."""

    session: str
    board: str


class _Token(msgspec.Struct, frozen=True):
    hash: str
    board: str
    label: str
    created_ms: int
    scope: str = BOARD


class _Session(msgspec.Struct, frozen=True):
    hash: str
    exchanged_ms: int


class Hashes(Protocol):
    """Three hashes of texts: of tokens, of sessions, of last uses. Every method raises `StoreDown`."""

    async def get(self, name: str, key: str) -> bytes | None: ...
    async def all(self, name: str) -> dict[str, bytes]: ...
    async def put(self, name: str, key: str, value: bytes) -> None: ...
    async def put_new(self, name: str, key: str, value: bytes) -> bool: ...
    async def drop(self, name: str, key: str) -> bool: ...


_TOKENS, _SESSIONS, _USED = "board-tokens", "board-sessions", "board-tokens-used"


class BoardTokens:
    """The tokens of a site.

    Args:
        hashes: where they are kept.
        clock: the time, Unix ms.
    """

    def __init__(self, hashes: Hashes, clock: Callable[[], int] = wall_ms) -> None:
        self._hashes = hashes
        self._clock = clock
        self._known: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._holders: OrderedDict[str, tuple[Holder, int]] = OrderedDict()
        self._used: dict[str, int] = {}

    async def create(self, board: str, label: str = "", scope: str = BOARD) -> tuple[str, str]:
        """Make a token for a board; return its id, and the token itself, which nobody can ask for again.

        Of another scope than `BOARD` it is a program's, and the board is "".

        Raises:
            InputError: the label cannot be shown.
        """
        if label and (len(label) > MAX_NAME or not is_clean(label)):
            raise InputError(f"expected a label of at most {MAX_NAME} characters without control characters")
        token_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        token = _Token(_digest(secret), board, label, self._clock(), scope)
        await self._hashes.put(_TOKENS, token_id, msgspec.json.encode(token))
        return token_id, f"{token_id}.{secret}"

    async def list(self) -> list[TokenInfo]:
        """All tokens, the oldest first."""
        tokens, sessions = await self._hashes.all(_TOKENS), await self._hashes.all(_SESSIONS)
        used = await self._hashes.all(_USED)
        out = []
        for token_id, raw in tokens.items():
            token = msgspec.json.decode(raw, type=_Token)
            session = msgspec.json.decode(sessions[token_id], type=_Session) if token_id in sessions else None
            out.append(
                TokenInfo(
                    token_id,
                    token.board,
                    token.label,
                    token.created_ms,
                    None if session is None else session.exchanged_ms,
                    int(used[token_id]) if token_id in used else None,
                    token.scope,
                )
            )
        return sorted(out, key=lambda info: (info.created_ms, info.id))

    async def revoke(self, token_id: str) -> bool:
        """End a token and its session; False: there is no such token."""
        if not _ID.fullmatch(token_id):
            return False
        there_was = await self._hashes.drop(_TOKENS, token_id)
        for name in (_SESSIONS, _USED):
            await self._hashes.drop(name, token_id)
        return there_was

    async def exchange(self, token: str, board: str) -> Opened | None:
        """Open a session with a token; None: it is wrong, for another board, revoked, or was exchanged before."""
        token_id, _, secret = token.partition(".")
        stored = await self._token(token_id)
        if stored is None or not _same(stored.hash, secret) or stored.board != board:
            return None
        if stored.scope != BOARD:
            return None
        session = f"{token_id}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        opened = _Session(_digest(session), self._clock())
        if not await self._hashes.put_new(_SESSIONS, token_id, msgspec.json.encode(opened)):
            return None
        return Opened(session, board)

    async def holder(self, token: str) -> Holder | None:
        """Whose token this is; None: nobody's. A revoked one is refused within seconds.

        Raises:
            StoreDown: the store is away, and the token was not good lately.
        """
        key, now = _digest(token), self._clock()
        known, asked_ms = self._holders.get(key, (None, 0))
        if known is not None and 0 <= now - asked_ms < _FRESH_MS:
            return known
        token_id, _, secret = token.partition(".")
        stored = await self._token(token_id)
        self._holders.pop(key, None)
        if stored is None or not _same(stored.hash, secret):
            return None
        found = Holder(token_id, stored.label, stored.scope)
        await self._was_used(token_id)
        self._holders[key] = (found, now)
        if len(self._holders) > _MOST_KNOWN:
            self._holders.popitem(last=False)
        return found

    async def check(self, session: str) -> str | None:
        """The board a session opens; None: it opens nothing.

        While the store is away a session that was good when last asked for stays good: it cannot be revoked
        meanwhile either, and there are no numbers to see but those the screen has.

        Raises:
            StoreDown: the store is away, and the session is not known here.
        """
        key, now = _digest(session), self._clock()
        board, asked_ms = self._known.get(key, (None, 0))
        if board is not None and 0 <= now - asked_ms < _FRESH_MS:
            return board
        try:
            board = await self._ask(session, key)
        except StoreDown:
            if board is None:
                raise
            return board
        self._known.pop(key, None)
        if board is not None:
            self._known[key] = (board, now)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return board

    async def _ask(self, session: str, key: str) -> str | None:
        token_id, _, _ = session.partition(".")
        raw = await self._hashes.get(_SESSIONS, token_id) if _ID.fullmatch(token_id) else None
        if raw is None or not hmac.compare_digest(msgspec.json.decode(raw, type=_Session).hash, key):
            return None
        token = await self._token(token_id)
        if token is None or token.scope != BOARD:
            return None
        await self._was_used(token_id)
        return token.board

    async def _token(self, token_id: str) -> _Token | None:
        raw = await self._hashes.get(_TOKENS, token_id) if _ID.fullmatch(token_id) else None
        return None if raw is None else msgspec.json.decode(raw, type=_Token)

    async def _was_used(self, token_id: str) -> None:
        now = self._clock()
        if now - self._used.get(token_id, 0) >= _USED_EVERY_MS:
            if len(self._used) >= _MOST_KNOWN:
                self._used.clear()
            self._used[token_id] = now
            await self._hashes.put(_USED, token_id, b"%d" % now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _same(stored: str, secret: str) -> bool:
    return hmac.compare_digest(stored, _digest(secret))


class MemoryHashes:
    """Tokens of this process: for the demo."""

    def __init__(self) -> None:
        self._hashes: dict[str, dict[str, bytes]] = {}

    async def get(self, name: str, key: str) -> bytes | None:
        """A value."""
        return self._hashes.get(name, {}).get(key)

    async def all(self, name: str) -> dict[str, bytes]:
        """All values."""
        return dict(self._hashes.get(name, {}))

    async def put(self, name: str, key: str, value: bytes) -> None:
        """Store a value."""
        self._hashes.setdefault(name, {})[key] = value

    async def put_new(self, name: str, key: str, value: bytes) -> bool:
        """Store a value unless there is one; True: there was none."""
        return self._hashes.setdefault(name, {}).setdefault(key, value) is value

    async def drop(self, name: str, key: str) -> bool:
        """Forget a value; True: there was one."""
        return self._hashes.get(name, {}).pop(key, None) is not None


class RedisHashes:
    """Tokens of a site in Redis. They live as long as Redis keeps its data: it should write it to disk."""

    def __init__(self, url: str, site: str) -> None:
        self._client = connected(url)
        self._start = f"queuelight:{{{site}}}:"

    async def get(self, name: str, key: str) -> bytes | None:
        """A value."""
        with _StoreTrouble():
            value = await self._client.hget(self._start + name, key)
        return value.encode() if isinstance(value, str) else value

    async def all(self, name: str) -> dict[str, bytes]:
        """All values."""
        with _StoreTrouble():
            stored: dict[Any, Any] = await self._client.hgetall(self._start + name)
        return {key.decode(): value for key, value in stored.items()}

    async def put(self, name: str, key: str, value: bytes) -> None:
        """Store a value."""
        with _StoreTrouble():
            await self._client.hset(self._start + name, key, value)

    async def put_new(self, name: str, key: str, value: bytes) -> bool:
        """Store a value unless there is one; True: there was none."""
        with _StoreTrouble():
            return bool(await self._client.hsetnx(self._start + name, key, value))

    async def drop(self, name: str, key: str) -> bool:
        """Forget a value; True: there was one."""
        with _StoreTrouble():
            return bool(await self._client.hdel(self._start + name, key))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _StoreTrouble:
    """Everything that can go wrong with Redis, as `StoreDown`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError | OSError | TimeoutError):
            raise StoreDown(str(error)) from error
