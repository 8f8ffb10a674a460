"""Kinks in random programs: operations whose slope jumps, applied wherever their operands lie.

Elsewhere operands keep away from kinks. Here values straddle them, and lie on them where tensors
were zeroed, repeated or compared with themselves. PyTorch and the reference engine have the same
convention at each; what an engine may have instead, `conformance.oracles.kinks` says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from conformance.catalogue import OPERATIONS, Family, Interval, Operation
from conformance.strategies.composer import Composer
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import Params
from conformance.strategies.placement import Placed
from conformance.strategies.slots import back


def _clipped(low: float, high: float, a: Interval) -> Interval:
    return min(max(a[0], low), high), min(max(a[1], low), high)


def _leaky(a: Interval) -> Interval:
    return min(a[0], a[0] / 4), max(a[1], a[1] / 4)


def _row(
    name: str, family: Family, image: Callable[..., Interval], saves: bool = True, **params: float
) -> tuple[Operation, Params]:
    saved = frozenset({"input"}) if saves else frozenset()
    return Operation(name, family, image, saves=saved, kinks=(0.0,)), tuple(params.items())


ROWS: tuple[tuple[Operation, Params], ...] = (
    _row("relu", "unary", OPERATIONS["relu"].image),
    _row("abs", "unary", OPERATIONS["abs"].image),
    _row("maximum", "binary", OPERATIONS["maximum"].image),
    _row("minimum", "binary", OPERATIONS["minimum"].image),
    _row("clamp", "unary", partial(_clipped, -0.5, 0.5), min=-0.5, max=0.5),
    _row("amax", "reduce", lambda a: a, dim=-1),
    _row("amin", "reduce", lambda a: a, dim=-1),
    _row("nn.functional.leaky_relu", "unary", _leaky, negative_slope=0.25),
    _row("nn.functional.hardtanh", "unary", partial(_clipped, -1.0, 1.0)),
    _row("msort", "along", lambda a: a, saves=False),
)
"""The operations, simplest first, and their parameters. `along` takes the first dimension."""


@lru_cache(maxsize=64)
def _known(facts: Facts) -> tuple[tuple[Operation, Params], ...]:
    return tuple(row for row in ROWS if facts.knows(row[0].name))


def kinked(composer: Composer, slot: bytes) -> None:
    """Apply an operation with kinks, whether or not its operands lie at one."""
    rows = _known(composer.facts)
    if not rows:
        return
    operation, params = rows[slot[1] % len(rows)]
    source = back(composer.variables, slot[2])
    operands, shape = [source], source.shape
    if operation.family == "binary":
        alike = [v for v in composer.variables if v.shape == shape]
        operands.append(alike[-1 - slot[3] % len(alike)])
    elif operation.family != "unary" and not shape:
        return
    elif operation.family == "reduce":
        shape = shape[:-1]
    inputs = tuple(composer.variables.index(v) for v in operands)
    bounds = operation.image(*(v.bounds for v in operands))
    composer.put(operation, Placed(inputs, params, shape, bounds))
