"""Which secrets may stand in files of their own, and what do these say?

The file of a secret `key` is named by `key_file`, in the settings file or the environment; it holds the secret and
nothing else, so that neither of these two holds secrets. Refuses to know what the secrets open.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from schemas.errors import SettingsError

_SECRETS = (
    ("kafka", "sasl_password"),
    ("redis", "url"),
    ("redis", "password"),
    ("wallboard", "access", "pseudonym_key"),
    ("journeys", "webhook_secret"),
    ("collector", "tenant_keys"),
    ("collector", "sites", "identify_secret"),
    ("collector", "sources", "secret"),
)
_MOST_BYTES = 65_536


def _was_read(value: object) -> None:
    if value is not None:
        raise ValueError(
            "expected the secret itself here: files of secrets are read where settings are loaded"
        )


SecretFile = Annotated[Path | None, BeforeValidator(_was_read)]
"""A key that names the file of a secret. Only known as a key: what the file says is in the secret itself."""


def with_secrets_read(layer: dict[str, object], source: str) -> dict[str, str]:
    """Put what the named files say in the place of their names.

    Args:
        layer: what one source of settings says, {section: {key: value}}; changed in place.
        source: what to call it.

    Returns:
        Where each secret that was read is from, by its dotted name: {"redis.url": "environment, /run/secrets/url"}.

    Raises:
        SettingsError: a file that cannot be read or is empty, or a secret that is given twice.
    """
    read = {}
    for *tables, key in _SECRETS:
        for table in _tables(layer, tables):
            if (named := table.pop(f"{key}_file", None)) is None:
                continue
            where = f"{source}: `{key}_file` in [{'.'.join(tables)}]"
            if key in table:
                raise SettingsError(f"{where}: `{key}` is given as well: expected one of the two")
            table[key] = _secret_in(named, where)
            read[".".join((*tables, key))] = f"{source}, {named}"
    return read


def _tables(layer: dict[str, object], names: list[str]) -> list[dict[str, object]]:
    """The tables under a path of names; a list of tables on it is each of them."""
    found: list[object] = [layer]
    for name in names:
        below = [each.get(name) for each in found if isinstance(each, dict)]
        found = [each for some in below for each in (some if isinstance(some, list) else [some])]
    return [each for each in found if isinstance(each, dict)]


def _secret_in(named: object, where: str) -> str:
    if not isinstance(named, str | Path):
        raise SettingsError(f"{where}: expected the path of a file")
    try:
        with Path(named).open("rb") as file:
            held = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{where}: {named} cannot be read: {error.strerror}") from None
    try:
        secret = held.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: expected text in UTF-8 in {named}") from None
    if not secret or len(held) > _MOST_BYTES:
        raise SettingsError(f"{where}: expected 1 to {_MOST_BYTES} bytes in {named}, saw {len(held)}")
    return secret
