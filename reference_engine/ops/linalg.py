"""Linear algebra beyond products: factorisations, and what follows from them.

Derivatives of factorisations as in Giles 2008, https://people.maths.ox.ac.uk/gilesm/files/NA-08-01.pdf;
complex ones as in Wan and Zhang 2019, https://arxiv.org/abs/1909.02659.
"""

from __future__ import annotations

from functools import reduce
from math import inf, prod
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import Sample, composite, own

_SQUARE: list[Sample] = [(((2, 2),), {}), (((2, 3, 3),), {})]
_DEFINITE: dict[str, Any] = {"fill": {"x": "positive-definite"}, "samples": _SQUARE}


def star(F: Any, x: Any) -> Any:
    """The conjugate transpose of the last two dimensions."""
    return F.conj(F.transpose(x, dim0=-2, dim1=-1))


def col(F: Any, s: Any) -> Any:
    """A last dimension of 1 more."""
    return F.unsqueeze(s, dim=-1)


def row(F: Any, s: Any) -> Any:
    """A last dimension but one of 1 more."""
    return F.unsqueeze(s, dim=-2)


def _real_diagonal(F: Any, x: Any) -> Any:
    return F.real(F.diagonal(x, dim1=-2, dim2=-1))


# Cholesky -----------------------------------------------------------------------------------------
def _half_lower(F: Any, x: Any) -> Any:
    """The lower triangle with half of its diagonal."""
    return (F.tril(x) + F.tril(x, diagonal=-1)) * 0.5


def _cholesky_vjp(F: Any, g: Any, y: Any) -> Any:
    product = F.tril(F.matmul(star(F, y), g))
    inner = (product + star(F, F.tril(product, diagonal=-1))) * 0.5
    return F._solve(star(F, y), star(F, F._solve(star(F, y), star(F, inner))))


def _cholesky_jvp(F: Any, y: Any, t_x: Any) -> Any:
    inner = F._solve(y, star(F, F._solve(y, star(F, (t_x + star(F, t_x)) * 0.5))))
    return F.matmul(y, _half_lower(F, inner))


own("_cholesky", lambda xp, x: xp.linalg.cholesky(x), vjp_x=_cholesky_vjp, jvp=_cholesky_jvp,
    node="LinalgCholeskyExBackward0")  # fmt: skip
composite("linalg.cholesky", lambda F, x, *, upper=False: star(F, F._cholesky(x)) if upper
          else F._cholesky(x), methods=(), **_DEFINITE)  # fmt: skip
composite("cholesky", lambda F, x, upper=False: F.linalg_cholesky(x, upper=upper))


def _of_factor(F: Any, x: Any, upper: bool) -> Any:
    """L Lᴴ or Uᴴ U of a triangular factor; the other triangle of ``x`` is not looked at."""
    x = F.triu(x) if upper else F.tril(x)
    return F.matmul(star(F, x), x) if upper else F.matmul(x, star(F, x))


composite("cholesky_inverse", lambda F, x, upper=False: F.linalg_inv(_of_factor(F, x, upper)))
composite("cholesky_solve", lambda F, x, other, upper=False: F.linalg_solve(
    _of_factor(F, other, upper), x))  # fmt: skip


# determinants and inverses ------------------------------------------------------------------------
def _logdet_slope(F: Any, x: Any) -> Any:
    return star(F, F.linalg_inv(x))


own("linalg.slogdet", lambda xp, x: tuple(xp.linalg.slogdet(x)), outputs=("sign", "logabsdet"),
    vjp_x=lambda F, g_sign, g_logabsdet, x, sign: _slogdet_vjp(F, g_sign, g_logabsdet, x, sign),
    jvp=lambda F, x, sign, t_x: _slogdet_jvp(F, x, sign, t_x), aliases=("slogdet",),
    methods=("slogdet",), fill={"x": "positive-definite"})  # fmt: skip


