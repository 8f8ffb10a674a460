"""The catalogue: facts of operations that generating and judging programs both need.

A row says what kind of operands an operation takes, where it is smooth and tame, what interval its
results lie in, and which values its derivative needs. The figures are facts of the functions;
nothing here says how an engine computes them. Names are PyTorch's, without `torch.`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Interval = tuple[float, float]
"""Least and greatest value that the elements of a tensor can have."""
Family = Literal["unary", "number", "binary", "matmul", "reduce", "along", "shape", "join"]
"""How operands and parameters are chosen: `number` takes a Python number as second operand, `along`
keeps the shape and works along a dimension, `join` takes several tensors of one shape."""

REACH = 64.0
"""Generated programs keep every value within ±REACH: no overflow, in float16 either."""
EVERYWHERE: Interval = (-REACH, REACH)
APART = 0.25
"""Distance that generated values keep from a singularity or a kink."""
POSITIVE: Interval = (APART, REACH)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """What is known of one operation; each is a row of its own, the same as no other.

    image: interval of the results, given those of the tensor operands and, where there is one, of
    the number: the second operand, or how many elements are added up (`reduce`, `along`, `matmul`).
    domain: every tensor operand must lie in it. divisor: the last operand is divided by, so it
    keeps away from zero. numbers: Python numbers that may stand for the second operand. saves:
    values without which no derivative rule can do, each `input`, `output` or, for a bilinear
    operation, `other` (the derivative of each operand needs the other one). kinks: points of the
    operand (of the difference of both, where there are two) at which the derivative jumps. view:
    the result shares memory with its operand, or may.
    """

    name: str
    family: Family
    image: Callable[..., Interval]
    domain: Interval = EVERYWHERE
    divisor: bool = False
    numbers: tuple[float, ...] = ()
    saves: frozenset[str] = frozenset()
    kinks: tuple[float, ...] = ()
    view: bool = False

    @property
    def elementwise(self) -> bool:
        """Whether an element of the result depends on one element of each operand only."""
        return self.family in ("unary", "number", "binary")

    def result(
        self, operands: tuple[Interval, ...], number: float | None = None
    ) -> Interval | None:
        """Return the interval of the results, or None where the operation is not smooth and tame.

        Tame: operands in the domain, away from kinks and zero divisors, results within ±REACH.
        """
        return _result(self, operands, number)


@lru_cache(maxsize=16384)  # leaves lie in few intervals, and so do results of one or two operations
def _result(op: Operation, operands: tuple[Interval, ...], number: float | None) -> Interval | None:
    low, high = op.domain
    for operand in operands:
        if operand[0] < low or operand[1] > high:
            return None
    if op.divisor and number is None and not apart(operands[-1], 0.0):
        return None
    if op.kinks:
        about = operands[0] if len(operands) == 1 else difference(*operands[:2])
        if not all(apart(about, kink) for kink in op.kinks):
            return None
    numbers = () if number is None else ((number, number),)
    image = op.image(*operands, *numbers)
    return image if image[0] >= -REACH and image[1] <= REACH else None


def apart(interval: Interval, point: float) -> bool:
    """Whether the interval stays at least `APART` away from the point."""
    return interval[0] >= point + APART or interval[1] <= point - APART


def within(inner: Interval, outer: Interval) -> bool:
    """Whether `inner` lies in `outer`."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def hull(*intervals: Interval) -> Interval:
    """Return the least interval that holds all of them."""
    return min(i[0] for i in intervals), max(i[1] for i in intervals)


def total(a: Interval, b: Interval) -> Interval:
    """Return the interval of sums."""
    return a[0] + b[0], a[1] + b[1]


def difference(a: Interval, b: Interval) -> Interval:
    """Return the interval of differences."""
    return a[0] - b[1], a[1] - b[0]


def product(a: Interval, b: Interval) -> Interval:
    """Return the interval of products."""
    corners = (a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1])
    return min(corners), max(corners)


def _quotient(a: Interval, b: Interval) -> Interval:
    return product(a, (1.0 / b[1], 1.0 / b[0]))


def _products(a: Interval, b: Interval, terms: Interval) -> Interval:
    return product(product(a, b), terms)


def _sums(a: Interval, terms: Interval) -> Interval:
    return product(a, (min(terms[0], 1.0), terms[1]))


