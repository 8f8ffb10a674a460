"""Matrix products, contractions, inverses and determinants."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from reference_engine.backends.base import of_array
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import Sample, asking, bilinear, composite, on, own

# rows are laid out by hand
# fmt: off


# products, and sums with a product ----------------------------------------------------------------
def _product(xp: Any, name: str, x: Any, other: Any, ranks: tuple[int, int]) -> Any:
    """matmul of operands with just these numbers of dimensions; RuntimeError for others."""
    batch = 1 if min(ranks) == 3 else 0
    fits = (x.ndim, other.ndim) == ranks and x.shape[-1] == other.shape[-2 if ranks[1] > 1 else -1]
    if not fits or x.shape[:batch] != other.shape[:batch]:
        raise RuntimeError(
            f"{name} needs tensors of {ranks[0]} and {ranks[1]} dimensions with matching sizes, "
            f"got shapes {list(x.shape)} and {list(other.shape)}")
    if x.dtype != other.dtype:
        raise RuntimeError(f"{name} needs operands of one dtype, got {x.dtype} and {other.dtype}")
    return xp.matmul(x, other)


def _outer(F: Any, x: Any, other: Any) -> Any:
    return F.unsqueeze(x, dim=-1) * F.unsqueeze(other, dim=-2)


def _scaled(v: Any, factor: Any) -> Any:
    return v if factor == 1 else v * factor


def _rows(name: str, ranks: tuple[int, int], shapes: Any, names: str, to_first: Any, to_second: Any,
          plus: str = "", plus_names: str = "", *plus_samples: Sample) -> None:
    """A product of operands ``x`` and ``names``, whose vjps are given, and ``plus``: beta times an
    array plus alpha times the product.
    """
    bilinear(name, lambda xp, x, other: _product(xp, name, x, other, ranks), samples=[on(*shapes)],
             inputs=("x", names), order=("x", names), vjp_x=asking(to_first, "g", names),
             **{f"vjp_{names}": asking(to_second, "g", "x")})
    if not plus:
        return
    inputs = first, second = plus_names.split()

    def forward(xp: Any, x: Any, one: Any, two: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        made = _scaled(_product(xp, plus, one, two, ranks), alpha)
        # beta = 0 ignores x, nan or not
        out = made if beta == 0 else _scaled(x, beta) + made
        if out.shape != made.shape:
            raise RuntimeError(
                f"{plus}: input of shape {list(x.shape)} does not broadcast to {list(made.shape)}")
        return out

    def vjp(rule: Any, other: str) -> Any:
        return asking(lambda F, g, v, alpha: _scaled(rule(F, g, v), alpha.conjugate()), "g", other,
                       "alpha")

    def jvp(F: Any, t: Any, beta: Any, a: Any, b: Any, t_a: Any, t_b: Any, alpha: Any) -> Any:
        run = getattr(F, name)
        return _scaled(t, beta) + _scaled(run(t_a, b) + run(a, t_b), alpha)

    own(plus, forward, inputs=("x", *inputs), order=("x", *inputs, "beta", "alpha"), inplace=True,
        samples=plus_samples, vjp_x=lambda F, g, beta: _scaled(g, beta.conjugate()),
        jvp=asking(jvp, "t_x", "beta", *inputs, f"t_{first}", f"t_{second}", "alpha"),
        **{f"vjp_{first}": vjp(to_first, second), f"vjp_{second}": vjp(to_second, first)})


_rows("mm", (2, 2), ((2, 3), (3, 4)), "mat2", lambda F, g, b: F.mm(g, F.mH(b)),
      lambda F, g, a: F.mm(F.mH(a), g), "addmm", "mat1 mat2", on((2, 4), (2, 3), (3, 4)),
      on((4,), (2, 3), (3, 4), beta=2, alpha=-0.5))
_rows("bmm", (3, 3), ((2, 2, 3), (2, 3, 4)), "mat2", lambda F, g, b: F.bmm(g, F.mH(b)),
      lambda F, g, a: F.bmm(F.mH(a), g), "baddbmm", "batch1 batch2",
      on((2, 2, 4), (2, 2, 3), (2, 3, 4)), on((4,), (2, 2, 3), (2, 3, 4), beta=2, alpha=-0.5))
_rows("mv", (2, 1), ((2, 3), (3,)), "vec", lambda F, g, b: _outer(F, g, F.conj(b)),
      lambda F, g, a: F.mv(F.mH(a), g), "addmv", "mat vec", on((2,), (2, 3), (3,)),
      on((), (2, 3), (3,), beta=2, alpha=-0.5))
_rows("dot", (1, 1), ((3,), (3,)), "tensor", lambda F, g, b: g * F.conj(b),
      lambda F, g, a: g * F.conj(a))


def _matmul(F: Any, x: Any, other: Any) -> Any:
    """As torch.matmul: 1-d operands are vectors, leading dimensions broadcast."""
    if not x.ndim or not other.ndim:
        raise RuntimeError(
            "matmul needs tensors with at least one dimension, got a 0-dimensional one")
    plain = {(2, 2): "mm", (1, 1): "dot", (2, 1): "mv"}.get((x.ndim, other.ndim))
    if plain is not None:
        return getattr(F, plain)(x, other)
    # products are nobody's views: _unsafe_view gives them their shapes
    if x.ndim == 1:
        y = F.matmul(F.unsqueeze(x, dim=0), other)
        return F._unsafe_view(y, shape=(*y.shape[:-2], y.shape[-1]))
    if other.ndim == 1:
        y = F.matmul(x, F.unsqueeze(other, dim=1))
        return F._unsafe_view(y, shape=y.shape[:-1])
    if other.ndim == 2 and x.shape[-1] == other.shape[0]:
        rows = F.reshape(x, shape=(prod(x.shape[:-1]), x.shape[-1]))
        return F._unsafe_view(F.mm(rows, other), shape=(*x.shape[:-1], other.shape[1]))
    batch = broadcast_shapes(x.shape[:-2], other.shape[:-2])
    left, right = (F.reshape(F.expand(v, size=(*batch, *v.shape[-2:])),
                             shape=(prod(batch), *v.shape[-2:])) for v in (x, other))
    return F._unsafe_view(F.bmm(left, right), shape=(*batch, x.shape[-2], other.shape[-1]))


composite("vdot", lambda F, x, other: F.dot(F.conj(x), other), samples=[on((3,), (3,))])
composite("inner", lambda F, x, other: x * other if not (x.ndim and other.ndim) else
          F.tensordot(x, other, dims=((-1,), (-1,))), samples=[on((2, 3), (4, 3))])
composite("outer", lambda F, x, vec2: _outer(F, x, F.reshape(vec2, shape=(-1,))), aliases=("ger",),
          samples=[on((2,), (3,))])
composite("matmul", _matmul, aliases=("linalg.matmul",), samples=[
    on((2, 3), (3, 4)), on((3,), (3,)), on((2, 3), (3,)), on((3,), (3, 2)), on((2, 2, 3), (3, 4)),
    on((2, 1, 2, 3), (3, 3, 2)), on((3,), (2, 3, 4)), on((0, 3), (3, 2))])


# contractions -----------------------------------------------------------------------------------
def _tensordot(F: Any, x: Any, other: Any, dims: Any = 2) -> Any:
    """Sums the products over pairs of dimensions: einsum with a letter for each dimension."""
    dims = (range(x.ndim - dims, x.ndim), range(dims)) if isinstance(dims, int) else dims
    xs, others = ([axis(d, v.ndim) for d in ((of,) if isinstance(of, int) else of)]
                  for of, v in zip(dims, (x, other), strict=True))
    p, q = ([chr(start + d) for d in range(v.ndim)] for start, v in ((200, x), (400, other)))
    for d, e in zip(xs, others, strict=True):
        q[e] = p[d]
    return _pair(F, "".join(p), x, "".join(q), other, {*p} ^ {*q})[1]


def _einsum(F: Any, equation: str, operands: Any) -> Any:
    """Einstein's convention, two operands at a time; letters that end there are summed at once."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(
            f"einsum {equation!r} has {len(terms)} terms for {len(operands)} operands")
    hidden = [x.ndim - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True)]
    dots = max((n for n, t in zip(hidden, terms, strict=True) if "..." in t), default=0)
    # letters for what an ellipsis stands for, aligned at the end
    spare = "".join(chr(c) for c in range(0x391, 0x391 + dots))
    if not arrow:
        once = (c for c in sorted(set(left) - set(",.")) if left.count(c) == 1)
        result = "..." * (dots > 0) + "".join(once)
    result = result.replace("...", spare)
    parts = []
    for term, n, x in zip(terms, hidden, operands, strict=True):
        term = term.replace("...", spare[len(spare) - n :])
        if len(term) != x.ndim:
            raise RuntimeError(
                f"einsum term {term!r} does not fit a tensor of shape {list(x.shape)}")
        parts.append(_diagonals(F, term, x))
    while len(parts) > 1:
        parts[:2] = [_pair(F, *parts[0], *parts[1], set(result).union(*(t for t, _ in parts[2:])))]
    term, x = _summed(F, *parts[0], set(result))
    return F.permute(x, dims=tuple(term.index(c) for c in result))


