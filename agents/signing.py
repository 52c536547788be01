"""How is a message signed? `X-Queuelight-Signature: t=<Unix seconds>,v1=<HMAC-SHA-256 of "t.body" in hexadecimal>`.

Both ways: what back ends send us, and what we post to them. Refuses to know who has which secret.
"""

import hmac

HEADER = "X-Queuelight-Signature"


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """What the header says of a body that is signed at `at_s` (Unix seconds)."""
    return f"t={at_s},v1={digest(secret, at_s, body)}"


def digest(secret: bytes, at_s: int, body: bytes) -> str:
    """The part after ``v1=``."""
    return hmac.digest(secret, b"%d." % at_s + body, "sha256").hex()
