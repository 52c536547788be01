"""Does Redis let us in? Asked once at a start, so that a wrong password or certificate is said then and there.

Refuses to know what is kept in Redis. That it is away is no error here: it may come later, and everybody waits for it.
"""

import ssl

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.retry import Retry

from agents.settings.file import masked_url
from agents.settings.servers import RedisSettings
from schemas.errors import QueuelightError

_PATIENCE_S = 5.0
TROUBLE = (RedisError, OSError, ValueError)
"""What redis-py raises where Redis does not answer or refuses; a ValueError where the address means nothing to it."""


def shown(settings: RedisSettings) -> str:
    """The address as people may see it."""
    assert settings.url is not None
    return masked_url(settings.url.get_secret_value())


def said(error: Exception, settings: RedisSettings) -> str:
    """An error without the address in it, which has the password."""
    text = str(error).replace(settings.address, shown(settings))
    # With TLS 1.3 Redis looks at our certificate when we are writing already, and its word may be lost.
    if "reset by peer" in text and settings.address.startswith("rediss:") and settings.cert_file is None:
        text += " (does it ask for a certificate? cert_file, key_file)"
    return text


def asked(settings: RedisSettings) -> str:
    """The version of Redis, which lets us in and run scripts.

    Raises:
        RedisError, OSError, ValueError: see `TROUBLE`.
    """
    with Redis.from_url(
        settings.address,
        socket_timeout=_PATIENCE_S,
        socket_connect_timeout=_PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        version = client.info("server")["redis_version"]
        client.register_script("return 1")()
    return str(version)


def check_let_in(settings: RedisSettings) -> None:
    """Return unless Redis refuses us or we refuse it, which waiting does not cure.

    Raises:
        QueuelightError: with the reason.
    """
    if settings.url is None:
        return
    try:
        asked(settings)
    except TROUBLE as error:
        refused = isinstance(error, AuthenticationError | NoPermissionError | ValueError)
        if refused or isinstance(error.__cause__ or error.__context__, ssl.SSLError):
            raise QueuelightError(f"Redis at {shown(settings)}: {said(error, settings)}") from error
