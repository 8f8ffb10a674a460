"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from reference_engine.backends.base import of_array
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import Sample, bilinear, composite, linear, own


def _star(F: Any, x: Any) -> Any:
    """The conjugate transpose of the last two dimensions."""
    return F.conj(F.transpose(x, dim0=-2, dim1=-1))


def _product(xp: Any, name: str, x: Any, other: Any, *ranks: int) -> Any:
    """matmul of operands with just these numbers of dimensions; RuntimeError for others."""
    batch = 1 if min(ranks) == 3 else 0
    fits = (x.ndim, other.ndim) == ranks and x.shape[-1] == other.shape[-2 if ranks[1] > 1 else -1]
    if not fits or x.shape[:batch] != other.shape[:batch]:
        raise RuntimeError(
            f"{name} needs tensors of {ranks[0]} and {ranks[1]} dimensions with matching sizes, "
            f"got shapes {list(x.shape)} and {list(other.shape)}"
        )
    if x.dtype != other.dtype:
        raise RuntimeError(f"{name} needs operands of one dtype, got {x.dtype} and {other.dtype}")
    return xp.matmul(x, other)


def _outer(F: Any, x: Any, other: Any) -> Any:
    return F.unsqueeze(x, dim=-1) * F.unsqueeze(other, dim=-2)


bilinear("mm", lambda xp, x, mat2: _product(xp, "mm", x, mat2, 2, 2),
         vjp_x=lambda F, g, mat2: F.mm(g, _star(F, mat2)),
         vjp_mat2=lambda F, g, x: F.mm(_star(F, x), g),
         samples=[(((2, 3), (3, 4)), {})])  # fmt: skip
bilinear("bmm", lambda xp, x, mat2: _product(xp, "bmm", x, mat2, 3, 3),
         vjp_x=lambda F, g, mat2: F.bmm(g, _star(F, mat2)),
         vjp_mat2=lambda F, g, x: F.bmm(_star(F, x), g),
         samples=[(((2, 2, 3), (2, 3, 4)), {})])  # fmt: skip
bilinear("mv", lambda xp, x, vec: _product(xp, "mv", x, vec, 2, 1),
         vjp_x=lambda F, g, vec: _outer(F, g, F.conj(vec)),
         vjp_vec=lambda F, g, x: F.mv(_star(F, x), g), samples=[(((2, 3), (3,)), {})])  # fmt: skip
bilinear("dot", lambda xp, x, tensor: _product(xp, "dot", x, tensor, 1, 1),
         vjp_x=lambda F, g, tensor: g * F.conj(tensor), vjp_tensor=lambda F, g, x: g * F.conj(x),
         samples=[(((3,), (3,)), {})])  # fmt: skip
composite("vdot", lambda F, x, other: F.dot(F.conj(x), other), samples=[(((3,), (3,)), {})])
composite("inner", lambda F, x, other: x * other if not (x.ndim and other.ndim) else
          F.tensordot(x, other, dims=((-1,), (-1,))), samples=[(((2, 3), (4, 3)), {})])  # fmt: skip
composite("outer", lambda F, x, vec2: _outer(F, x, F.reshape(vec2, shape=(-1,))), aliases=("ger",),
          samples=[(((2,), (3,)), {})])  # fmt: skip


def _matmul(F: Any, x: Any, other: Any) -> Any:
    """As torch.matmul: 1-d operands are vectors, leading dimensions broadcast."""
    if not x.ndim or not other.ndim:
        raise RuntimeError(
            "matmul needs tensors with at least one dimension, got a 0-dimensional one"
        )
    ranks = (x.ndim, other.ndim)
    if ranks == (2, 2):
        return F.mm(x, other)
    if ranks == (1, 1):
        return F.dot(x, other)
    if ranks == (2, 1):
        return F.mv(x, other)
    # products are nobody's views: _unsafe_view gives them their shapes
    if ranks == (1, 2):
        return F._unsafe_view(F.mm(F.unsqueeze(x, dim=0), other), shape=other.shape[1:])
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
    left = F.reshape(F.expand(x, size=(*batch, *x.shape[-2:])), shape=(prod(batch), *x.shape[-2:]))
    right = F.reshape(
        F.expand(other, size=(*batch, *other.shape[-2:])), shape=(prod(batch), *other.shape[-2:])
    )
    return F._unsafe_view(F.bmm(left, right), shape=(*batch, x.shape[-2], other.shape[-1]))


