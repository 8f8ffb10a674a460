"""Copies: joined, repeated, turned round, cut to a triangle; compositions of these and of views."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations, combinations_with_replacement, pairwise
from math import prod
from typing import Any

import numpy as np

import reference_engine.ops.shape  # noqa: F401  (its rows are copied below)
from reference_engine.backends.dtypes import result_type
from reference_engine.ops.dims import axes, axis
from reference_engine.ops.opdef import REGISTRY, composite, linear, on

# rows are laid out by hand
# fmt: off

_MATRIX = [on((2, 3))]
_CUBE = (2, 3, 4)


# joining ------------------------------------------------------------------------------------------
def _cat(xp: Any, *xs: Any, dim: int = 0) -> Any:
    if not xs:
        raise RuntimeError("cat needs at least one tensor, got none")
    # an empty 1-d tensor joins anything: PyTorch's legacy
    real = [x for x in xs if x.shape != (0,)] or list(xs[:1])
    where = axis(dim, real[0].ndim)
    if len({(*x.shape[:where], -1, *x.shape[where + 1 :]) for x in real}) > 1:
        shapes = [tuple(x.shape) for x in real]
        raise RuntimeError(f"cat along dim {dim} needs equal other sizes, got shapes {shapes}")
    return xp.concat(real, axis=where)


def _cut(F: Any, g: Any, xs_shape: Sequence[Sequence[int]], dim: int) -> list[Any]:
    where, start, parts = axis(dim, g.ndim), 0, []
    for shape in xs_shape:
        length = 0 if tuple(shape) == (0,) else shape[where]
        part = F.narrow(g, where, start, length)
        parts.append(F.reshape(part, (0,)) if tuple(shape) == (0,) else part)
        start += length
    return parts


def _stack(xp: Any, *xs: Any, dim: int = 0) -> Any:
    if len({tuple(x.shape) for x in xs}) != 1:
        raise RuntimeError(f"stack needs tensors of one shape, got {[tuple(x.shape) for x in xs]}")
    return xp.stack(xs, axis=axis(dim, xs[0].ndim + 1))


linear("cat", _cat, transpose=_cut, promotion="promote", methods=(),
       aliases=("concat", "concatenate"),
       samples=[on((2, 3), (1, 3)), on((2, 1), (2, 2), (2, 3), dim=-1)])
linear("stack", _stack, transpose=lambda F, g, dim: F.unbind(g, dim=dim), promotion="promote",
       methods=(), samples=[on((2, 3), (2, 3)), on((3,), (3,), dim=-1)])


# repeating ----------------------------------------------------------------------------------------
def _repeat(xp: Any, x: Any, *, repeats: Sequence[int]) -> Any:
    if len(repeats) < x.ndim:
        raise RuntimeError(f"repeat of {x.ndim} dimensions got only {len(repeats)} numbers")
    return xp.tile(x, tuple(repeats))


def _unrepeat(F: Any, g: Any, x_shape: Sequence[int], repeats: Sequence[int]) -> Any:
    shape = (1,) * (len(repeats) - len(x_shape)) + tuple(x_shape)
    pairs = tuple(n for pair in zip(repeats, shape, strict=True) for n in pair)
    summed = F.sum(F.reshape(g, pairs), dim=tuple(range(0, len(pairs), 2))) if pairs else g
    return F.reshape(summed, x_shape)


linear("repeat", _repeat, transpose=_unrepeat, order=("x", "*repeats"), methods=("repeat",),
       samples=[on((2, 3), repeats=(2, 2)), on((2, 3), repeats=(2, 1, 3))])
composite("tile", lambda F, x, dims: F.repeat(
    x, repeats=(*(1,) * (x.ndim - len(dims)), *dims)), order=("x", "*dims"),
    samples=[on((2, 3), dims=(2,))])


# turning ------------------------------------------------------------------------------------------
# torch has no negative strides: a copy on both backends
linear("flip", lambda xp, x, *, dims: xp.copy(xp.flip(
           x, axis=axes(dims, x.ndim) if dims != () else ())), order=("x", "*dims"),
       transpose=lambda F, g, dims: F.flip(g, dims=dims),
       samples=[on((2, 3), dims=(0, 1)), on((2, 3), dims=(-1,))])
linear("roll", lambda xp, x, *, shifts, dims=None: xp.roll(
           x, shifts, axis=None if dims == () else dims),
       transpose=lambda F, g, shifts, dims: F.roll(
           g, dims=dims, shifts=-shifts if isinstance(shifts, int) else tuple(-s for s in shifts)),
       samples=[on((2, 3), shifts=2), on((2, 3), shifts=(1, -1), dims=(0, 1))])
_TRIANGLE: dict[str, Any] = {
    "inplace": True, "samples": [on((2, 3)), on((2, 3), diagonal=1), on((2, 3), diagonal=-1)]}
linear("tril", lambda xp, x, *, diagonal=0: xp.tril(x, k=diagonal),
       transpose=lambda F, g, diagonal: F.tril(g, diagonal=diagonal), **_TRIANGLE)
linear("triu", lambda xp, x, *, diagonal=0: xp.triu(x, k=diagonal),
       transpose=lambda F, g, diagonal: F.triu(g, diagonal=diagonal), **_TRIANGLE)


# what a view shows, in memory of its own ----------------------------------------------------------
def _copied(F: Any, x: Any, *, view: str, **params: Any) -> Any:
    made = getattr(F, view)(x, **params)
    return tuple(F.clone(y) for y in made) if isinstance(made, tuple) else F.clone(made)


def with_part(F: Any, x: Any, src: Any, *, view: str, **where: Any) -> Any:
    """A copy of x in which the part that a view shows is ``src``."""
    out = F.clone(x)
    getattr(F, view)(out, **where).copy_(src)
    return out


for _name in ("diagonal", "expand", "narrow", "permute", "select", "slice", "split_with_sizes",
              "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view"):
    _order = tuple(n.lstrip("*") for n in REGISTRY[_name].order)
    composite(f"{_name}_copy", partial(_copied, view=_name), methods=(), order=_order)
composite("alias_copy", lambda F, x: F.clone(x), methods=())
composite("resolve_neg", lambda F, x: x)
composite("unsafe_chunk", partial(_copied, view="chunk"), order=("x", "chunks", "dim"))
composite("unsafe_split", lambda F, x, split_size, dim=0: tuple(
    F.clone(y) for y in F.split(x, split_size, dim=dim)))
for _name in ("diagonal", "select", "slice"):
    composite(f"{_name}_scatter", partial(with_part, view=_name),
              order=("x", "src", *REGISTRY[_name].order[1:]))


# side by side -------------------------------------------------------------------------------------
def _least(F: Any, *xs: Any, n: int) -> Any:
    """The tensors with at least n dimensions; one of them alone."""
    shapes = [(*(1,) * (2 - x.ndim), *x.shape, 1) if n == 3 and x.ndim else
              (*(1,) * (n - x.ndim), *x.shape) for x in xs]
    made = [x if x.ndim >= n else F.reshape(x, s) for x, s in zip(xs, shapes, strict=True)]
    return tuple(made) if len(made) > 1 else made[0]


def _joined(F: Any, xs: Sequence[Any], n: int, dim: int) -> Any:
    return F.cat(*(_least(F, x, n=n) for x in xs), dim=dim)


def _block_diag(F: Any, *xs: Any) -> Any:
    # a 0-d tensor counts as one for the dtype, too
    common = result_type((x.dtype for x in xs if x.ndim), (x.dtype for x in xs if not x.ndim), ())
    blocks, left, rows = [_least(F, x.to(common), n=2) for x in xs], 0, []
    width = sum(b.shape[1] for b in blocks)
    for b in blocks:
        rows.append(F.constant_pad_nd(b, pad=(left, width - left - b.shape[1])))
        left += b.shape[1]
    return F.cat(*rows, dim=0)


_PAIR: dict[str, Any] = {"methods": (), "samples": [on((2, 3), (2, 3)), on((3,), (3,))]}
for _n in (1, 2, 3):
    composite(f"atleast_{_n}d", partial(_least, n=_n), methods=(), samples=_MATRIX)
composite("hstack", lambda F, *xs: _joined(F, xs, 1, 1 if xs[0].ndim > 1 else 0), **_PAIR)
composite("vstack", lambda F, *xs: _joined(F, xs, 2, 0), aliases=("row_stack",), **_PAIR)
composite("dstack", lambda F, *xs: _joined(F, xs, 3, 2), **_PAIR)
composite("column_stack", lambda F, *xs: F.cat(*(
    F.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in xs), dim=1), **_PAIR)
composite("block_diag", _block_diag, methods=())


# parts --------------------------------------------------------------------------------------------
def _tensor_split(F: Any, x: Any, indices_or_sections: Any, dim: int = 0) -> Any:
    n, cuts = x.shape[axis(dim, x.ndim)], indices_or_sections
    cuts = cuts.tolist() if hasattr(cuts, "tolist") else cuts
    if isinstance(cuts, int):
        cuts = [i * (n // cuts) + min(i, n % cuts) for i in range(1, cuts)]
    places = [0, *(min(max(c + n if c < 0 else c, 0), n) for c in cuts), n]
    return tuple(F.slice(x, dim=dim, start=a, end=max(a, b)) for a, b in pairwise(places))


def _split_along(F: Any, x: Any, indices_or_sections: Any, *, dim: int) -> Any:
    """hsplit takes the only dimension that there is."""
    return _tensor_split(F, x, indices_or_sections, min(dim, x.ndim - 1) if dim == 1 else dim)


composite("tensor_split", _tensor_split)
for _name, _dim in (("hsplit", 1), ("vsplit", 0), ("dsplit", 2)):
    composite(_name, partial(_split_along, dim=_dim))


# grids and combinations ---------------------------------------------------------------------------
def _meshgrid(F: Any, *xs: Any, indexing: str = "ij") -> Any:
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid got indexing={indexing!r}; expected 'ij' or 'xy'")
    order = list(range(len(xs)))
    if indexing == "xy":
        order[:2] = order[:2][::-1]
    shape = tuple(prod(xs[i].shape) for i in order)
    rows = [F.reshape(x, tuple(-1 if d == i else 1 for d in order)) for i, x in enumerate(xs)]
    return tuple(F.expand(row, size=shape) for row in rows)


def _combinations(F: Any, x: Any, r: int = 2, with_replacement: bool = False) -> Any:
    choose = combinations_with_replacement if with_replacement else combinations
    rows = list(choose(range(x.shape[0]), r))
    places = F._numbers_of(x, values=[i for row in rows for i in row])
    return F.reshape(F.index_select(x, dim=0, index=places), (len(rows), r) if r else (0,))


def _vander(F: Any, x: Any, N: int | None = None) -> Any:
    x = x if x.ndim else F.reshape(x, (1,))
    powers = [F.ones_like(x)]
    for _ in range((x.shape[-1] if N is None else N) - 1):
        powers.append(powers[-1] * x)
    return F.stack(*powers, dim=-1)


composite("meshgrid", _meshgrid, methods=(), samples=[on((2,), (3,), indexing="ij")])
composite("cartesian_prod", lambda F, *xs: xs[0] if len(xs) == 1 else F.stack(*(
    F.reshape(x, (-1,)) for x in _meshgrid(F, *xs)), dim=1), methods=())
composite("combinations", _combinations, samples=[on((4,)), on((4,), r=3)])
composite("linalg.vander", _vander, methods=(), samples=[on((3,))])


# turning and repeating ----------------------------------------------------------------------------
def _rot90(F: Any, x: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    a, b = dims
    turned: tuple[int, ...] = ((), (b,), (a, b), (a,))[k % 4]
    x = F.flip(x, dims=turned) if turned else F.clone(x)
    return F.transpose(x, dim0=a, dim1=b) if k % 2 else x


def _repeat_interleave(F: Any, x: Any, repeats: Any, dim: int | None = None, *,
                       output_size: int | None = None) -> Any:
    """``output_size`` is what the repeats say."""
    if dim is None or not x.ndim:
        x, dim = F.reshape(x, (-1,)), 0
    counts = repeats.tolist() if hasattr(repeats, "tolist") else repeats
    places = np.repeat(np.arange(x.shape[axis(dim, x.ndim)]), counts)
    return F.index_select(x, dim=dim, index=F._numbers_of(x, values=places))


composite("fliplr", lambda F, x: F.flip(x, dims=(1,)), samples=_MATRIX)
composite("flipud", lambda F, x: F.flip(x, dims=(0,)), samples=_MATRIX)
composite("rot90", _rot90, samples=[on(_CUBE), on(_CUBE, k=3, dims=(2, 0))])
composite("repeat_interleave", _repeat_interleave, samples=[on(_CUBE, repeats=2, dim=1)])
composite("diagflat", lambda F, x, offset=0: F.diag_embed(F.reshape(x, (-1,)), offset=offset),
          samples=_MATRIX)


# differences and areas along a dimension ----------------------------------------------------------
def _neighbours(F: Any, x: Any, dim: int) -> tuple[Any, Any]:
    """All elements but the last, and those after them."""
    n = max(x.shape[dim] - 1, 0)
    return F.slice(x, dim=dim, end=n), F.slice(x, dim=dim, start=1)


def _diff(F: Any, x: Any, n: int = 1, dim: int = -1, prepend: Any = None,
          append: Any = None) -> Any:
    if n == 0:
        return F.clone(x)
    parts = [p for p in (prepend, x, append) if p is not None]
    x = F.cat(*parts, dim=dim) if len(parts) > 1 else x
    for _ in range(min(n, x.shape[dim])):
        before, after = _neighbours(F, x, dim)
        x = F.logical_xor(after, before) if str(x.dtype).endswith("bool") else after - before
    return x


def _area(F: Any, y: Any, x: Any = None, *, verb: str, dx: Any = 1, dim: int = -1) -> Any:
    """The areas between neighbours by the trapezoidal rule, added up."""
    before, after = _neighbours(F, y, dim)
    if x is None:
        return getattr(F, verb)((after + before) * (dx / 2), dim=dim)
    along = dim
    if x.ndim == 1:
        x, along = F.reshape(x, (-1, *(1,) * (y.ndim - axis(dim, y.ndim) - 1))), 0
    widths = _diff(F, x, dim=along)
    return getattr(F, verb)((after + before) * widths / 2, dim=dim)


def _one_gradient(F: Any, x: Any, spacing: Any, dim: int, edge_order: Any) -> Any:
    """Second-order differences inside (Fornberg 1988), of order ``edge_order`` at the ends, with
    the weights that NumPy gives each element.
    """
    unit: Any = np.eye(x.shape[dim], dtype=np.result_type(np.asarray(spacing), 1.0))
    weights = np.gradient(unit, spacing, axis=0, edge_order=edge_order)
    rows = (sum(F.narrow(x, dim, j, 1) * row[j].item() for j in np.flatnonzero(row).tolist())
            for row in weights)
    return F.cat(*rows, dim=dim)


def _gradient(F: Any, x: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> Any:
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    spacing = 1 if spacing is None else spacing
    steps = spacing if isinstance(spacing, (list, tuple)) else (spacing,) * len(dims)
    steps = [s.tolist() if hasattr(s, "tolist") else s for s in steps]
    return tuple(_one_gradient(F, x, s, d, edge_order) for s, d in zip(steps, dims, strict=True))


composite("diff", _diff, samples=[on(_CUBE), on(_CUBE, n=2, dim=1)])
_AREA: dict[str, Any] = {"methods": (), "samples": _MATRIX}
composite("trapezoid", partial(_area, verb="sum"), aliases=("trapz",), **_AREA)
composite("cumulative_trapezoid", partial(_area, verb="cumsum"), **_AREA)
composite("gradient", _gradient, methods=(), samples=[on((3, 4))])