def _slogdet_vjp(F: Any, g_sign: Any, g_logabsdet: Any, x: Any, sign: Any) -> Any:
    g = g_logabsdet
    turned = F.imag(F.conj(sign) * g_sign) if _is_complex(sign) and g_sign is not None else None
    if turned is not None:
        g = F.complex(turned * 0 if g is None else g, turned)
    if g is None:
        return x * 0
    return F.reshape(g, shape=(*g.shape, 1, 1)) * _logdet_slope(F, x)


def _slogdet_jvp(F: Any, x: Any, sign: Any, t_x: Any) -> Any:
    change = F.sum(F.diagonal(F.linalg_solve(x, t_x), dim1=-2, dim2=-1), dim=-1)
    if not _is_complex(sign):
        return sign * 0, change
    return sign * F.complex(F.real(change) * 0, F.imag(change)), F.real(change)


def _is_complex(x: Any) -> bool:
    kind = x.dtype
    return bool(kind.is_complex) if hasattr(kind, "is_complex") else bool(kind.kind == "c")


def _logdet(F: Any, x: Any) -> Any:
    sign, size = F.linalg_slogdet(x)
    return size + F.log(sign)


composite("logdet", _logdet)


def _success(F: Any, x: Any) -> Any:
    """LAPACK's info for each matrix: 0."""
    return F._numbers_of(x, values=(0,) * prod(x.shape[:-2])).int().reshape(x.shape[:-2])


composite("linalg.inv_ex", lambda F, x, *, check_errors=False: (
    F.linalg_inv(x), _success(F, x)), methods=())  # fmt: skip
composite("linalg.cholesky_ex", lambda F, x, *, upper=False, check_errors=False: (
    F.linalg_cholesky(x, upper=upper),
    _success(F, x)), methods=()
    )  # fmt: skip


def _triangular(F: Any, A: Any, B: Any, upper: bool, left: bool, unitriangular: bool) -> Any:
    """Solves with one triangle of A only, its diagonal taken as 1 where asked."""
    part = F.triu(A, diagonal=int(unitriangular)) if upper else F.tril(
        A, diagonal=-int(unitriangular))  # fmt: skip
    if unitriangular:
        part = part + F.diag_embed(F.diagonal(F.ones_like(A), dim1=-2, dim2=-1))
    if not left:
        return F.mT(F._solve_all(F.mT(part), F.mT(B)))
    return F._solve_all(part, B)


def _solve_all(F: Any, A: Any, B: Any) -> Any:
    """As linalg.solve, of matrices only: batches broadcast."""
    batch = broadcast_shapes(tuple(A.shape[:-2]), tuple(B.shape[:-2]))
    A, B = (F.expand(v, size=(*batch, *v.shape[-2:])) for v in (A, B))
    return F._solve(A, B)


composite("_solve_all", _solve_all, methods=())
composite("linalg.solve_triangular", lambda F, A, B, *, upper, left=True, unitriangular=False:
          _triangular(F, A, B, upper, left, unitriangular), methods=())  # fmt: skip
composite("triangular_solve", lambda F, b, A, upper=True, transpose=False, unitriangular=False: (
    _triangular(F, F.mT(A) if transpose else A, b, upper != transpose, True, unitriangular),
    F.clone(A)))  # fmt: skip
composite("linalg.solve_ex", lambda F, A, B, *, left=True, check_errors=False: (
    F.linalg_solve(A, B, left=left), _success(F, A)), methods=())  # fmt: skip


def _matrix_power(F: Any, x: Any, n: int) -> Any:
    """By repeated squaring."""
    if n < 0:
        return _matrix_power(F, F.linalg_inv(x), -n)
    if n == 0:
        return F.diag_embed(F.diagonal(F.ones_like(x), dim1=-2, dim2=-1))
    made = None
    while True:
        if n % 2:
            made = x if made is None else F.matmul(made, x)
        n //= 2
        if not n:
            return F.clone(made)
        x = F.matmul(x, x)


composite("linalg.matrix_power", _matrix_power, aliases=("matrix_power",), methods=(
    "matrix_power",), samples=[(((2, 3, 3),), {"n": 5})])  # fmt: skip


