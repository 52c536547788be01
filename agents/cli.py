"""What can one say on the command line? Verbs with long options; data to stdout, talk to stderr; exit codes 0, 1, 2.

Each command only reads its options and calls the module that does the work, imported when it is needed, so that
`--help` answers at once.
"""

import os
import sys
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.core import TyperGroup

from agents import cli_journeys
from agents.cli_board_token import board_token_app
from agents.cli_collect import collect
from agents.cli_log import log_to_stderr as _log_to_stderr
from schemas.errors import InputError, QueuelightError, SettingsError

if TYPE_CHECKING:
    from agents.settings import Settings

GOOD, FAILED, MISUSED = 0, 1, 2
_DEMO_QUEUES = 8


class Language(StrEnum):
    """Languages of the board."""

    JA = "ja"
    EN = "en"


class Window(StrEnum):
    """Windows of the board; `schemas.snapshots.WINDOWS` and the business day."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HALF_HOUR = "30m"
    HOUR = "1h"
    DAY = "day"


class Verbs(TyperGroup):
    """The commands. What is expected to go wrong is said in one line; anything else is a bug, with its traceback."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command; end with the exit code of what went wrong."""
        try:
            return super().invoke(ctx)
        except (SettingsError, InputError) as error:
            _fail(str(error), MISUSED)
        except QueuelightError as error:
            _fail(str(error), FAILED)
        except BrokenPipeError:
            # Whoever read our output has had enough. What is still buffered must not fail once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(GOOD)
        except OSError as error:
            _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), FAILED)


def _fail(text: str, code: int) -> NoReturn:
    _say(f"queuelight: {text}")
    sys.exit(code)


app = typer.Typer(
    name="queuelight",
    cls=Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
topics_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Create the topics.")
app.add_typer(topics_app, name="topics")
app.add_typer(board_token_app, name="board-token")

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings; default: ./queuelight.toml.")
]
Broker = Annotated[str | None, typer.Option("--broker", metavar="HOST:PORT", help="Kafka.")]
RedisUrl = Annotated[
    str | None, typer.Option("--redis", metavar="URL", help="Redis, as redis://HOST:6379/0.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="The same seed, the same contacts.")]
Lang = Annotated[
    Language | None, typer.Option("--lang", help="Language of the board; default: the terminal's.")
]
Recorded = Annotated[Path, typer.Argument(metavar="FILE", help='The recording; "-" is standard input.')]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="jsonl or anonymous-bank.")]


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"queuelight {version('queuelight')}")
        except PackageNotFoundError:
            typer.echo("queuelight, not installed")
        raise typer.Exit


