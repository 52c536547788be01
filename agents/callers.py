"""Who asks, and how often may they? Addresses behind proxies that are trusted, and a token bucket for each caller.

Refuses to know what is asked for, and keeps nothing that its users do not hand it.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
MOST_CALLERS = 50_000


def address_in(text: str) -> Address | None:
    """An address, perhaps with a port after it; IPv4 inside IPv6 as IPv4."""
    text = text.strip()
    for each in (text, text.rpartition(":")[0]):
        try:
            found = ip_address(each.removeprefix("[").removesuffix("]").partition("%")[0])
        except ValueError:
            continue
        return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found
    return None


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    """True for an address of one of the networks."""
    return address is not None and any(address in network for network in networks)


def before_proxies(peer: str, hops: Sequence[str], proxies: Sequence[Network]) -> Address | None:
    """The last address before the proxies we trust.

    Args:
        peer: who is connected.
        hops: what X-Forwarded-For says, in its order.
    """
    found = address_in(peer)
    left = list(hops)
    while left and is_within(found, proxies):
        before = address_in(left.pop())
        if before is None:
            break
        found = before
    return found


class Buckets:
    """A token bucket for each of the callers that asked last.

    Args:
        per_minute: what a bucket holds, and what flows into it in a minute.
        most: callers remembered; beyond it the one that asked longest ago is forgotten.
    """

    def __init__(self, per_minute: int, most: int = MOST_CALLERS) -> None:
        self._full = float(per_minute)
        self._per_s = per_minute / 60
        self._most = most
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable, at_s: float) -> float:
        """Take one; return 0, or the seconds until there is one again.

        Args:
            at_s: now, in monotonic seconds.
        """
        left, since_s = self._left.pop(caller, (self._full, at_s))
        left = min(self._full, left + (at_s - since_s) * self._per_s)
        short = max(0.0, 1.0 - left)
        self._left[caller] = (left if short else left - 1.0, at_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return short / self._per_s

    def __len__(self) -> int:
        return len(self._left)
