"""`queuelight collect`: take events from browsers and back ends. Talk to stderr."""

from pathlib import Path
from typing import Annotated

import typer

from agents.cli_log import log_to_stderr

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, TOML.")]
Broker = Annotated[str | None, typer.Option("--broker", metavar="HOST:PORT", help="Kafka.")]


def collect(
    broker: Broker = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address that is sent to.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="PORT", help="0: a free one.")] = None,
    random_key: Annotated[
        bool, typer.Option("--random-key", help="Pseudonyms with a key that ends with this process.")
    ] = False,
    config: Config = None,
) -> None:
    """Take events from browsers and back ends.

    Each request is answered once Kafka has its events, or the spool on disk.
    """
    from agents.collector.serve import run_collector
    from agents.settings import load

    settings = load(config, {"kafka.broker": broker, "collector.host": host, "collector.port": port})
    log_to_stderr(settings.worker.log_level)
    raise typer.Exit(run_collector(settings, random_key=random_key))
