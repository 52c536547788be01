"""Under which name is an address counted? A keyed hash that ends with this process; none is stored or logged."""

import hashlib
import secrets
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_network

from agents.callers import before_proxies

_MOST_HOPS = 10
_MOST_LETTERS = 100


class Callers:
    """Who sends: told apart by a keyed hash of the address; of IPv6 its network of 64 bits.

    Args:
        trusted_proxies: networks whose X-Forwarded-For is believed.
    """

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._proxies = [ip_network(each) for each in trusted_proxies]
        self._key = secrets.token_bytes(32)

    def of(self, peer: str, forwarded: str = "") -> bytes:
        """The hash of the last address before the proxies we trust."""
        hops = forwarded.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:] if forwarded and self._proxies else []
        found = before_proxies(peer, [each.strip()[:_MOST_LETTERS] for each in hops], self._proxies)
        if isinstance(found, IPv6Address):
            place = found.packed[:8]
        else:
            place = b"" if found is None else found.packed
        return hashlib.blake2b(place, key=self._key, digest_size=16).digest()
