"""`queuelight board-token`: links for screens that cannot sign in. The link to stdout, talk to stderr."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlencode, urlsplit

import typer

from schemas.errors import InputError, QueuelightError, SettingsError

if TYPE_CHECKING:
    from agents.settings import Settings
    from agents.wallboard.tokens import BoardTokens

_Made = TypeVar("_Made")

board_token_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke links to boards for screens."
)
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, TOML.")]
RedisUrl = Annotated[
    str | None, typer.Option("--redis", metavar="URL", help="Redis, as redis://HOST:6379/0.")
]


@board_token_app.command()
def create(
    board: Annotated[str, typer.Option("--board", metavar="NAME", help="The board it opens.")] = "default",
    label: Annotated[str, typer.Option("--label", metavar="TEXT", help="Which screen it is for.")] = "",
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Where browsers reach the wallboard.")
    ] = None,
    journeys: Annotated[
        bool,
        typer.Option("--journeys", help="No link: a token for programs that ask for journeys of customers."),
    ] = False,
    redis: RedisUrl = None,
    config: Config = None,
) -> None:
    """Print a link that opens a board once, on one browser.

    With --journeys a token for programs. Neither is stored, and neither can be shown again.
    """
    if journeys:
        _create_for_program(_settings(config, redis), board, label, url)
        return
    from agents.settings import nearest
    from agents.wallboard.config import boards_of

    settings = _settings(config, redis)
    boards = boards_of(settings)
    if board not in boards:
        near = nearest(board, boards)
        hint = f"did you mean {near}?" if near else f"expected one of {', '.join(boards)}"
        raise SettingsError(f"there is no board {board!r}: {hint}; boards are in the file of --config")
    base = _base(settings, url)
    token_id, token = _with_tokens(settings, lambda tokens: tokens.create(board, label))
    typer.echo(f"{base}/enter?{urlencode({'token': token, 'board': board})}")
    typer.echo(f"token {token_id}: open the link on the screen; it works once", err=True)


def _create_for_program(settings: "Settings", board: str, label: str, url: str | None) -> None:
    from agents.wallboard.tokens import JOURNEYS

    if board != "default" or url is not None:
        raise InputError("--journeys makes no link: it goes with neither --board nor --url")
    if not label:
        raise InputError("--journeys needs --label: the audit log says who asked by it")
    token_id, token = _with_tokens(settings, lambda tokens: tokens.create("", label, JOURNEYS))
    typer.echo(token)
    typer.echo(
        f"token {token_id}: send it as `Authorization: Bearer TOKEN`; it works until it is revoked", err=True
    )


@board_token_app.command(name="list")
def list_(redis: RedisUrl = None, config: Config = None) -> None:
    """Print the tokens there are, without what they open with."""
    found = _with_tokens(_settings(config, redis), lambda tokens: tokens.list())
    if not found:
        typer.echo("there are no tokens", err=True)
        return
    typer.echo("id\tscope\tboard\tlabel\tcreated\texchanged\tused")
    for each in found:
        times = (each.created_ms, each.exchanged_ms, each.last_used_ms)
        typer.echo("\t".join((each.id, each.scope, each.board or "-", each.label or "-", *map(_time, times))))


@board_token_app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` prints it.")],
    redis: RedisUrl = None,
    config: Config = None,
) -> None:
    """End a token, and the session of the screen that uses it."""
    if not _with_tokens(_settings(config, redis), lambda tokens: tokens.revoke(token_id)):
        raise InputError(f"there is no token {token_id!r}")
    typer.echo(f"revoked {token_id}", err=True)


def _settings(config: Path | None, redis: str | None) -> "Settings":
    from agents.settings import load

    settings = load(config, {"redis.url": redis})
    if settings.redis.url is None:
        raise SettingsError("tokens are kept in Redis: give --redis redis://HOST:6379/0 or [redis] url")
    return settings


def _base(settings: "Settings", url: str | None) -> str:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise InputError(f"--url {url}: expected an address such as http://HOST:8080")
        if parts.path.strip("/"):
            raise InputError(f"--url {url}: the boards are served at the root of a host, not below a path")
        return f"{parts.scheme}://{parts.netloc}"
    host, port = settings.wallboard.host, settings.wallboard.port
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _with_tokens(settings: "Settings", work: "Callable[[BoardTokens], Awaitable[_Made]]") -> _Made:
    from agents.redis_client import said, shown
    from agents.wallboard.hub import StoreDown
    from agents.wallboard.tokens import BoardTokens, RedisHashes

    async def run() -> _Made:
        hashes = RedisHashes(settings.redis.address, settings.site.name)
        try:
            return await work(BoardTokens(hashes))
        finally:
            await hashes.close()

    try:
        return asyncio.run(run())
    except StoreDown as error:
        raise QueuelightError(f"Redis at {shown(settings.redis)}: {said(error, settings.redis)}") from None


def _time(at_ms: int | None) -> str:
    return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
