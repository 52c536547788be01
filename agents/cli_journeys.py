"""`queuelight explain, journey, forget, notify`: web visitors on the command line. Data to stdout, talk to stderr."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from schemas.errors import InputError, QueuelightError, SettingsError

if TYPE_CHECKING:
    from rich.text import Text

    from agents.journeys.store import RedisJourneys
    from agents.settings import Settings

_Made = TypeVar("_Made")

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, TOML.")]
Broker = Annotated[str | None, typer.Option("--broker", metavar="HOST:PORT", help="Kafka.")]
RedisUrl = Annotated[
    str | None, typer.Option("--redis", metavar="URL", help="Redis, as redis://HOST:6379/0.")
]
Lang = Annotated[str | None, typer.Option("--lang", metavar="ja|en", help="Default: the terminal's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Pseudonym = Annotated[
    bool, typer.Option("--pseudonym", help="CUSTOMER is a pseudonym already, as boards show it.")
]
CustomerArgument = Annotated[
    str, typer.Argument(metavar="CUSTOMER", help="As the contact centre knows the customer.")
]


def register(app: typer.Typer) -> None:
    """Let an app have these commands."""
    for command in (explain, journey, forget, notify):
        app.command()(command)


def explain(
    visitor: Annotated[str, typer.Argument(metavar="VISITOR", help="As boards and flags name the visitor.")],
    redis: RedisUrl = None,
    as_json: AsJson = False,
    lang: Lang = None,
    config: Config = None,
) -> None:
    """Say why a web visitor counts as stuck, or nearly so.

    Every reason with what it adds. Exit code 1: nothing speaks for a contact of this visitor now.
    """
    settings = _with_redis(config, redis)
    found = _asked(settings, lambda store: store.visitor(visitor))
    if found is None:
        raise QueuelightError(f"visitor {visitor!r}: not here now, or nothing speaks for a contact")
    if as_json:
        _print_json(found)
        return
    from agents.journeys.view import explained

    _print(explained(found, _language(lang)))


def journey(
    customer: CustomerArgument,
    redis: RedisUrl = None,
    pseudonym: Pseudonym = False,
    as_json: AsJson = False,
    lang: Lang = None,
    config: Config = None,
) -> None:
    """Show what a customer did on the web site, and earlier contacts.

    The newest first. Exit code 1: nothing is known.
    """
    settings = _with_redis(config, redis)
    names = _names_of(settings, customer, is_one=pseudonym)
    found = _asked(settings, lambda store: store.first_journey(names))
    if found is None:
        raise QueuelightError(f"customer {names[0]}: nothing is known of the last two days")
    if as_json:
        _print_json(found)
        return
    from agents.journeys.view import timeline

    _print(timeline(found, _language(lang)))


def forget(
    customer: CustomerArgument,
    broker: Broker = None,
    redis: RedisUrl = None,
    pseudonym: Pseudonym = False,
    purge_topics: Annotated[
        bool,
        typer.Option(
            "--purge-topics", help="Also delete ALL records so far of web, customers and stuck-flags."
        ),
    ] = False,
    patience: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", help="How long to wait for the workers.")
    ] = 60.0,
    config: Config = None,
) -> None:
    """Forget a customer: visitors, journeys and flags.

    Says what remains, and until when. Exit code 1: no worker has taken it in yet.
    """
    from agents.journeys.forget import forget as forgotten

    settings = _with_redis(config, redis, {"kafka.broker": broker})
    names = _names_of(settings, customer, is_one=pseudonym)
    outcome = forgotten(settings, names, purge=purge_topics, patience_s=patience)
    done = f"{len(outcome.visitors)} visitors, {outcome.deleted} values in Redis deleted"
    typer.echo(f"customer {', '.join(names)}: {done}")
    for (topic, partition), offset in sorted(outcome.purged.items()):
        typer.echo(f"{topic}/{partition}: records before {offset} deleted")
    for each in outcome.remains:
        _say(f"remains: {each}")
    if not outcome.dropped:
        raise typer.Exit(1)


def notify(
    broker: Broker = None,
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help="Where flags are posted.")
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", metavar="FILE", help="Nothing but the secret to sign with."),
    ] = None,
    give_up_after: Annotated[
        float, typer.Option("--give-up-after", metavar="SECONDS", help="How long one flag is tried.")
    ] = 300.0,
    config: Config = None,
) -> None:
    """Post every flag (raised, cleared, withdrawn) to a webhook.

    Signed, in the order of each visitor, until it is taken. Runs until Ctrl-C.
    """
    import signal
    import threading

    from agents.journeys.notify import run_notify
    from agents.settings import load

    flags: dict[str, object] = {
        "kafka.broker": broker,
        "journeys.webhook_url": webhook,
        "journeys.webhook_secret_file": secret_file,
    }
    settings = load(config, flags)
    url, secret = settings.journeys.webhook_url, settings.journeys.webhook_secret
    if url is None:
        raise SettingsError("give --webhook https://HOST/path or [journeys] webhook_url")
    if secret is None:
        raise SettingsError("give --secret-file FILE or [journeys] webhook_secret_file: flags are signed")
    if not 0 < give_up_after <= 86_400:
        raise InputError(f"--give-up-after {give_up_after:g}: expected 1 to 86400 seconds")
    _log_to_stderr(settings.worker.log_level)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run_notify(settings, url, secret.get_secret_value().encode(), give_up_after, stop.is_set)


def _with_redis(config: Path | None, redis: str | None, flags: dict[str, object] | None = None) -> "Settings":
    from agents.settings import load

    settings = load(config, {"redis.url": redis, **(flags or {})})
    if settings.redis.url is None:
        raise SettingsError("journeys are kept in Redis: give --redis redis://HOST:6379/0 or [redis] url")
    return settings


def _names_of(settings: "Settings", customer: str, *, is_one: bool) -> list[str]:
    """The pseudonyms under which a customer may be known, by the newest key first."""
    if is_one:
        return [customer]
    keys = settings.collector.keys()
    if keys is None:
        raise SettingsError(
            "pseudonyms are made with a key: give [collector] tenant_keys_file, or a pseudonym with --pseudonym"
        )
    return keys.all_of(customer)


def _asked(settings: "Settings", ask: "Callable[[RedisJourneys], Awaitable[_Made]]") -> _Made:
    from agents.journeys.store import asked

    return asyncio.run(asked(settings, ask))


def _language(lang: str | None) -> str:
    from agents.terminal import language

    if lang not in (None, "ja", "en"):
        raise InputError(f"--lang {lang}: expected ja or en")
    return language(lang)


def _print(lines: "Sequence[Text]") -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for line in lines:
        console.print(line)


def _print_json(found: object) -> None:
    from schemas.journeys import encode_journeys

    sys.stdout.buffer.write(encode_journeys(found) + b"\n")


def _log_to_stderr(level: str) -> None:
    import logging

    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
    )


def _say(text: str) -> None:
    typer.echo(text, err=True)