def _diagonals(F: Any, term: str, x: Any) -> tuple[str, Any]:
    """A letter that stands twice in one term takes the diagonal."""
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            a = term.index(c)
            b = term.index(c, a + 1)
            x = F.diagonal(x, dim1=a, dim2=b)
            term = term[:a] + term[a + 1 : b] + term[b + 1 :] + c
    return term, x


def _summed(F: Any, term: str, x: Any, keep: set[str]) -> tuple[str, Any]:
    """Without the letters that nothing needs."""
    gone = tuple(d for d, c in enumerate(term) if c not in keep)
    return "".join(c for c in term if c in keep), F.sum(x, dim=gone) if gone else x


def _pair(F: Any, p: str, x: Any, q: str, other: Any, keep: set[str]) -> tuple[str, Any]:
    """Contracts two operands as a batched matrix product."""
    pairs = [*zip(p, x.shape, strict=True), *zip(q, other.shape, strict=True)]
    size = dict.fromkeys(p + q, 1) | {c: n for c, n in pairs if n != 1}
    (p, x), (q, other) = _summed(F, p, x, keep | {*q}), _summed(F, q, other, keep | {*p})
    batch = [c for c in p if c in q and c in keep]
    inner = [c for c in p if c in q and c not in keep]
    free_p, free_q = [c for c in p if c not in q], [c for c in q if c not in p]

    def laid(term: str, v: Any, *groups: Sequence[str]) -> Any:
        order = [c for group in groups for c in group]
        v = F.expand(F.permute(v, dims=tuple(term.index(c) for c in order)),
                     size=tuple(size[c] for c in order))
        return F.reshape(v, shape=tuple(prod(size[c] for c in group) for group in groups))

    made = F.bmm(laid(p, x, batch, free_p, inner), laid(q, other, batch, inner, free_q))
    term = "".join((*batch, *free_p, *free_q))
    return term, F.reshape(made, shape=tuple(size[c] for c in term))