composite("matmul", _matmul, aliases=("linalg.matmul",), samples=[
    (((2, 3), (3, 4)), {}), (((3,), (3,)), {}), (((2, 3), (3,)), {}), (((3,), (3, 2)), {}),
    (((2, 2, 3), (3, 4)), {}), (((2, 1, 2, 3), (3, 3, 2)), {}), (((3,), (2, 3, 4)), {}),
    (((0, 3), (3, 2)), {})])  # fmt: skip


# sums with a product ----------------------------------------------------------------------------
def _scaled(v: Any, factor: Any) -> Any:
    return v if factor == 1 else v * factor


def _added(name: str, *ranks: int) -> Any:
    def forward(xp: Any, x: Any, first: Any, second: Any, beta: Any, alpha: Any) -> Any:
        made = _scaled(_product(xp, name, first, second, *ranks), alpha)
        # beta = 0 ignores x, nan or not
        out = made if beta == 0 else _scaled(x, beta) + made
        if out.shape != made.shape:
            raise RuntimeError(
                f"{name}: input of shape {list(x.shape)} does not broadcast to {list(made.shape)}"
            )
        return out

    return forward


def _conjugate(factor: Any) -> Any:
    return factor.conjugate() if isinstance(factor, complex) else factor


_ADDMM, _ADDMV, _BADDBMM = _added("addmm", 2, 2), _added("addmv", 2, 1), _added("baddbmm", 3, 3)
own("addmm", lambda xp, x, mat1, mat2, *, beta=1, alpha=1: _ADDMM(xp, x, mat1, mat2, beta, alpha),
    vjp_x=lambda F, g, beta: _scaled(g, _conjugate(beta)),
    vjp_mat1=lambda F, g, mat2, alpha: _scaled(F.mm(g, _star(F, mat2)), _conjugate(alpha)),
    vjp_mat2=lambda F, g, mat1, alpha: _scaled(F.mm(_star(F, mat1), g), _conjugate(alpha)),
    jvp=lambda F, mat1, mat2, t_x, t_mat1, t_mat2, beta, alpha: _scaled(t_x, beta) + _scaled(
        F.mm(t_mat1, mat2) + F.mm(mat1, t_mat2), alpha), inplace=True,
    samples=[(((2, 4), (2, 3), (3, 4)), {}), (((4,), (2, 3), (3, 4)), {"beta": 2, "alpha": -0.5})],
    )  # fmt: skip
own("addmv", lambda xp, x, mat, vec, *, beta=1, alpha=1: _ADDMV(xp, x, mat, vec, beta, alpha),
    vjp_x=lambda F, g, beta: _scaled(g, _conjugate(beta)),
    vjp_mat=lambda F, g, vec, alpha: _scaled(_outer(F, g, F.conj(vec)), _conjugate(alpha)),
    vjp_vec=lambda F, g, mat, alpha: _scaled(F.mv(_star(F, mat), g), _conjugate(alpha)),
    jvp=lambda F, mat, vec, t_x, t_mat, t_vec, beta, alpha: _scaled(t_x, beta) + _scaled(
        F.mv(t_mat, vec) + F.mv(mat, t_vec), alpha), inplace=True,
    samples=[(((2,), (2, 3), (3,)), {}),
             (((), (2, 3), (3,)), {"beta": 2, "alpha": -0.5})])  # fmt: skip
