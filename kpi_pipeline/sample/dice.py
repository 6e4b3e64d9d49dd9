"""Chance that falls the same on every machine: `random.Random` seeded by words, and helpers on `.random()`.

Never here: anything about hubs or people; the other methods of `random`, which may change with Python's
version; and exp, log or sin, whose last bit differs from machine to machine.
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def dice(*words: object) -> Random:
    """Dice for one purpose, e.g. dice(seed, "person", 7): one draw more there never shifts another."""
    return Random("/".join(str(word) for word in words))


def whole(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def pick(rng: Random, choices: Sequence[T]) -> T:
    return choices[int(rng.random() * len(choices))]


def weighted(rng: Random, weights: Sequence[float]) -> int:
    """An index, drawn in proportion to its weight."""
    left = rng.random() * sum(weights)
    for index, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return index
    return len(weights) - 1


def code(rng: Random, length: int) -> str:
    """Letters and digits, as a machine would make them up."""
    return "".join(pick(rng, "abcdefghijkmnpqrstuvwxyz23456789") for _ in range(length))