def _exponential(xp: Any, x: Any) -> Any:
    if x.itemsize == 2:  # torch's kernel overflows in half precision
        return xp.astype(xp.matrix_exp(xp.astype(x, xp.float32)), x.dtype)
    return xp.matrix_exp(x)


def _numpy_matrix_exp(x: Any) -> Any:
    from scipy.linalg import expm

    return expm(x).astype(x.dtype) if x.size else x.copy()


def _exp_along(F: Any, x: Any, direction: Any) -> Any:
    """The derivative of the exponential, a block of that of [[x, d], [0, x]] (Najfeld and Havel
    1995, https://doi.org/10.1006/aama.1995.1017).
    """
    n = x.shape[-1]
    block = F.cat(F.cat(x, direction, dim=-1), F.cat(x * 0, x, dim=-1), dim=-2)
    return F.slice(F.slice(F.matrix_exp(block), dim=-2, end=n), dim=-1, start=n)


NUMPY.define("matrix_exp", _numpy_matrix_exp)
own("matrix_exp", _exponential, vjp_x=lambda F, g, x: _exp_along(F, star(F, x), g),
    aliases=("linalg.matrix_exp",), node="LinalgMatrixExpBackward0",
    jvp=lambda F, x, t_x: _exp_along(F, x, t_x), samples=_SQUARE)  # fmt: skip


# eigenvalues and singular values ------------------------------------------------------------------
def _gaps(F: Any, s: Any) -> Any:
    """1/(sⱼ − sᵢ), with 0 on the diagonal."""
    gap = row(F, s) - col(F, s)
    diagonal = F.diag_embed(F.ones_like(s)) != 0
    return F.where(diagonal, 0, 1 / F.where(diagonal, 1, gap))


def _eigh_vjp(F: Any, g_eigenvalues: Any, g_eigenvectors: Any, eigenvalues: Any,
              eigenvectors: Any) -> Any:  # fmt: skip
    v = eigenvectors
    made = None if g_eigenvalues is None else F.matmul(v * row(F, g_eigenvalues), star(F, v))
    if g_eigenvectors is not None:
        inner = F.matmul(star(F, v), g_eigenvectors) * _gaps(F, eigenvalues)
        turned = F.matmul(v, F.matmul(inner, star(F, v)))
        made = turned if made is None else made + turned
    return (made + star(F, made)) * 0.5


def _eigh_jvp(F: Any, eigenvalues: Any, eigenvectors: Any, t_x: Any) -> Any:
    v = eigenvectors
    inner = F.matmul(star(F, v), F.matmul((t_x + star(F, t_x)) * 0.5, v))
    return _real_diagonal(F, inner), F.matmul(v, inner * _gaps(F, eigenvalues))


own("_eigh", lambda xp, x, *, UPLO: tuple(xp.linalg.eigh(x) if UPLO == "L" else xp.linalg.eigh(
        xp.conj(xp.matrix_transpose(x)))), outputs=("eigenvalues", "eigenvectors"),
    vjp_x=_eigh_vjp, jvp=_eigh_jvp, undefined=True, node="LinalgEighBackward0")  # fmt: skip
composite("linalg.eigh", lambda F, x, UPLO="L": F._eigh(x, UPLO=UPLO), methods=())
composite("linalg.eigvalsh", lambda F, x, UPLO="L": F._eigh(x, UPLO=UPLO)[0], methods=())


def _svd_vjp(F: Any, g_U: Any, g_S: Any, g_Vh: Any, U: Any, S: Any, Vh: Any) -> Any:
    """Of the thin factorisation; parts of the cotangents across U and V count where A is not
    square.
    """
    parts = [] if g_S is None else [F.matmul(U * row(F, g_S), Vh)]
    gaps = _gaps(F, S * S)
    if g_U is not None:
        turn = F.matmul(star(F, U), g_U)
        inner = _skew(F, turn) * gaps * row(F, S)
        if _is_complex(U):
            phase = F.imag(F.diagonal(turn, dim1=-2, dim2=-1)) / S
            inner = inner + F.diag_embed(F.complex(phase * 0, phase))
        parts.append(F.matmul(U, F.matmul(inner, Vh)))
        if U.shape[-2] > U.shape[-1]:
            parts.append(F.matmul((g_U - F.matmul(U, turn)) / row(F, S), Vh))
    if g_Vh is not None:
        turn = F.matmul(Vh, star(F, g_Vh))
        parts.append(F.matmul(U, F.matmul(col(F, S) * (_skew(F, turn) * gaps), Vh)))
        if Vh.shape[-1] > Vh.shape[-2]:
            parts.append(F.matmul(U, (g_Vh - F.matmul(star(F, turn), Vh)) / col(F, S)))
    return reduce(lambda a, b: a + b, parts)


