"""The table of operations as a document: what each row says, by family."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from reference_engine.ops.opdef import OpDef
from reference_engine.ops.table import TABLE

_INTRODUCTION = """\
# Operations

The reference engine's table, from which its forward, reverse and higher-order derivatives follow;
written by `autograd-conformance spec --ops`. A row's kind says what its derivative follows from:
*elementwise* from partial derivatives, *linear* from a transpose, *bilinear* from one vjp for each
operand, *own* from vjps written out, *composite* from the operations it is made of;
*nondiff* has none. The domain is where the function is real and differentiable; at a kink its
derivative is PyTorch's choice among the subgradients.

"""


def markdown() -> str:
    """All operations that users can call, as a Markdown table."""
    rows = [op for name, op in sorted(TABLE.items()) if not name.split(".")[-1].startswith("_")]
    lines = [
        f"{len(rows)} operations.\n",
        "| Operation | Arguments | Kind | Differentiable in | Complex | Domain and kinks | Also |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(op))} |" for op in rows),
    ]
    return _INTRODUCTION + "\n".join(lines) + "\n"


def _cells(op: OpDef) -> Iterator[str]:
    yield f"`{op.name}`"
    yield f"`{', '.join(op.order)}`"
    yield op.kind
    derived = [f"`{n}`" for n in op.inputs if n.lstrip("*") in op.rules]
    yield "what it is made of" if op.kind == "composite" else ", ".join(derived) or "—"
    yield "yes" if op.facts.complex else "no"
    yield "; ".join(_points(op)) or "—"
    traits = ["view"] * op.view + ["in place"] * op.inplace
    yield ", ".join([*(f"`{alias}`" for alias in op.aliases), *traits]) or "—"


def _points(op: OpDef) -> Iterator[str]:
    for name, (low, high) in op.facts.domain.items():
        yield f"{name} in ({_number(low)}, {_number(high)})"
    kinks = op.facts.kinks
    if isinstance(kinks, str):
        yield f"kinks at {kinks}"
        return
    for name, places in kinks.items():
        where = places if isinstance(places, str) else ", ".join(map(_number, places))
        yield f"kinks at {name} = {where}"


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{'−' if value < 0 else ''}{'∞' if abs(value) == inf else f'{abs(value):.4g}'}"