own("baddbmm", lambda xp, x, batch1, batch2, *, beta=1, alpha=1: _BADDBMM(
        xp, x, batch1, batch2, beta, alpha),
    vjp_x=lambda F, g, beta: _scaled(g, _conjugate(beta)),
    vjp_batch1=lambda F, g, batch2, alpha: _scaled(F.bmm(g, _star(F, batch2)), _conjugate(alpha)),
    vjp_batch2=lambda F, g, batch1, alpha: _scaled(F.bmm(_star(F, batch1), g), _conjugate(alpha)),
    jvp=lambda F, batch1, batch2, t_x, t_batch1, t_batch2, beta, alpha: _scaled(
        t_x, beta) + _scaled(F.bmm(t_batch1, batch2) + F.bmm(batch1, t_batch2), alpha),
    inplace=True,
    samples=[(((2, 2, 4), (2, 2, 3), (2, 3, 4)), {}),
             (((4,), (2, 2, 3), (2, 3, 4)), {"beta": 2, "alpha": -0.5})])  # fmt: skip


# contractions -----------------------------------------------------------------------------------
def _contract(F: Any, x: Any, other: Any, xs: Sequence[int], others: Sequence[int]) -> Any:
    """Sums the products over dimensions ``xs`` of x and ``others`` of other, pairwise."""
    free_x = [d for d in range(x.ndim) if d not in xs]
    free_other = [d for d in range(other.ndim) if d not in others]
    # a size of 1 broadcasts against any: the other operand is summed
    for d, e in zip(xs, others, strict=True):
        if x.shape[d] == 1 and other.shape[e] != 1:
            other = F.sum(other, dim=e, keepdim=True)
        elif other.shape[e] == 1 and x.shape[d] != 1:
            x = F.sum(x, dim=d, keepdim=True)
    inner = prod(x.shape[d] for d in xs)
    left_shape, right_shape = [x.shape[d] for d in free_x], [other.shape[d] for d in free_other]
    left = F.reshape(F.permute(x, dims=(*free_x, *xs)), shape=(prod(left_shape), inner))
    right = F.reshape(
        F.permute(other, dims=(*others, *free_other)), shape=(inner, prod(right_shape))
    )
    return F.reshape(F.mm(left, right), shape=(*left_shape, *right_shape))


def _tensordot(F: Any, x: Any, other: Any, dims: Any = 2) -> Any:
    if isinstance(dims, int):
        dims = (range(x.ndim - dims, x.ndim), range(dims))
    first, second = ((d,) if isinstance(d, int) else d for d in dims)
    return _contract(
        F, x, other, [axis(d, x.ndim) for d in first], [axis(d, other.ndim) for d in second]
    )