def _skew(F: Any, x: Any) -> Any:
    return x - star(F, x)


def _svd_jvp(F: Any, U: Any, S: Any, Vh: Any, t_x: Any) -> Any:
    inner = F.matmul(star(F, U), F.matmul(t_x, star(F, Vh)))
    gaps = _gaps(F, S * S)
    left, right = inner * row(F, S), col(F, S) * inner
    t_U = F.matmul(U, gaps * (left + star(F, left)))
    if _is_complex(U):  # the phase that U and V share is U's, as in the vjp
        phase = F.imag(F.diagonal(inner, dim1=-2, dim2=-1)) / S
        t_U = t_U + U * row(F, F.complex(phase * 0, phase))
    t_V = F.matmul(star(F, Vh), gaps * (right + star(F, right)))
    if U.shape[-2] > U.shape[-1]:
        seen = F.matmul(t_x, star(F, Vh)) / row(F, S)
        t_U = t_U + seen - F.matmul(U, F.matmul(star(F, U), seen))
    if Vh.shape[-1] > Vh.shape[-2]:
        seen = star(F, F.matmul(star(F, U), t_x) / col(F, S))
        t_V = t_V + seen - F.matmul(star(F, Vh), F.matmul(Vh, seen))
    return t_U, _real_diagonal(F, inner), star(F, t_V)


own("_svd", lambda xp, x: tuple(xp.linalg.svd(x, full_matrices=False)), outputs=("U", "S", "Vh"),
    vjp_x=_svd_vjp, jvp=_svd_jvp, undefined=True, node="LinalgSvdBackward0")  # fmt: skip
composite("linalg.svdvals", lambda F, x: F._svd(x)[1], methods=())


# norms --------------------------------------------------------------------------------------------
def _matrix_norm(F: Any, x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *,
                 dtype: Any = None) -> Any:  # fmt: skip
    rows, columns = (axis(d, x.ndim) for d in dim)
    x = x if dtype is None else x.to(dtype)
    if ord == "fro":
        return F.linalg_vector_norm(x, ord=2, dim=(rows, columns), keepdim=keepdim)
    if ord in ("nuc", 2, -2):
        others = [d for d in range(x.ndim) if d not in (rows, columns)]
        s = F._svd(F.permute(x, dims=(*others, rows, columns)))[1]
        made = F.sum(s, dim=-1) if ord == "nuc" else (F.amax if ord > 0 else F.amin)(s, dim=-1)
        shape = [1 if d in (rows, columns) else n for d, n in enumerate(x.shape)]
        return F.reshape(made, shape=tuple(shape)) if keepdim else made
    if ord not in (1, -1, inf, -inf):
        raise RuntimeError(f"matrix_norm got ord={ord!r}; expected 'fro', 'nuc', ±1, ±2 or ±inf")
    first, then = (columns, rows) if abs(ord) == inf else (rows, columns)
    sums = F.linalg_vector_norm(x, ord=1, dim=first, keepdim=True)
    made = (F.amax if ord > 0 else F.amin)(sums, dim=then, keepdim=True)
    gone = tuple(sorted((rows, columns), reverse=True))
    return made if keepdim else F.squeeze(made, dim=gone)


