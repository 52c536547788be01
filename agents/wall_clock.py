"""What time is it? Processes ask here; folds are told."""

import time


def wall_ms() -> int:
    """The wall clock, in Unix ms."""
    return time.time_ns() // 1_000_000