def _einsum(F: Any, equation: str, operands: Any) -> Any:
    """Einstein's convention, two operands at a time; letters that end there are summed at once."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(
            f"einsum {equation!r} has {len(terms)} terms for {len(operands)} operands"
        )
    dots = max((x.ndim - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True)
                if "..." in t), default=0)  # fmt: skip
    # letters for what an ellipsis stands for, aligned at the end
    spare = "".join(chr(c) for c in range(0x391, 0x391 + dots))
    if not arrow:
        result = "..." * (dots > 0) + "".join(
            c for c in sorted(set(left) - set(",.")) if left.count(c) == 1)  # fmt: skip
    result = result.replace("...", spare)
    labels, arrays = [], []
    for term, x in zip(terms, operands, strict=True):
        own_dots = x.ndim - len(term.replace("...", ""))
        term = term.replace("...", spare[len(spare) - own_dots :])
        if len(term) != x.ndim:
            raise RuntimeError(
                f"einsum term {term!r} does not fit a tensor of shape {list(x.shape)}"
            )
        term, x = _diagonals(F, term, x)
        labels.append(term)
        arrays.append(x)
    while len(arrays) > 1:
        keep = set(result).union(*labels[2:])
        term, x = _pair(F, labels[0], arrays[0], labels[1], arrays[1], keep)
        labels[:2], arrays[:2] = [term], [x]
    term, x = labels[0], arrays[0]
    gone = tuple(d for d, c in enumerate(term) if c not in result)
    x = F.sum(x, dim=gone) if gone else x
    term = "".join(c for c in term if c in result)
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


def _pair(F: Any, p: str, x: Any, q: str, other: Any, keep: set[str]) -> tuple[str, Any]:
    """Contracts two operands as a batched matrix product."""
    sizes = {
        c: n for t, v in ((p, x), (q, other)) for c, n in zip(t, v.shape, strict=True) if n != 1
    }
    size = {c: sizes.get(c, 1) for c in p + q}
    lone = [(t, v, tuple(d for d, c in enumerate(t) if c not in keep and c not in o))
            for t, v, o in ((p, x, q), (q, other, p))]  # fmt: skip
    (p, x), (q, other) = (
        ("".join(c for d, c in enumerate(t) if d not in gone), F.sum(v, dim=gone) if gone else v)
        for t, v, gone in lone
    )
    batch = [c for c in p if c in q and c in keep]
    inner = [c for c in p if c in q and c not in keep]
    free_p, free_q = [c for c in p if c not in q], [c for c in q if c not in p]

    def laid(term: str, v: Any, *groups: Sequence[str]) -> Any:
        order = [c for group in groups for c in group]
        v = F.expand(F.permute(v, dims=tuple(term.index(c) for c in order)),
                     size=tuple(size[c] for c in order))  # fmt: skip
        return F.reshape(v, shape=tuple(prod(size[c] for c in group) for group in groups))

    made = F.bmm(laid(p, x, batch, free_p, inner), laid(q, other, batch, inner, free_q))
    term = "".join((*batch, *free_p, *free_q))
    return term, F.reshape(made, shape=tuple(size[c] for c in term))


composite("tensordot", _tensordot, samples=[
    (((2, 3, 4), (3, 4, 2)), {}), (((2, 3), (4, 2)), {"dims": ((0,), (1,))})])  # fmt: skip
composite("einsum", _einsum, methods=(), order=("equation", "*operands"))
composite("trace", lambda F, x: F.sum(F.diagonal(x)), samples=[(((2, 3),), {})])


def _kron(F: Any, x: Any, other: Any) -> Any:
    ndim = max(x.ndim, other.ndim)
    a = (1,) * (ndim - x.ndim) + tuple(x.shape)
    b = (1,) * (ndim - other.ndim) + tuple(other.shape)
    left = F.reshape(x, shape=tuple(n for m in a for n in (m, 1)))
    right = F.reshape(other, shape=tuple(n for m in b for n in (1, m)))
    return F.reshape(left * right, shape=tuple(m * n for m, n in zip(a, b, strict=True)))


composite("kron", _kron, samples=[(((2, 3), (3, 2)), {}), (((2,), (3, 2)), {})])
_SQUARE: list[Sample] = [(((2, 2),), {}), (((2, 3, 3),), {})]

# inverses ---------------------------------------------------------------------------------------
own("linalg.inv", lambda xp, x: xp.linalg.inv(x), node="LinalgInvExBackward0", aliases=("inverse",),
    vjp_x=lambda F, g, y: -F.matmul(_star(F, y), F.matmul(g, _star(F, y))),
    jvp=lambda F, y, t_x: -F.matmul(y, F.matmul(t_x, y)),
    fill={"x": "positive-definite"}, samples=_SQUARE)  # fmt: skip


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


def _unminors(xp: Any, g: Any) -> Any:
    n = g.shape[-3]
    out = xp.zeros((*g.shape[:-4], n, n), dtype=g.dtype, device=g.device)
    return xp.index_put(out, _minor_places(n), g, True)


linear("_minors", lambda xp, x: x[_minor_places(x.shape[-1])],
       transpose=lambda F, g: F._unminors(g))  # fmt: skip
linear("_unminors", _unminors, transpose=lambda F, g: F._minors(g))


def _regular(x: Any) -> bool:
    """Whether a matrix, or each of them, is far from singular."""
    raw = getattr(x, "_raw", x)
    xp = of_array(raw)
    if xp.batched or 0 in raw.shape:
        return True
    s = xp.linalg.svd(raw)[1]
    return bool(xp.all(s[..., -1] > s[..., 0] * float(xp.finfo(raw.dtype).eps) ** 0.5))


def _signed_slopes(F: Any, x: Any) -> Any:
    """The derivatives of each cofactor by the elements of its minor."""
    rows, columns = np.indices(x.shape[-2:])
    signs = F._numbers_of(x, values=(1 - (rows + columns) % 2 * 2).tolist())
    return F._cofactors(F._minors(x)) * F.unsqueeze(F.unsqueeze(signs, dim=-1), dim=-1)


def _inverse_transpose(F: Any, x: Any) -> Any:
    return F.transpose(F.linalg_inv(x), dim0=-2, dim1=-1)


def _cofactors_vjp(F: Any, g: Any, x: Any, y: Any) -> Any:
    """From y = det(x) x⁻ᵀ; where x is singular, from each element's minor, whose determinant it is
    up to the sign.
    """
    if not _regular(x):
        spread = F.unsqueeze(F.unsqueeze(g, dim=-1), dim=-1)
        return F._unminors(spread * F.conj(_signed_slopes(F, x)))
    inverse, y = F.conj(_inverse_transpose(F, x)), F.conj(y)
    share = F.sum(g * y, dim=(-2, -1), keepdim=True)
    turned = F.matmul(y, F.matmul(F.transpose(g, dim0=-2, dim1=-1), inverse))
    return inverse * share - turned


def _cofactors_jvp(F: Any, x: Any, y: Any, t_x: Any) -> Any:
    if not _regular(x):
        return F.sum(F._minors(t_x) * _signed_slopes(F, x), dim=(-2, -1))
    inverse = _inverse_transpose(F, x)
    share = F.sum(inverse * t_x, dim=(-2, -1), keepdim=True)
    return y * share - F.matmul(F.matmul(inverse, F.transpose(t_x, dim0=-2, dim1=-1)), y)


own("_cofactors", _cofactors, vjp_x=_cofactors_vjp, jvp=_cofactors_jvp, samples=_SQUARE)
own("linalg.det", lambda xp, x: xp.linalg.det(x), aliases=("det",), node="LinalgDetBackward0",
    vjp_x=lambda F, g, x: F.reshape(g, shape=(*g.shape, 1, 1)) * F.conj(F._cofactors(x)),
    jvp=lambda F, x, t_x: F.sum(F._cofactors(x) * t_x, dim=(-2, -1)),
    fill={"x": "positive-definite"}, samples=_SQUARE)  # fmt: skip
own("_solve", lambda xp, A, B: xp.linalg.solve(A, B), node="LinalgSolveExBackward0",
    vjp_A=lambda F, g, A, y: -F.matmul(F._solve(_star(F, A), g), _star(F, y)),
    vjp_B=lambda F, g, A: F._solve(_star(F, A), g),
    jvp=lambda F, A, y, t_A, t_B: F._solve(A, t_B - F.matmul(t_A, y)),
    fill={"A": "positive-definite"}, samples=[(((2, 3, 3), (2, 3, 2)), {})])  # fmt: skip


def _linalg_solve(F: Any, A: Any, B: Any, *, left: bool = True) -> Any:
    """X with AX = B, or XA = B for ``left=False``; B is a vector where it has no columns."""
    if not left:
        return F.mT(F.linalg_solve(F.mT(A), F.mT(B)))
    if B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1])):
        return F.squeeze(F._solve(A, F.unsqueeze(B, dim=-1)), dim=-1)
    return F._solve(A, B)


composite("linalg.solve", _linalg_solve, fill={"A": "positive-definite"}, samples=[
    (((3, 3), (3, 2)), {}), (((3, 3), (3,)), {}), (((2, 3, 3), (2, 3)), {}),
    (((2, 3, 3), (3, 1)), {})])  # fmt: skip
