"""What may be written below `[alerts]`? Where the alerts that fire can be asked for."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from agents.settings.values import Section


def _address(url: str) -> str:
    """Refuse what is no address of an Alertmanager, without repeating it."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.query:
            return url.rstrip("/")
    except ValueError:
        pass  # the message below says what is expected
    raise ValueError("expected an address such as http://HOST:9093")


class AlertsSettings(Section):
    """`[alerts]`."""

    alertmanager_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="http://HOST:9093; with it boards and `queuelight alerts` show what fires."
    )
    stuck_visitors: int = Field(
        10,
        ge=1,
        le=1_000_000,
        description="Visitors stuck on one page at once from which a surge is worth an alert.",
    )
