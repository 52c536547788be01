"""Does the server at the other end have this message? Posts it, signed, until it says yes, never will, or time is up.

Signed as `agents.signing` says; `X-Queuelight-Id` is the same however often a message is sent. Refuses to know what the
message says.
"""

import logging
import random
import threading
import time
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from agents.signing import HEADER, signature

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 10.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
_WORTH_ANOTHER_TRY = frozenset((408, 409, 425, 429))
"""Besides 5xx: answers of a server that may think otherwise later."""


class Posted(StrEnum):
    """What became of a message."""

    TAKEN = "taken"
    REFUSED = "refused"
    GIVEN_UP = "given up"
    STOPPED = "stopped"


class Message(NamedTuple):
    """What is posted; `id` lets the receiver know it again."""

    id: str
    body: bytes


class Webhook:
    """One address that messages are posted to, over one connection; for one thread.

    Args:
        url: http(s)://HOST[:PORT]/path; where no secret is given, nothing is signed.
        secret: the receiver has it, too.
        give_up_s: how long one message is tried.
        stopped: set by whoever wants it to end soon.
    """

    def __init__(self, url: str, secret: bytes | None, give_up_s: float, stopped: threading.Event) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._encrypted = parts.hostname or "", parts.port, parts.scheme == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        self._give_up_s = give_up_s
        self._stopped = stopped
        self._connection: HTTPConnection | None = None
        self.retries = 0
        """How often a message was sent once more."""

    def post(self, message: Message) -> Posted:
        """Send a message until it is taken (2xx), refused (another answer that stays), given up, or stopped."""
        ends_s = time.monotonic() + self._give_up_s
        pause_s = FIRST_PAUSE_S
        while True:
            said = self._tried(message)
            if isinstance(said, int):
                if 200 <= said < 300:
                    return Posted.TAKEN
                if said < 500 and said not in _WORTH_ANOTHER_TRY:
                    log.warning("%s: refused with %d", message.id, said)
                    return Posted.REFUSED
            wait_s = pause_s * random.uniform(0.8, 1.2)
            if time.monotonic() + wait_s > ends_s:
                log.warning("%s: given up after %.0f s: %s", message.id, self._give_up_s, said)
                return Posted.GIVEN_UP
            log.info("%s: %s; trying again in %.1f s", message.id, said, wait_s)
            if self._stopped.wait(wait_s):
                return Posted.STOPPED
            self.retries += 1
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    def _tried(self, message: Message) -> int | str:
        """The status of the answer, or why there was none."""
        at_s = int(time.time())
        headers = {"Content-Type": "application/cloudevents+json", "X-Queuelight-Id": message.id}
        if self._secret is not None:
            headers[HEADER] = signature(self._secret, at_s, message.body)
        try:
            if self._connection is None:
                made = HTTPSConnection if self._encrypted else HTTPConnection
                self._connection = made(self._host, self._port, timeout=ANSWER_WITHIN_S)
            self._connection.request("POST", self._target, message.body, headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            self.close()
            return str(error) or type(error).__name__
        if answer.will_close:
            self.close()
        return answer.status

    def close(self) -> None:
        """Close the connection; the next message opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