def _kron(F: Any, x: Any, other: Any) -> Any:
    ndim = max(x.ndim, other.ndim)
    a, b = ((1,) * (ndim - v.ndim) + tuple(v.shape) for v in (x, other))
    left = F.reshape(x, shape=tuple(n for m in a for n in (m, 1)))
    right = F.reshape(other, shape=tuple(n for m in b for n in (1, m)))
    return F.reshape(left * right, shape=tuple(m * n for m, n in zip(a, b, strict=True)))


composite("tensordot", _tensordot, samples=[
    on((2, 3, 4), (3, 4, 2)), on((2, 3), (4, 2), dims=((0,), (1,)))])
composite("einsum", _einsum, methods=(), order=("equation", "*operands"))
composite("trace", lambda F, x: F.sum(F.diagonal(x)), samples=[on((2, 3))])
composite("kron", _kron, samples=[on((2, 3), (3, 2)), on((2,), (3, 2))])


# inverses and determinants ------------------------------------------------------------------------
def _cofactors(xp: Any, x: Any) -> Any:
    """The derivatives of det(x), for singular x too: with x = U S Vᴴ, det(U) det(Vᴴ) times the
    conjugate of U S' Vᴴ, S' holding the products of the other singular values.
    """
    n = x.shape[-1]
    if not n:
        return xp.copy(x)
    u, s, vh = xp.linalg.svd(x)
    rest = [xp.prod(s[..., [k for k in range(n) if k != i]], axis=-1) for i in range(n)]
    turn = xp.linalg.det(u) * xp.linalg.det(vh)
    return turn[..., None, None] * xp.conj((u * xp.stack(rest, axis=-1)[..., None, :]) @ vh)


