"""Inputs for the rows of the table: from each row's own samples, domain and fill."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from reference_engine.ops.opdef import OpDef
from tests.reference_engine.more_samples import FILLS, MORE

#: shapes for elementwise rows, by number of inputs: plain, broadcast, 0-d, empty
ELEMENTWISE: dict[int, list[tuple[tuple[int, ...], ...]]] = {
    1: [((2, 3),), ((),), ((0, 2),)],
    2: [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2,)), ((2, 0), (1,))],
    3: [((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), ())],
}


def samples(op: OpDef) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """A row's own samples and those of ``more_samples``; every elementwise row has some."""
    found = [*op.facts.samples, *MORE.get(op.name, ())]
    if found or op.kind != "elementwise":
        return found
    return [(shapes, {}) for shapes in ELEMENTWISE[len(op.inputs)]]


def fill_of(op: OpDef, name: str) -> str:
    """How an input is filled."""
    return FILLS.get(op.name, op.facts.fill).get(name, "")


def inputs(op: OpDef, sample: tuple[tuple[Any, ...], dict[str, Any]], kind: str) -> list[Any]:
    """NumPy arrays (and numbers and None, as the sample has them) of a dtype."""
    shapes, params = sample
    rng = np.random.default_rng(zlib.crc32(repr((op.name, sample, kind)).encode()))
    names = [n.lstrip("*") for n in op.inputs]
    made: list[Any] = []
    for i, shape in enumerate(shapes):
        name = names[min(i, len(names) - 1)]
        if not isinstance(shape, tuple):
            made.append(shape)
        else:
            made.append(np.asarray(_fill(op, name, shape, params, made, rng, kind)))
    return made


def _fill(
    op: OpDef, name: str, shape: tuple[int, ...], params: dict[str, Any], before: list[Any],
    rng: np.random.Generator, kind: str,
) -> Any:  # fmt: skip
    fill, _, of = fill_of(op, name).partition(":")
    if fill == "bool":
        return rng.random(shape) < 0.5
    if fill == "below":
        return rng.integers(0, int(of), shape)
    if fill in ("index", "permutation"):
        return _indices(fill, of, shape, params, before, rng)
    if fill in ("positive-definite", "hermitian"):
        a = _numbers(shape, rng, kind)
        return a @ np.swapaxes(a.conj(), -1, -2) + 2 * np.eye(shape[-1], dtype=kind)
    if fill == "over-2":
        return np.asarray(rng.uniform(2, 4, shape)).astype(kind)
    if fill in ("unit", "constant"):
        return np.asarray(rng.uniform(0.1, 0.9, shape)).astype(kind)
    if kind.startswith("complex"):
        return _numbers(shape, rng, kind)
    low, high = op.facts.domain.get(name, (-np.inf, np.inf))
    # other numbers for another input: no ties between them
    return _real(shape, rng, low, high, len(before)).astype(kind)


def _numbers(shape: tuple[int, ...], rng: np.random.Generator, kind: str) -> Any:
    real = _real(shape, rng, -np.inf, np.inf)
    if kind.startswith("complex"):
        return (real + 1j * _real(shape, rng, -np.inf, np.inf)).astype(kind)
    return real.astype(kind)


def _real(
    shape: tuple[int, ...], rng: np.random.Generator, low: float, high: float, shift: int = 0
) -> Any:
    """Distinct numbers in the open interval, away from each other, 0, integers and halves."""
    n = int(np.prod(shape))
    a, b = (
        max(low, -2.0 if high == np.inf else high - 3),
        min(high, 2.0 if low == -np.inf else low + 3),
    )
    grid = np.linspace(a, b, n + 2)[1:-1] + (0.013 + 0.1 * shift) * (b - a) / (n + 2)
    near = np.abs(grid * 2 - np.round(grid * 2)) < 0.02
    return rng.permutation(grid + near * 0.03 * min(1.0, b - a)).reshape(shape)


def _indices(
    fill: str, of: str, shape: tuple[int, ...], params: dict[str, Any], before: list[Any],
    rng: np.random.Generator,
) -> Any:  # fmt: skip
    first = before[0]
    n = first.size if of == "all" else first.shape[params[of] if of else 0] if first.ndim else 1
    if fill == "permutation":  # no two elements go to the same place
        dim = params[of] % first.ndim
        rows = np.stack([rng.permutation(n) for _ in range(int(np.prod(shape)))], 0)
        picked = rows[: int(np.prod(shape) // shape[dim]), : shape[dim]]
        moved = np.moveaxis(np.empty(shape), dim, -1).shape
        return np.ascontiguousarray(np.moveaxis(picked.reshape(moved), -1, dim))
    return rng.integers(0, n, shape)


def cotangent(shape: tuple[int, ...], kind: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    out = rng.uniform(-1, 1, shape)
    if np.dtype(kind).kind == "c":
        out = out + 1j * rng.uniform(-1, 1, shape)
    return np.asarray(out).astype(kind)


def cases(table: dict[str, OpDef]) -> Iterator[tuple[str, int]]:
    """(name, number of the sample) of every row that a user can call."""
    for name, op in table.items():
        if not name.split(".")[-1].startswith("_"):
            for i in range(len(samples(op))):
                yield name, i
