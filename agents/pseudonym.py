"""Under which name may a contact be shown? HMAC-SHA-256 of its id with a secret key, shortened.

The same contact has the same pseudonym as long as the key is the same; nobody without the key can tell whose it is,
or try out the few numbers that phones have. Refuses to know who is listed, and why.
"""

import hmac
import secrets

from schemas.drill import Listed

_MOST_KNOWN = 50_000
_DIGITS = 10
_KEY_BYTES = 32


class Pseudonyms:
    """Pseudonyms with one key; without a given one, with a random key of this process."""

    def __init__(self, key: str | None = None) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES) if key is None else key.encode()
        self._known: dict[str, str] = {}
        """Those made lately: the same contacts are listed again and again."""

    def of(self, contact_id: str) -> str:
        """The pseudonym of a contact: ten hexadecimal digits."""
        known = self._known.get(contact_id)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            digest = hmac.digest(self._key, contact_id.encode("utf-8", "surrogatepass"), "sha256")
            known = self._known[contact_id] = digest.hex()[:_DIGITS]
        return known

    def listed(self, contacts: Listed) -> Listed:
        """The same contacts under their pseudonyms."""
        return Listed(
            [(self.of(contact), queued_ms) for contact, queued_ms in contacts.waiting],
            [(self.of(contact), queued_ms, left_ms) for contact, queued_ms, left_ms in contacts.abandoned],
        )
