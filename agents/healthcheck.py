"""Is the process behind an address well? For containers and services, whose images have no program that asks.

Refuses to know which process it is: `/livez` and `/readyz` say what is wrong.
"""

import http.client
from http import HTTPStatus
from urllib.parse import urlsplit

from schemas.errors import InputError

_PATIENCE_S = 4.0
_MOST_BYTES = 10_000


def trouble_at(url: str) -> str:
    """What the process answers while it is not well, or why it does not answer; empty: it is well.

    Raises:
        InputError: no address of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise InputError(f"{url}: expected an address such as http://127.0.0.1:9108/readyz")
    connection = http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE_S)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        said = answer.read(_MOST_BYTES).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    finally:
        connection.close()
    return "" if answer.status == HTTPStatus.OK else f"{url}: {answer.status} {said}"
