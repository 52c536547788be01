"""Small recordings made up for tests: three calls' worth of each format."""

import json


def call(contact: str, queue: str = "Sales", at: str = "2026-05-01T10:00:0") -> list[bytes]:
    """A call that waits two seconds, as lines of jsonl."""
    steps: tuple[tuple[str, int, dict[str, str]], ...]
    steps = (("queued", 0, {"queue": queue}), ("answered", 2, {"agent_id": "a-1"}), ("ended", 5, {}))
    return [
        json.dumps(
            {
                "specversion": "1.0",
                "id": f"{contact}/{step}",
                "source": "test",
                "type": f"contact.{step}",
                "time": f"{at}{second}Z",
                "data": {"contact_id": contact, **data},
            }
        ).encode()
        + b"\n"
        for step, second, data in steps
    ]


_COLUMNS = (
    "vru+line", "call_id", "customer_id", "priority", "type", "date", "vru_entry", "vru_exit", "vru_time", "q_start",
    "q_exit", "q_time", "outcome", "ser_start", "ser_exit", "ser_time", "server",
)  # fmt: skip
BANK_HEADER = ("\t".join(_COLUMNS) + "\r\n").encode()


def bank_row(
    outcome: str, call_id: int = 1, q_start: str = "10:00:05", q_time: int = 0, server: str = "NO_SERVER"
) -> bytes:
    """One row of the bank's log."""
    queue = [q_start, "0:00:00", str(q_time)]
    row = ["ZZ0101", str(call_id), "0", "0", "PS", "990301", "10:00:00", "10:00:05", "5", *queue, outcome]
    return "\t".join([*row, "10:00:06", "10:01:06", "60", server]).encode() + b"\r\n"


BANK = b"".join(
    [
        BANK_HEADER,
        bank_row("AGENT", 1, q_start="0:00:00"),
        bank_row("HANG", 2, q_time=30),
        bank_row("HANG", 3, q_start="0:00:00"),
        b"not a row of the bank\r\n",
    ]
)
"""An answer without waiting, an abandon after 30 s, one who left inside the menu, and a line of no use."""