@app.callback()
def queuelight(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Live numbers of a contact centre, exactly, from its events on Kafka."""


def _settings(config: Path | None, flags: dict[str, object] | None = None) -> "Settings":
    from agents.settings import load

    return load(config, flags)


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", help="Leave after so long.")
    ] = None,
    seed: Seed = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the last snapshot as JSON, no board.")
    ] = False,
    lang: Lang = None,
    board_port: Annotated[
        int | None,
        typer.Option("--board-port", metavar="PORT", help="Of the board in the browser; 0: a free one."),
    ] = None,
    config: Config = None,
) -> None:
    """Show a living contact centre. Needs nothing installed.

    Broker, simulator, worker and boards, in terminal and browser, in one process.
    """
    from agents.demo import run_demo
    from agents.terminal import language

    settings = _settings(config) if config else None
    raise typer.Exit(run_demo(settings, seconds, seed, as_json, language(lang), board_port))


@app.command()
def worker(
    broker: Broker = None,
    redis: RedisUrl = None,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", metavar="PORT", help="Of /metrics; 0: a free one.")
    ] = None,
    metrics_host: Annotated[
        str | None, typer.Option("--metrics-host", metavar="ADDRESS", help="Its address.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Stable member name; default: the host's.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug ... error.")
    ] = None,
    config: Config = None,
) -> None:
    """Turn events into numbers.

    Runs both stages; start as many as there is load.
    """
    from agents.worker import run_worker

    flags: dict[str, object] = {
        "kafka.broker": broker,
        "redis.url": redis,
        "worker.metrics_port": metrics_port,
        "worker.metrics_host": metrics_host,
        "worker.name": name,
        "worker.log_level": log_level,
    }
    settings = _settings(config, flags)
    _log_to_stderr(settings.worker.log_level)
    raise typer.Exit(run_worker(settings))


@app.command()
def simulate(
    rate: Annotated[float, typer.Option("--rate", metavar="EVENTS_PER_S", help="Events per second.")],
    broker: Broker = None,
    seed: Seed = 1,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", help="Stop after so long.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="Write what the numbers must be; needs --seconds."),
    ] = None,
    queues: Annotated[
        int, typer.Option("--queues", metavar="N", help="Queues, where the settings name none.")
    ] = _DEMO_QUEUES,
    web_rate: Annotated[
        float, typer.Option("--web-rate", metavar="EVENTS_PER_S", help="Events per second of its web site.")
    ] = 0.0,
    config: Config = None,
) -> None:
    """Feed Kafka with a simulated contact centre and its web site."""
    from agents.progress import Progress
    from agents.simulate import run_simulation
    from streams.simulator import default_site

    if truth is not None and seconds is None:
        raise InputError("--truth needs --seconds: the truth is known at the end")
    if truth is not None and not truth.absolute().parent.is_dir():
        raise InputError(f"{truth}: there is no folder {truth.parent}")
    if not 1 <= queues <= 100_000:
        raise InputError(f"--queues {queues}: expected 1 to 100000")
    settings = _settings(config, {"kafka.broker": broker})
    if not settings.site.queues:
        settings = settings.with_site(default_site(queues))
    _log_to_stderr(settings.worker.log_level)
    with Progress("simulating") as progress:

        def sent(messages: int) -> None:
            if seconds is not None:
                expected = max(1, round((rate + web_rate) * seconds))
                progress.to(min(messages, expected), expected)

        code = run_simulation(settings, rate, seed, seconds, truth, sent, web_rate=web_rate)
    raise typer.Exit(code)


@app.command()
def replay(
    file: Recorded,
    format_: Format,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="F.json", help='Write the report; "-" is standard output.'),
    ] = None,
    gauges: Annotated[
        Path | None, typer.Option("--gauges", metavar="F.csv", help="Write who waits, minute by minute.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option("--dead-letters", metavar="F.jsonl", help="Write what could not be used.")
    ] = None,
    interval: Annotated[int, typer.Option("--interval", metavar="SECONDS", help="Of the report.")] = 1800,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker",
            metavar="HOST:PORT",
            help="Through Kafka and workers of its own, on topics of its own that are removed afterwards.",
        ),
    ] = None,
    running_workers: Annotated[
        bool,
        typer.Option(
            "--running-workers",
            help="With --broker: through the workers of the group that run already, started with "
            "[worker] clock = event, and its own topics, which must be new.",
        ),
    ] = False,
    speed: Annotated[
        str, typer.Option("--speed", metavar="max|N", help="With --broker: N times the recorded pace.")
    ] = "max",
    config: Config = None,
) -> None:
    """Tell what the numbers of a recorded file are.

    Prints a table, unless --report is given. Exit code 1: no record is usable.
    """
    from agents.recording import Recording
    from agents.replay_file import Outputs
    from agents.replay_file import replay as replay_recording

    pace = _pace(speed, with_broker=broker is not None)
    if running_workers and broker is None:
        raise InputError("--running-workers needs --broker")
    settings = _settings(config, {"kafka.broker": broker})
    _log_to_stderr("info" if broker else "warning")
    outputs = Outputs(report, gauges, dead_letters)
    made = replay_recording(
        settings,
        Recording(file, format_),
        interval,
        outputs,
        broker=broker is not None,
        speed=pace,
        running=running_workers,
    )
    for warning in made.warnings:
        _say(f"warning: {warning}")
    for path in (report, gauges, dead_letters):
        if path is not None and str(path) != "-":
            _say(f"wrote {path}")
    if report is None and Path("-") not in (gauges, dead_letters):
        from agents.summary import print_summary

        print_summary(made.report(), sys.stdout)
    if made.is_void:
        raise typer.Exit(FAILED)


def _pace(speed: str, *, with_broker: bool) -> float | None:
    if speed == "max":
        return None
    try:
        pace = float(speed)
    except ValueError:
        pace = 0.0
    if not 0 < pace < 1e9:
        raise InputError(f"--speed {speed}: expected max, or a number above 0 such as 60")
    if not with_broker:
        raise InputError(f"--speed {speed} needs --broker: in process a replay always runs at full speed")
    return pace


@app.command()
def top(
    redis: RedisUrl = None,
    once: Annotated[bool, typer.Option("--once", help="Print the board once and leave.")] = False,
    window: Annotated[
        Window, typer.Option("--window", help="What service level, ASA and abandonment are over.")
    ] = Window.HALF_HOUR,
    lang: Lang = None,
    config: Config = None,
) -> None:
    """Show the live board in this terminal, from Redis."""
    settings = _settings(config, {"redis.url": redis})
    if settings.redis.url is None:
        raise SettingsError("the board is read from Redis: give --redis redis://HOST:6379/0 or [redis] url")
    from agents.terminal import run_top

    raise typer.Exit(run_top(settings, lang, once, window.value))


@app.command()
def alerts(
    alertmanager: Annotated[
        str | None, typer.Option("--alertmanager", metavar="URL", help="Alertmanager, as http://HOST:9093.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    lang: Lang = None,
    config: Config = None,
) -> None:
    """List the alerts that fire, as Alertmanager knows them."""
    settings = _settings(config, {"alerts.alertmanager_url": alertmanager})
    if settings.alerts.alertmanager_url is None:
        raise SettingsError("give --alertmanager http://HOST:9093 or [alerts] alertmanager_url")
    from agents.firing import fired
    from agents.firing_shown import print_alerts
    from agents.terminal import language

    print_alerts(fired(settings.alerts.alertmanager_url), language(lang), as_json=as_json)


@app.command()
def wallboard(
    redis: RedisUrl = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address that serves the boards.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="PORT", help="0: a free one.")] = None,
    config: Config = None,
) -> None:
    """Serve the boards to browsers, from Redis."""
    settings = _settings(config, {"redis.url": redis, "wallboard.host": host, "wallboard.port": port})
    _log_to_stderr(settings.worker.log_level)
    from agents.wallboard.serve import run_wallboard

    raise typer.Exit(run_wallboard(settings))


app.command()(collect)


@app.command()
def decode(file: Recorded, format_: Format) -> None:
    """Print the events of a recorded file, one JSON line each.

    What it prints replays with --format jsonl.
    """
    from agents.recording import Recording
    from agents.replay_file import decode_to

    unusable = decode_to(sys.stdout.buffer, Recording(file, format_), _say)
    if unusable:
        _say(f"{unusable:,} lines could not be used")


@app.command()
def check(broker: Broker = None, redis: RedisUrl = None, config: Config = None) -> None:
    """Look whether settings, Kafka, topics and Redis are right.

    Says how to mend what is not. Exit code 1: something is wrong.
    """
    from agents.check import findings

    good = True
    for finding in findings(_settings(config, {"kafka.broker": broker, "redis.url": redis})):
        typer.echo(str(finding))
        good &= finding.good
    raise typer.Exit(GOOD if good else FAILED)


@app.command()
def healthcheck(
    url: Annotated[str, typer.Argument(metavar="URL", help="As http://127.0.0.1:9108/readyz.")],
) -> None:
    """Ask a worker or a wallboard whether it is well.

    For containers. Exit code 1: it is not, or does not answer.
    """
    from agents.healthcheck import trouble_at

    if trouble := trouble_at(url):
        _fail(trouble, FAILED)


@app.command(name="config")
def show_config(
    table: Annotated[
        bool, typer.Option("--table", help="Print every setting there is, as Markdown.")
    ] = False,
    broker: Broker = None,
    redis: RedisUrl = None,
    config: Config = None,
) -> None:
    """Print the settings in force, and where each is from.

    Secrets are masked.
    """
    from agents.settings.shown import describe, reference

    if table:
        typer.echo(reference(), nl=False)
    else:
        typer.echo(describe(_settings(config, {"kafka.broker": broker, "redis.url": redis})), nl=False)


@app.command()
def schema(
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only this event, such as contact.queued.")
    ] = None,
    asyncapi: Annotated[
        bool, typer.Option("--asyncapi", help="The AsyncAPI document: topics and messages.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="DIR", help="Write all of them as files.")
    ] = None,
) -> None:
    """Print the JSON Schema of the events.

    Without options: one schema for all of them.
    """
    from schemas import documents

    if sum((type_ is not None, asyncapi, write is not None)) > 1:
        raise InputError("expected only one of --type, --asyncapi and --write")
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for name, content in documents.documents().items():
            (write / name).write_bytes(content)
            _say(f"wrote {write / name}")
        return
    if type_ is not None:
        made = documents.event_schema(_event_type(type_))
    else:
        made = documents.asyncapi() if asyncapi else documents.any_event_schema()
    typer.echo(documents.encoded(made), nl=False)


def _event_type(name: str) -> str:
    from agents.settings import nearest
    from schemas.documents import PUBLIC_TYPES

    if name not in PUBLIC_TYPES:
        near = nearest(name, PUBLIC_TYPES)
        raise InputError(
            f"unknown event type {name!r}: "
            + (f"did you mean {near}?" if near else f"expected one of {', '.join(PUBLIC_TYPES)}")
        )
    return name


cli_journeys.register(app)


@topics_app.command()
def create(broker: Broker = None, config: Config = None) -> None:
    """Create the topics that are missing, with their settings.

    Existing ones are left alone.
    """
    from agents.topics import create_topics

    settings = _settings(config, {"kafka.broker": broker})
    made = create_topics(settings)
    for name in made:
        typer.echo(name)
    _say(f"created {len(made)} topics at {settings.kafka.broker}" if made else "all topics are there already")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def main() -> None:
    """The console script."""
    app(prog_name="queuelight")


if __name__ == "__main__":
    main()