def _minor_places(n: int) -> tuple[Any, ...]:
    """The index of the minor of each element of n × n matrices."""
    left = np.array([[k for k in range(n) if k != i] for i in range(n)], int).reshape(n, n - 1)
    return ..., left[:, None, :, None], left[None, :, None, :]


def _regular(x: Any) -> bool:
    """Whether a matrix, or each of them, is far from singular."""
    raw = getattr(x, "_raw", x)
    xp = of_array(raw)
    if xp.batched or 0 in raw.shape:
        return True
    s = xp.linalg.svd(raw)[1]
    return bool(xp.all(s[..., -1] > s[..., 0] * float(xp.finfo(raw.dtype).eps) ** 0.5))


def _signed_slopes(F: Any, x: Any, places: Any) -> Any:
    """The derivatives of each cofactor by the elements of its minor."""
    rows, columns = np.indices(x.shape[-2:])
    signs = F._numbers_of(x, values=(1 - (rows + columns) % 2 * 2).tolist())
    return F._cofactors(F._index(x, index=places)) * signs[..., None, None]


def _cofactors_vjp(F: Any, g: Any, x: Any, y: Any) -> Any:
    """From y = det(x) x⁻ᵀ; where x is singular, from each element's minor, whose determinant it is
    up to the sign.
    """
    if not _regular(x):
        places = _minor_places(x.shape[-1])
        spread = g[..., None, None] * F.conj(_signed_slopes(F, x, places))
        return F._index_sum(spread, size=tuple(x.shape), index=places)
    inverse, y = F.mH(F.linalg_inv(x)), F.conj(y)
    return inverse * F.sum(g * y, dim=(-2, -1), keepdim=True) - y @ F.mT(g) @ inverse


def _solve(xp: Any, A: Any, B: Any) -> Any:
    """Of matrices, never of vectors; batches broadcast."""
    batch = broadcast_shapes(tuple(A.shape[:-2]), tuple(B.shape[:-2]))
    return xp.linalg.solve(*(xp.expand(v, (*batch, *v.shape[-2:])) for v in (A, B)))


def _linalg_solve(F: Any, A: Any, B: Any, *, left: bool = True) -> Any:
    """X with AX = B, or XA = B for ``left=False``; B is a vector where it has no columns."""
    if not left:
        return F.mT(F.linalg_solve(F.mT(A), F.mT(B)))
    if B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1])):
        return F.squeeze(F._solve(A, F.unsqueeze(B, dim=-1)), dim=-1)
    return F._solve(A, B)


_SQUARE: Any = {"samples": [on((2, 2)), on((2, 3, 3))]}
_DEFINITE: Any = _SQUARE | {"fill": {"x": "positive-definite"}}
own("linalg.inv", lambda xp, x: xp.linalg.inv(x), node="LinalgInvExBackward0", aliases=("inverse",),
    vjp_x=lambda F, g, y: -(F.mH(y) @ (g @ F.mH(y))), jvp=lambda F, y, t_x: -(y @ (t_x @ y)),
    **_DEFINITE)
own("_cofactors", _cofactors, vjp_x=_cofactors_vjp, **_SQUARE)
own("linalg.det", lambda xp, x: xp.linalg.det(x), aliases=("det",), **_DEFINITE,
    vjp_x=lambda F, g, x: g[..., None, None] * F.conj(F._cofactors(x)),
    jvp=lambda F, x, t_x: F.sum(F._cofactors(x) * t_x, dim=(-2, -1)))
own("_solve", _solve, node="LinalgSolveExBackward0",
    vjp_A=lambda F, g, A, y: -(F._solve(F.mH(A), g) @ F.mH(y)),
    vjp_B=lambda F, g, A: F._solve(F.mH(A), g),
    jvp=lambda F, A, y, t_A, t_B: F._solve(A, t_B - t_A @ y),
    fill={"A": "positive-definite"}, samples=[on((2, 3, 3), (2, 3, 2))])
composite("linalg.solve", _linalg_solve, fill={"A": "positive-definite"}, samples=[
    on((3, 3), (3, 2)), on((3, 3), (3,)), on((2, 3, 3), (2, 3)), on((2, 3, 3), (3, 1))])