def _rising(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    return lambda a: (function(a[0]), function(a[1]))


def _falling(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    return lambda a: (function(a[1]), function(a[0]))


def _magnitude(a: Interval) -> Interval:
    least = 0.0 if a[0] <= 0.0 <= a[1] else min(abs(a[0]), abs(a[1]))
    return least, max(abs(a[0]), abs(a[1]))


def _power(a: Interval, exponent: Interval) -> Interval:
    power = int(exponent[0])
    return _rising(lambda x: x**power)(_magnitude(a) if power % 2 == 0 else a)


def _greater(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), max(a[1], b[1])


def _lesser(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), min(a[1], b[1])


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _constant(low: float, high: float) -> Callable[..., Interval]:
    return lambda *_: (low, high)


def _same(a: Interval, *_: Interval) -> Interval:
    return a


NUMBERS = (2.0, 0.5, -1.0, 3.0, -2.0, 1.5, -0.5, 0.25)
"""Python numbers that stand for a second operand; exact in every binary format."""


_INPUT, _OUTPUT, _OTHER = frozenset({"input"}), frozenset({"output"}), frozenset({"other"})


def _elementwise() -> list[Operation]:
    own, result, mild = _INPUT, _OUTPUT, (-3.0, 3.0)

    def unary(
        name: str,
        image: Callable[[Interval], Interval],
        saves: frozenset[str] = frozenset(),
        domain: Interval = EVERYWHERE,
        kinks: tuple[float, ...] = (),
        divisor: bool = False,
    ) -> Operation:
        return Operation(name, "unary", image, domain, divisor, (), saves, kinks)

    return [
        # the order is the order of simplicity: shrinking moves a program towards the first rows
        Operation("mul", "binary", product, numbers=NUMBERS, saves=_OTHER),
        unary("sin", _constant(-1.0, 1.0), own),
        Operation("add", "binary", total, numbers=NUMBERS),
        unary("exp", _rising(math.exp), result, mild),
        unary("neg", lambda a: (-a[1], -a[0])),
        Operation("sub", "binary", difference, numbers=NUMBERS),
        unary("cos", _constant(-1.0, 1.0), own),
        unary("tanh", _rising(math.tanh), result),
        unary("sigmoid", _rising(_logistic), result),
        Operation("div", "binary", _quotient, divisor=True, numbers=NUMBERS, saves=own | _OTHER),
        unary("log", _rising(math.log), own, POSITIVE),
        unary("sqrt", _rising(math.sqrt), result, POSITIVE),
        unary("square", lambda a: _power(a, (2.0, 2.0)), own),
        Operation("pow", "number", _power, numbers=(2.0, 3.0), saves=own),
        unary("abs", _magnitude, own, kinks=(0.0,)),
        unary("relu", lambda a: _greater(a, (0.0, 0.0)), result, kinks=(0.0,)),
        unary("reciprocal", lambda a: _quotient((1.0, 1.0), a), result, divisor=True),
        unary("rsqrt", _falling(lambda x: 1.0 / math.sqrt(x)), result, POSITIVE),
        unary("expm1", _rising(math.expm1), result, mild),
        unary("log1p", _rising(math.log1p), own, (APART - 1.0, REACH)),
        unary("sinh", _rising(math.sinh), own, mild),
        unary("cosh", lambda a: _rising(math.cosh)(_magnitude(a)), own, mild),
        unary("atan", _rising(math.atan), own),
        unary("erf", _rising(math.erf), own),
        unary("nn.functional.softplus", lambda a: (0.0, 0.7 + max(a[1], 0.0)), own),
        Operation("maximum", "binary", _greater, saves=own, kinks=(0.0,)),
        Operation("minimum", "binary", _lesser, saves=own, kinks=(0.0,)),
    ]  # fmt: skip


def _of_arrays() -> list[Operation]:
    return [
        Operation("sum", "reduce", _sums),
        Operation("mean", "reduce", _same),
        Operation("logsumexp", "reduce", lambda a, n: (a[0], a[1] + math.log(n[1])),
                  saves=_INPUT | _OUTPUT),
        Operation("matmul", "matmul", _products, saves=_OTHER),
        Operation("mm", "matmul", _products, saves=_OTHER),
        Operation("softmax", "along", _constant(0.0, 1.0), saves=_OUTPUT),
        Operation("log_softmax", "along", lambda a, n: (a[0] - a[1] - math.log(n[1]), 0.0),
                  saves=_OUTPUT),
        Operation("cumsum", "along", _sums),
        Operation("transpose", "shape", _same, view=True),
        Operation("reshape", "shape", _same, view=True),
        Operation("unsqueeze", "shape", _same, view=True),
        Operation("squeeze", "shape", _same, view=True),
        Operation("permute", "shape", _same, view=True),
        Operation("narrow", "shape", _same, view=True),
        Operation("select", "shape", _same, view=True),
        Operation("expand", "shape", _same, view=True),
        Operation("cat", "join", hull),
        Operation("stack", "join", hull),
    ]  # fmt: skip


OPERATIONS: Mapping[str, Operation] = {row.name: row for row in _elementwise() + _of_arrays()}
"""Every operation that generated graphs apply, by name, simplest first."""


def share(operations: Collection[str] | None) -> str:
    """Return how many operations of the catalogue an engine has, as `44 of 45`.

    operations: those that its adapter lists; empty where it lists none (`None`).
    """
    if operations is None:
        return ""
    return f"{len(OPERATIONS.keys() & set(operations))} of {len(OPERATIONS)}"
