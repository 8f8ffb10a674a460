"""Copies of views, stacks, splits and grids: compositions of the rows for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement, pairwise
from math import prod
from typing import Any

import reference_engine.ops.shape  # noqa: F401  (its rows are copied below)
from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import REGISTRY, Sample, composite

_MATRIX: list[Sample] = [(((2, 3),), {})]


def _samples(*params: dict[str, Any], shape: tuple[int, ...] = (2, 3, 4)) -> list[Sample]:
    return [((shape,), p) for p in params]


# what a view shows, in memory of its own ----------------------------------------------------------
def _copying(name: str) -> Any:
    def forward(F: Any, x: Any, **params: Any) -> Any:
        made = getattr(F, name)(x, **params)
        return tuple(F.clone(y) for y in made) if isinstance(made, tuple) else F.clone(made)

    return forward


for _name in ("diagonal", "expand", "narrow", "permute", "select", "slice", "split_with_sizes",
              "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view"):  # fmt: skip
    composite(f"{_name}_copy", _copying(_name), methods=(), order=tuple(
        n.lstrip("*") for n in REGISTRY[_name].order))  # fmt: skip
composite("alias_copy", lambda F, x: F.clone(x), methods=())
composite("resolve_neg", lambda F, x: x)
composite("unsafe_chunk", lambda F, x, chunks, dim=0: tuple(
    F.clone(y) for y in F.chunk(x, chunks=chunks, dim=dim)))  # fmt: skip
composite("unsafe_split", lambda F, x, split_size, dim=0: tuple(F.clone(y) for y in F.split(
    x, split_size_or_sections=split_size, dim=dim)))  # fmt: skip


# a tensor with a part replaced --------------------------------------------------------------------
def with_part(part: str) -> Any:
    """A copy of x in which the part that the view ``part`` shows is ``src``."""

    def forward(F: Any, x: Any, src: Any, **where: Any) -> Any:
        out = F.clone(x)
        getattr(F, part)(out, **where).copy_(src)
        return out

    return forward


composite("diagonal_scatter", with_part("diagonal"), order=("x", "src", "offset", "dim1", "dim2"))
composite("select_scatter", with_part("select"), order=("x", "src", "dim", "index"))
composite("slice_scatter", with_part("slice"), order=("x", "src", "dim", "start", "end", "step"))


# at least so many dimensions, side by side --------------------------------------------------------
def _at_least(n: int) -> Any:
    def forward(F: Any, x: Any) -> Any:
        if n == 1 or x.ndim >= n:
            return F.reshape(x, shape=(1,)) if x.ndim == 0 else x
        if n == 2 or x.ndim == 0:
            return F.reshape(x, shape=(1,) * (n - x.ndim) + tuple(x.shape))
        return F.unsqueeze(x if x.ndim == 2 else F.unsqueeze(x, dim=0), dim=-1)

    return forward


def _each(n: int) -> Any:
    def forward(F: Any, *xs: Any) -> Any:
        made = tuple(_at_least(n)(F, x) for x in xs)
        return made if len(made) > 1 else made[0]

    return forward


def _joined(n: int, dim: int) -> Any:
    def forward(F: Any, *xs: Any) -> Any:
        made = [_at_least(n)(F, x) for x in xs]
        return F.cat(*made, dim=0 if n == 1 and made[0].ndim == 1 else dim)

    return forward


for _n in (1, 2, 3):
    composite(f"atleast_{_n}d", _each(_n), methods=(), samples=_MATRIX)
_PAIR: list[Sample] = [(((2, 3), (2, 3)), {}), (((3,), (3,)), {})]
composite("hstack", _joined(1, 1), methods=(), samples=_PAIR)
composite("vstack", _joined(2, 0), methods=(), aliases=("row_stack",), samples=_PAIR)
composite("dstack", _joined(3, 2), methods=(), samples=_PAIR)
composite("column_stack", lambda F, *xs: F.cat(*(
    F.reshape(x, shape=(-1, 1)) if x.ndim < 2 else x for x in xs), dim=1), methods=(),
    samples=_PAIR)  # fmt: skip


def _block_diag(F: Any, *xs: Any) -> Any:
    blocks = [_at_least(2)(F, x) for x in xs]
    width, left, rows = sum(b.shape[1] for b in blocks), 0, []
    for b in blocks:
        rows.append(F.constant_pad_nd(b, pad=(left, width - left - b.shape[1])))
        left += b.shape[1]
    return F.cat(*rows, dim=0)


composite("block_diag", _block_diag, methods=())


# parts --------------------------------------------------------------------------------------------
def _tensor_split(F: Any, x: Any, indices_or_sections: Any, dim: int = 0) -> Any:
    n, cuts = x.shape[axis(dim, x.ndim)], indices_or_sections
    if hasattr(cuts, "tolist"):
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        sizes = [n // cuts + (i < n % cuts) for i in range(cuts)]
        cuts = [sum(sizes[:i]) for i in range(1, cuts)]
    places = [0, *(min(max(c + n if c < 0 else c, 0), n) for c in cuts), n]
    return tuple(F.slice(x, dim=dim, start=a, end=max(a, b)) for a, b in pairwise(places))


composite("tensor_split", _tensor_split)
composite("hsplit", lambda F, x, indices_or_sections: _tensor_split(
    F, x, indices_or_sections, 0 if x.ndim == 1 else 1))  # fmt: skip
composite("vsplit", lambda F, x, indices_or_sections: _tensor_split(F, x, indices_or_sections, 0))
composite("dsplit", lambda F, x, indices_or_sections: _tensor_split(F, x, indices_or_sections, 2))


# grids and combinations ---------------------------------------------------------------------------
def _meshgrid(F: Any, *xs: Any, indexing: str = "ij") -> Any:
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid got indexing={indexing!r}; expected 'ij' or 'xy'")
    xs = tuple(F.reshape(x, shape=(-1,)) for x in xs)
    swap = indexing == "xy" and len(xs) > 1
    order = (1, 0, *range(2, len(xs))) if swap else tuple(range(len(xs)))
    shape = tuple(xs[i].shape[0] for i in order)
    return tuple(
        F.expand(F.reshape(x, shape=tuple(-1 if order[d] == i else 1 for d in range(len(xs)))),
                 size=shape)
        for i, x in enumerate(xs)
    )  # fmt: skip


def _product_of(F: Any, *xs: Any) -> Any:
    if len(xs) == 1:
        return xs[0]
    return F.stack(*(F.reshape(g, shape=(-1,)) for g in _meshgrid(F, *xs)), dim=1)


def _combinations(F: Any, x: Any, r: int = 2, with_replacement: bool = False) -> Any:
    choose = combinations_with_replacement if with_replacement else combinations
    rows = list(choose(range(x.shape[0]), r))
    if not rows or not r:
        return F.slice(x, end=0) if not r else F.reshape(F.slice(x, end=0), shape=(0, r))
    return F.stack(*(F.stack(*(F.select(x, dim=0, index=i) for i in row)) for row in rows))


composite("meshgrid", _meshgrid, methods=(), samples=[(((2,), (3,)), {"indexing": "ij"})])
composite("cartesian_prod", _product_of, methods=())
composite("combinations", _combinations, samples=_samples({}, {"r": 3}, shape=(4,)))


# turning and repeating ----------------------------------------------------------------------------
def _rot90(F: Any, x: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    a, b = dims
    if k % 4 == 0:
        return F.clone(x)
    if k % 4 == 2:
        return F.flip(x, dims=(a, b))
    return F.transpose(F.flip(x, dims=(b if k % 4 == 1 else a,)), dim0=a, dim1=b)


def _repeat_interleave(F: Any, x: Any, repeats: Any, dim: int | None = None, *,
                       output_size: int | None = None) -> Any:  # fmt: skip
    del output_size  # what the repeats say
    if dim is None:
        x, dim = F.reshape(x, shape=(-1,)), 0
    where = axis(dim, x.ndim)
    if not x.ndim:
        x = F.reshape(x, shape=(1,))
    counts = repeats.tolist() if hasattr(repeats, "tolist") else repeats
    n = x.shape[where]
    counts = [counts] * n if isinstance(counts, int) else counts * n if len(counts) == 1 else counts
    places = [i for i, c in enumerate(counts) for _ in range(c)]
    return F.index_select(x, dim=where, index=F._numbers_of(x, values=tuple(places)))


composite("fliplr", lambda F, x: F.flip(x, dims=(1,)), samples=_MATRIX)
composite("flipud", lambda F, x: F.flip(x, dims=(0,)), samples=_MATRIX)
composite("rot90", _rot90, samples=_samples({}, {"k": 3, "dims": (2, 0)}))
composite("repeat_interleave", _repeat_interleave, samples=_samples({"repeats": 2, "dim": 1}))
composite("diagflat", lambda F, x, offset=0: F.diag_embed(F.reshape(x, shape=(-1,)), offset=offset),
          samples=_MATRIX)  # fmt: skip


def _vander(F: Any, x: Any, N: int | None = None) -> Any:
    x = x if x.ndim else F.reshape(x, shape=(1,))
    n = x.shape[-1] if N is None else N
    powers = [F.ones_like(x)]
    for _ in range(n - 1):
        powers.append(powers[-1] * x)
    return F.stack(*powers, dim=-1)


composite("linalg.vander", _vander, methods=(), samples=[(((3,),), {})])


# differences and areas along a dimension ----------------------------------------------------------
def _diff(F: Any, x: Any, n: int = 1, dim: int = -1, prepend: Any = None,
          append: Any = None) -> Any:  # fmt: skip
    if n == 0:
        return F.clone(x)
    parts = [p for p in (prepend, x, append) if p is not None]
    x = F.cat(*parts, dim=dim) if len(parts) > 1 else x
    for _ in range(min(n, x.shape[dim])):
        m = x.shape[dim]
        x = F.slice(x, dim=dim, start=1) - F.slice(x, dim=dim, end=max(m - 1, 0))
    return x


def _panels(F: Any, y: Any, x: Any, dx: Any, dim: int) -> Any:
    """The areas between neighbours, by the trapezoidal rule."""
    mean = F.slice(y, dim=dim, start=1) + F.slice(y, dim=dim, end=max(y.shape[dim] - 1, 0))
    if x is None:
        return mean * (dx / 2)
    if x.ndim == 1:
        x = F.reshape(x, shape=(-1, *(1,) * (y.ndim - axis(dim, y.ndim) - 1)))
        return mean * _diff(F, x, dim=0) / 2
    return mean * _diff(F, x, dim=dim) / 2


composite("diff", _diff, samples=_samples({}, {"n": 2, "dim": 1}))
composite("trapezoid", lambda F, y, x=None, *, dx=1, dim=-1: F.sum(
    _panels(F, y, x, dx, dim), dim=dim), aliases=("trapz",), methods=(), samples=_MATRIX
    )  # fmt: skip
composite("cumulative_trapezoid", lambda F, y, x=None, *, dx=1, dim=-1: F.cumsum(
    _panels(F, y, x, dx, dim), dim=dim), methods=(), samples=_MATRIX)  # fmt: skip


def _one_gradient(F: Any, x: Any, spacing: Any, dim: int, edge_order: int) -> Any:
    """Second-order differences inside (Fornberg 1988), of order ``edge_order`` at the ends."""
    n = x.shape[dim]
    at = list(spacing) if isinstance(spacing, (list, tuple)) else [i * spacing for i in range(n)]
    rows = []
    for i in range(n):
        near = sorted({min(max(j, 0), n - 1) for j in (i - 1, i, i + 1)})
        if len(near) == 2 and edge_order == 2:
            near = [0, 1, 2] if i == 0 else [n - 3, n - 2, n - 1]
        rows.append(sum(F.narrow(x, dim=dim, start=j, length=1) * w for j, w in zip(
            near, _slope_weights([at[j] for j in near], at[i]), strict=True)))  # fmt: skip
    return F.cat(*rows, dim=dim)


def _slope_weights(points: Sequence[float], at: float) -> list[float]:
    """Derivatives at ``at`` of the Lagrange polynomials through ``points``."""
    weights = []
    for j, p in enumerate(points):
        others = [q for k, q in enumerate(points) if k != j]
        top = sum(prod(at - r for m, r in enumerate(others) if m != k) for k in range(len(others)))
        weights.append(top / prod(p - q for q in others))
    return weights


def _gradient(F: Any, x: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> Any:
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    many = isinstance(spacing, (list, tuple))
    spacing = 1 if spacing is None else spacing
    steps = spacing if many else (spacing,) * len(tuple(dims))
    steps = [s.tolist() if hasattr(s, "tolist") else s for s in steps]
    return tuple(_one_gradient(F, x, s, d, edge_order) for s, d in zip(steps, dims, strict=True))


composite("gradient", _gradient, methods=(), samples=[(((3, 4),), {})])
