"""What does chance say about one person, customer or robot? Each has dice of its own, thrown by nobody else.

So that what one visitor does never depends on who else came, nor on when anybody looked.
"""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from math import exp
from typing import TypeVar

from streams.simulator.agenda import Dice

T = TypeVar("T")


def dice_of(*names: object) -> Dice:
    """The dice of whom the names say."""
    return Dice(int.from_bytes(_digest(names), "big"))


def pseudonym(prefix: str, *names: object) -> str:
    """What the collector would call a visitor or customer: the prefix and 24 hexadecimal digits."""
    return prefix + _digest(names).hex()


def _digest(names: tuple[object, ...]) -> bytes:
    return blake2b("\x1f".join(map(str, names)).encode(), digest_size=12).digest()


def pick(dice: Dice, things: Sequence[T], cumulated: Sequence[float]) -> T:
    """One of them, by cumulated weights."""
    return things[min(bisect_right(cumulated, dice.random() * cumulated[-1]), len(things) - 1)]


def weighted(dice: Dice, things: Sequence[tuple[T, float]]) -> T:
    """One of them, by the weight beside each."""
    return pick(dice, [thing for thing, _ in things], list(accumulate(weight for _, weight in things)))


def any_of(dice: Dice, things: Sequence[T]) -> T:
    """One of them, all alike."""
    return things[int(dice.random() * len(things))]


def poisson(dice: Dice, mean: float) -> int:
    """How often something happens that happens so often on average (Knuth's method: for small means)."""
    least, product, count = exp(-mean), dice.random(), 0
    while product > least:
        product *= dice.random()
        count += 1
    return count