def _linalg_norm(F: Any, x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *,
                 dtype: Any = None) -> Any:  # fmt: skip
    """Of a matrix where two dimensions or an ``ord`` of matrices say so, else of a vector."""
    pair = dim is not None and not isinstance(dim, int) and len(dim) == 2
    if ord is None or not (pair or (dim is None and x.ndim == 2) or isinstance(ord, str)):
        return F.linalg_vector_norm(x, ord=2 if ord is None else ord, dim=dim, keepdim=keepdim,
                                    dtype=dtype)  # fmt: skip
    return _matrix_norm(F, x, ord, dim if pair else (-2, -1), keepdim, dtype=dtype)


composite("linalg.matrix_norm", _matrix_norm, methods=(), samples=[(((2, 3),), {})])
composite("linalg.norm", _linalg_norm, methods=(), samples=[(((2, 3),), {"ord": 1})])
composite("linalg.diagonal", lambda F, x, *, offset=0, dim1=-2, dim2=-1: F.diagonal(
    x, offset=offset, dim1=dim1, dim2=dim2), methods=(), order=("x",))  # fmt: skip


# products -----------------------------------------------------------------------------------------
def _cross(F: Any, x: Any, other: Any, dim: int = -1) -> Any:
    shape = broadcast_shapes(tuple(x.shape), tuple(other.shape))
    x, other = F.expand(x, size=shape), F.expand(other, size=shape)
    turned = [F.roll(v, shifts=s, dims=(dim,)) for v in (x, other) for s in (-1, 1)]
    return turned[0] * turned[3] - turned[1] * turned[2]


def _first_of_three(F: Any, x: Any, other: Any, dim: int | None = None) -> Any:
    """Along the first dimension of size 3, as torch.cross has it for ``dim=None``."""
    shape = broadcast_shapes(tuple(x.shape), tuple(other.shape))
    return _cross(F, x, other, shape.index(3) if dim is None else dim)


composite("linalg.cross", lambda F, x, other, *, dim=-1: _cross(F, x, other, dim), methods=(),
          samples=[(((2, 3), (2, 3)), {})])  # fmt: skip
composite("cross", _first_of_three)
composite("linalg.vecdot", lambda F, x, other, *, dim=-1: F.sum(F.conj(x) * other, dim=dim),
          methods=(), samples=[(((2, 3), (2, 3)), {})])  # fmt: skip
composite("addr", lambda F, x, vec1, vec2, *, beta=1, alpha=1: _plus(
    F, x, F.outer(vec1, vec2), beta, alpha))  # fmt: skip
composite("addbmm", lambda F, x, batch1, batch2, *, beta=1, alpha=1: _plus(
    F, x, F.sum(F.bmm(batch1, batch2), dim=0), beta, alpha))  # fmt: skip


def _plus(F: Any, x: Any, made: Any, beta: Any, alpha: Any) -> Any:
    return made * alpha if beta == 0 else F.expand(x, size=tuple(made.shape)) * beta + made * alpha


def _multi_dot(F: Any, *xs: Any) -> Any:
    """The chain from the left; first and last may be vectors."""
    return reduce(F.matmul, xs)


def _tensorinv(F: Any, x: Any, ind: int = 2) -> Any:
    rows, columns = tuple(x.shape[:ind]), tuple(x.shape[ind:])
    flat = F.reshape(x, shape=(prod(rows), prod(columns)))
    return F.reshape(F.linalg_inv(flat), shape=(*columns, *rows))


def _tensorsolve(F: Any, A: Any, B: Any, dims: Any = None) -> Any:
    if dims is not None:
        A = F.movedim(A, source=tuple(dims), destination=tuple(range(A.ndim - len(dims), A.ndim)))
    result = tuple(A.shape[B.ndim :])
    flat = F.reshape(A, shape=(prod(B.shape), prod(result)))
    return F.reshape(F.linalg_solve(flat, F.reshape(B, shape=(-1,))), shape=result)


composite("linalg.multi_dot", _multi_dot, methods=())
composite("linalg.tensorinv", _tensorinv, methods=())
composite("linalg.tensorsolve", _tensorsolve, methods=())
NUMPY.define("matrix_transpose", np.matrix_transpose)
