"""Are the targets reached that a benchmark's results name?

Results say so themselves: {"targets": {"p99_ms <= 100": true, ...}}, at any depth.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

CHECK = "end with exit code 1 if a target is missed (a machine that others share is noisy)"
"""What the option `--check` is for."""


def missed(found: Mapping[str, object], within: str = "") -> list[str]:
    """The targets that are not reached, each with the part of the results that names it.

    >>> missed({"wall": {"targets": {"p99_ms <= 100": False, "no gaps": True}}, "machine": {"cores": 2}})
    ['wall: p99_ms <= 100']
    """
    out = []
    for name, part in found.items():
        if isinstance(part, Mapping):
            is_told = name == "targets"
            out += [f"{within}{target}" for target, is_reached in part.items() if is_told and not is_reached]
            out += [] if is_told else missed(part, f"{within}{name}: ")
    return out


def exit_code(found: Mapping[str, object], check: bool) -> int:
    """What a program ends with; targets that are missed are said in any case."""
    targets = missed(found)
    if targets:
        print("missed:", *targets, sep="\n  ", file=sys.stderr, flush=True)
    return 1 if check and targets else 0
