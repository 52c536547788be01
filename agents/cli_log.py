"""Where do commands log to? Standard error, a line each. Refuses to know what is logged."""

import logging
import sys


def log_to_stderr(level: str) -> None:
    """From now on, what is at least of this level: debug, info, warning or error."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
    )
