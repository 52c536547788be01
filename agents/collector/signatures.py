"""Which back end signed this request? HMAC-SHA-256 of time and body, `X-Queuelight-Signature: t=<Unix s>,v1=<hex>`.

Refuses to know what the body says.
"""

import hmac
from collections import OrderedDict
from collections.abc import Mapping

from agents.signing import HEADER, digest

TOLERANCE_S = 300
_MOST_SEEN = 50_000
_MOST_SIGNATURES = 8
_LONGEST = 2000


class NotSigned(Exception):
    """The message says why, and is for whoever sent the request."""


class Signatures:
    """Knows the secrets of back ends, and which requests were taken already.

    Args:
        secrets: by the back end's name.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._secrets = dict(secrets)
        self._taken: OrderedDict[str, int] = OrderedDict()

    def check(self, header: str, body: bytes, now_s: int) -> tuple[str, str]:
        """The name of the back end that signed, and the signature.

        Several signatures may be given, such as with an old and a new secret: one has to be right.

        Raises:
            NotSigned: none of ours did, or not within five minutes.
        """
        at_s, given = _parts(header)
        if abs(now_s - at_s) > TOLERANCE_S:
            raise NotSigned(f"signed at {at_s}, which is not within {TOLERANCE_S} s of {now_s}")
        for name, secret in self._secrets.items():
            expected = digest(secret, at_s, body)
            for each in given:
                if hmac.compare_digest(expected, each):
                    return name, expected
        raise NotSigned("the signature is not that of a known back end")

    def was_taken(self, signed: str) -> bool:
        """True when a request with this signature was taken: everything in it is kept."""
        return signed in self._taken

    def take(self, signed: str, now_s: int) -> None:
        """Remember a request that was taken, for as long as its signature is good."""
        self._taken[signed] = now_s
        while self._taken:
            oldest, at_s = next(iter(self._taken.items()))
            if now_s - at_s <= 2 * TOLERANCE_S and len(self._taken) <= _MOST_SEEN:
                break
            del self._taken[oldest]


def _parts(header: str) -> tuple[int, list[str]]:
    at_s: int | None = None
    given: list[str] = []
    for part in header[:_LONGEST].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= 12:
            at_s = int(value)
        elif name == "v1" and value.isascii() and len(given) < _MOST_SIGNATURES:
            given.append(value.lower())
    if at_s is None or not given:
        raise NotSigned(f"expected the header {HEADER}: t=<Unix s>,v1=<hex>")
    return at_s, given
