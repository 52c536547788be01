"""Under which name do customers and visitors go through Queuelight? HMAC-SHA-256 of their ids with a secret key.

Collector and workers share the keys, so that a customer of a call is the customer of a visit. The first key makes new
names; older ones still recognise and find those they made. Refuses to know where keys are kept and who is looked for.
"""

import hmac
import re
import secrets
from collections.abc import Sequence

_MOST_KNOWN = 100_000
_DIGITS = 24
_KEY_ID = re.compile(r"[A-Za-z0-9]{1,16}")
_MADE = re.compile(r"[cv]([A-Za-z0-9]{1,16})_[0-9a-f]{24}")
_LEAST_SECRET = 16


class CustomerKeys:
    """Pseudonyms of a tenant.

    Args:
        keys: (key id, secret), the newest first: letters and digits, and at least 16 characters.

    Raises:
        ValueError: no key, one of another form, or two of the same id.
    """

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        if not keys:
            raise ValueError("expected at least one key")
        for key_id, secret in keys:
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError("expected key ids of 1 to 16 letters and digits")
            if len(secret) < _LEAST_SECRET:
                raise ValueError(f"expected a secret of at least {_LEAST_SECRET} characters for key {key_id}")
        self._keys = [(key_id, secret.encode()) for key_id, secret in keys]
        self._ids = frozenset(key_id for key_id, _ in keys)
        if len(self._ids) < len(keys):
            raise ValueError("expected each key id once")
        self._known: dict[str, str] = {}
        """Those made lately, by kind and id."""

    def of(self, raw: str) -> str:
        """The pseudonym of a customer: "c", the key's id, "_", 24 hexadecimal digits; a pseudonym is its own."""
        return raw if self._is_ours(raw, "c") else self._newest("c", raw)

    def visitor(self, raw: str) -> str:
        """The pseudonym of a visitor: "v" instead of "c". Also of what looks like one: a browser can say anything."""
        return self._newest("v", raw)

    def visitor_of_ours(self, raw: str) -> str:
        """The same for those we trust, who may say the pseudonym itself."""
        return raw if self._is_ours(raw, "v") else self._newest("v", raw)

    def all_of(self, raw: str) -> list[str]:
        """Every pseudonym under which a customer may be kept, by the newest key first."""
        if self._is_ours(raw, "c"):
            return [raw]
        return [_made("c", key_id, secret, raw) for key_id, secret in self._keys]

    def _is_ours(self, raw: str, kind: str) -> bool:
        found = _MADE.fullmatch(raw) if raw.startswith(kind) else None
        return found is not None and found[1] in self._ids

    def _newest(self, kind: str, raw: str) -> str:
        known = self._known.get(kind + raw)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            key_id, secret = self._keys[0]
            known = self._known[kind + raw] = _made(kind, key_id, secret, raw)
        return known


def _made(kind: str, key_id: str, secret: bytes, raw: str) -> str:
    digest = hmac.digest(secret, f"{kind}\0{raw}".encode("utf-8", "surrogatepass"), "sha256")
    return f"{kind}{key_id}_{digest.hex()[:_DIGITS]}"


def keys_in(text: str) -> list[tuple[str, str]]:
    """The keys that a file says: a line each, "ID SECRET", the newest first; a secret alone has the id "1".

    Raises:
        ValueError: a line of another form; the message says which, and not what it holds.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.lstrip().startswith("#"):
            continue
        if len(words) > 2:
            raise ValueError(f"line {number}: expected a key id and a secret, saw {len(words)} words")
        found.append((words[0], words[1]) if len(words) == 2 else ("1", words[0]))
    return found


def random_keys() -> CustomerKeys:
    """Keys that nobody knows and that end with this process."""
    return CustomerKeys([("r", secrets.token_hex(32))])
