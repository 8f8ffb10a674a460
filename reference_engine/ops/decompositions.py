"""Factorisations: LU, QR, eigenvectors, pseudoinverses, and what is solved with them.

Tall and wide LU and QR are square ones beside products, so only the square rules are written out
(Seeger et al. 2017, https://arxiv.org/abs/1710.08717). The derivative of the pseudoinverse is that
of Golub and Pereyra 1973, https://doi.org/10.1137/0710036, at constant rank.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from reference_engine.backends.dtypes import int64
from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.linalg import col, row, star
from reference_engine.ops.opdef import Sample, composite, nondiff, own

_RECTANGLES: list[Sample] = [(((3, 3),), {}), (((2, 4, 3),), {}), (((2, 3),), {})]
_FULL_RANK: dict[str, Any] = {"methods": (), "samples": _RECTANGLES}


def _eye(F: Any, x: Any) -> Any:
    """The first columns of identities, in the shape of x."""
    ones = F.ones_like(F.diagonal(x, dim1=-2, dim2=-1))
    return F._undiagonal(ones, size=tuple(x.shape), offset=0, dim1=-2, dim2=-1)


def _cut(F: Any, x: Any, rows: slice, columns: slice) -> Any:
    return F._pick(x, index=(..., rows, columns))


# LU -----------------------------------------------------------------------------------------------
def _numpy_lu_factor(x: Any) -> Any:
    from scipy.linalg import lapack

    packed = np.array(x)
    pivots = np.zeros((*x.shape[:-2], min(x.shape[-2:])), np.int32)
    factor = lapack.get_lapack_funcs("getrf", (packed,))
    for place in product(*map(range, x.shape[:-2])) if packed.size else ():
        packed[place], found, _ = factor(packed[place])
        pivots[place] = found + 1
    return packed, pivots


def _permuted(xp: Any, pivots: Any, *, rows: int) -> Any:
    """The order into which exchanging row i and row pivots[i] − 1 in turn brings the rows."""
    places = xp.arange(rows, device=pivots.device)
    order = xp.expand(places, (*pivots.shape[:-1], rows))
    for i in range(pivots.shape[-1]):
        j = xp.cast(pivots[..., i : i + 1], int64) - 1
        there, here = xp.take_along_axis(order, j, axis=-1), order[..., i : i + 1]
        order = xp.where(places == i, there, xp.where(places == j, here, order))
    return order


def _unpacked(F: Any, packed: Any) -> tuple[Any, Any]:
    """L and U of a packed square or rectangular LU."""
    k = min(packed.shape[-2:])
    left = _cut(F, packed, slice(None), slice(k))
    return F.tril(left, diagonal=-1) + _eye(F, left), F.triu(
        _cut(F, packed, slice(k), slice(None)))  # fmt: skip


def _lu_vjp(F: Any, g: Any, y: Any) -> Any:
    left, right = _unpacked(F, y)
    inner = F.tril(F.matmul(star(F, left), F.tril(g, diagonal=-1)), diagonal=-1) + F.triu(
        F.matmul(F.triu(g), star(F, right)))  # fmt: skip
    return F._solve(star(F, left), star(F, F._solve(right, star(F, inner))))


def _lu_jvp(F: Any, y: Any, t_x: Any) -> Any:
    left, right = _unpacked(F, y)
    inner = star(F, F._solve(star(F, right), star(F, F._solve(left, t_x))))
    return F.matmul(left, F.tril(inner, diagonal=-1)) + F.matmul(F.triu(inner), right)


NUMPY.define("lu_factor", _numpy_lu_factor)
nondiff("_lu_pivots", lambda xp, x: (getattr(xp.linalg, "lu_factor", None) or xp.lu_factor)(x)[1])
nondiff("_permuted", _permuted)
# of a matrix whose rows stand in the order of their pivots
own("_lu", lambda xp, x: (getattr(xp.linalg, "lu_factor", None) or xp.lu_factor)(x)[0],
    vjp_x=_lu_vjp, jvp=_lu_jvp, node="LinalgLuFactorExBackward0")  # fmt: skip


def _lu_factor(F: Any, A: Any, *, pivot: bool = True) -> tuple[Any, Any]:
    if not pivot:
        raise RuntimeError("LU needs pivots: only pivot=True is supported on a CPU")
    pivots, (m, n) = F._lu_pivots(A), A.shape[-2:]
    order = F.expand(col(F, F._permuted(pivots, rows=m)), size=tuple(A.shape))
    A, k = F.gather(A, dim=-2, index=order) if m else A, min(m, n)
    square = F._lu(_cut(F, A, slice(k), slice(k)))
    left, right = _unpacked(F, square)
    if m > k:
        rest = _cut(F, A, slice(k, None), slice(None))
        return F.cat(square, F.mT(F._solve(F.mT(right), F.mT(rest))), dim=-2), pivots
    if n > k:
        rest = _cut(F, A, slice(None), slice(k, None))
        return F.cat(square, F._solve(left, rest), dim=-1), pivots
    return square, pivots


def _lu_unpack(F: Any, LU: Any, pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
               ) -> Any:  # fmt: skip
    """(P, L, U) with A = P L U; what is not asked for is empty."""
    nothing, P = F.zeros_of(LU, size=(0,)), F.zeros_of(LU, size=(0,))
    if unpack_pivots:
        rows = F._numbers_of(LU, values=tuple(range(LU.shape[-2])))
        P = row(F, F._permuted(pivots, rows=LU.shape[-2])) == col(F, rows)
        P = P.to(LU.dtype)
    return (P, *(_unpacked(F, LU) if unpack_data else (nothing, nothing)))


def _linalg_lu(F: Any, A: Any, *, pivot: bool = True) -> Any:
    return _lu_unpack(F, *_lu_factor(F, A, pivot=pivot))


def _lu_solve(F: Any, LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False
              ) -> Any:  # fmt: skip
    if not left:
        return star(F, _lu_solve(F, LU, pivots, star(F, B), adjoint=not adjoint))
    P, lower, upper = _lu_unpack(F, LU, pivots)
    if adjoint:
        return F.matmul(P, F._solve_all(star(F, lower), F._solve_all(star(F, upper), B)))
    return F._solve_all(upper, F._solve_all(lower, F.matmul(F.mT(P), B)))


def _info(F: Any, x: Any) -> Any:
    """LAPACK's report for each matrix: success."""
    return F._lu_pivots(F.zeros_of(x, size=(*x.shape[:-2], 1, 1)) + 1)[..., 0] * 0


composite("linalg.lu_factor", _lu_factor, **_FULL_RANK)
composite("linalg.lu_factor_ex", lambda F, A, *, pivot=True, check_errors=False: (
    *_lu_factor(F, A, pivot=pivot), _info(F, A)), **_FULL_RANK)  # fmt: skip
composite("lu", lambda F, A, pivot=True, get_infos=False: (
    *_lu_factor(F, A, pivot=pivot), *((_info(F, A),) if get_infos else ())),
    samples=_RECTANGLES)  # fmt: skip
composite("linalg.lu", _linalg_lu, **_FULL_RANK)
composite("lu_unpack", _lu_unpack, methods=())
composite("linalg.lu_solve", _lu_solve, methods=())
composite("lu_solve", lambda F, b, LU, pivots: _lu_solve(F, LU, pivots, b))


# QR -----------------------------------------------------------------------------------------------
def _symmetric(F: Any, x: Any) -> Any:
    """x + xᴴ with the diagonal once."""
    return x + star(F, x) - F.diag_embed(F.real(F.diagonal(x, dim1=-2, dim2=-1)))


def _qr_vjp(F: Any, g_Q: Any, g_R: Any, Q: Any, R: Any) -> Any:
    inner = F.zeros_like(R)
    inner = inner if g_R is None else inner + F.matmul(g_R, star(F, R))
    inner = inner if g_Q is None else inner - F.matmul(star(F, Q), g_Q)
    turned = F.matmul(Q, _symmetric(F, F.triu(inner)))
    turned = turned if g_Q is None else turned + g_Q
    return star(F, F._solve(R, star(F, turned)))


def _qr_jvp(F: Any, Q: Any, R: Any, t_x: Any) -> Any:
    seen = star(F, F._solve(star(F, R), star(F, t_x)))
    inner = F.matmul(star(F, Q), seen)
    t_R = F.triu(inner + star(F, inner), diagonal=1) + F.diag_embed(
        F.real(F.diagonal(inner, dim1=-2, dim2=-1)))  # fmt: skip
    return seen - F.matmul(Q, t_R), F.matmul(t_R, R)


own("_qr", lambda xp, x, *, mode="reduced": tuple(xp.linalg.qr(x, mode=mode)), vjp_x=_qr_vjp,
    jvp=_qr_jvp, outputs=("Q", "R"), undefined=True, node="LinalgQrBackward0")  # fmt: skip


def _linalg_qr(F: Any, A: Any, mode: str = "reduced") -> Any:
    """Gradients need the reduced factors of a matrix, or all of a square or wide one's."""
    m, n = A.shape[-2:]
    if mode == "r":
        return F.zeros_of(A, size=(0,)), _linalg_qr(F, A.detach())[1]
    if mode == "complete" and m > n:
        return F._qr(A, mode=mode)
    if m >= n:
        return F._qr(A)
    Q, R = F._qr(_cut(F, A, slice(None), slice(m)))
    return Q, F.cat(R, F.matmul(star(F, Q), _cut(F, A, slice(None), slice(m, None))), dim=-1)


def _reflected(F: Any, A: Any, tau: Any, C: Any, adjoint: bool) -> Any:
    """The Householder reflections 1 − τᵢ vᵢ vᵢᴴ, the last first, or their adjoints in turn."""
    m, k = A.shape[-2], tau.shape[-1]
    for i in range(k) if adjoint else reversed(range(k)):
        v = F.constant_pad_nd(_cut(F, A, slice(i + 1, m), slice(i, i + 1)), pad=(0, 0, 1, 0),
                              value=1)  # fmt: skip
        v = F.constant_pad_nd(v, pad=(0, 0, i, 0))
        t = col(F, F.narrow(tau, dim=-1, start=i, length=1))
        C = C - F.matmul(v * (F.conj(t) if adjoint else t), F.matmul(star(F, v), C))
    return C


def _ormqr(F: Any, A: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False) -> Any:
    """Q·other, or its variants: other on the left, Q's adjoint."""
    if left:
        return _reflected(F, A, tau, other, transpose)
    return star(F, _reflected(F, A, tau, star(F, other), not transpose))


def _householder(F: Any, A: Any, tau: Any) -> Any:
    return _reflected(F, A, tau, _eye(F, A), False)


composite("linalg.qr", _linalg_qr, **_FULL_RANK)
composite("qr", lambda F, A, some=True: _linalg_qr(F, A, "reduced" if some else "complete"),
          samples=_RECTANGLES)  # fmt: skip
composite("linalg.householder_product", _householder, methods=(), aliases=("orgqr",),
          samples=[(((3, 2), (2,)), {})])  # fmt: skip
composite("ormqr", _ormqr, samples=[(((3, 2), (2,), (3, 2)), {})])


# eigenvectors -------------------------------------------------------------------------------------
def _eig_forward(xp: Any, x: Any) -> Any:
    values, vectors = xp.linalg.eig(x)
    return values + 0j, vectors + 0j


def _gaps(F: Any, values: Any) -> Any:
    """λⱼ − λᵢ, with 1 on the diagonal."""
    return row(F, values) - col(F, values) + F.diag_embed(F.ones_like(values))


def _eig_vjp(F: Any, g_values: Any, g_vectors: Any, values: Any, vectors: Any) -> Any:
    inner = None if g_values is None else F.diag_embed(g_values)
    if g_vectors is not None:
        turn = F.matmul(star(F, vectors), g_vectors)
        along = F.real(F.diagonal(turn, dim1=-2, dim2=-1))
        turn = turn - F.matmul(star(F, vectors), vectors * row(F, along))
        turn = turn / F.conj(_gaps(F, values)) * (1 - _eye(F, turn))
        inner = turn if inner is None else inner + turn
    return F._solve(star(F, vectors), F.matmul(inner, star(F, vectors)))


def _eig_jvp(F: Any, values: Any, vectors: Any, t_x: Any) -> Any:
    inner = F._solve(vectors, F.matmul(t_x + 0j, vectors))
    turned = F.matmul(vectors, inner / _gaps(F, values) * (1 - _eye(F, inner)))
    # unit vectors stay unit vectors
    along = F.real(F.sum(F.conj(vectors) * turned, dim=-2))
    return F.diagonal(inner, dim1=-2, dim2=-1), turned - vectors * row(F, along)


own("_eig", _eig_forward, outputs=("values", "vectors"), vjp_x=_eig_vjp, jvp=_eig_jvp,
    undefined=True, node="LinalgEigBackward0")  # fmt: skip
composite("linalg.eig", lambda F, x: F._eig(x), methods=())
composite("linalg.eigvals", lambda F, x: F._eig(x)[0], methods=(), samples=_RECTANGLES[:1])


# singular vectors ---------------------------------------------------------------------------------
nondiff("_svd_full", lambda xp, x: tuple(xp.linalg.svd(x, full_matrices=True)),
        outputs=("U", "S", "Vh"))  # fmt: skip


def _svd(F: Any, x: Any, full_matrices: bool = True) -> Any:
    """The thin factors; the columns that complete them are free, and carry no gradient."""
    U, S, Vh = F._svd(x)
    k = S.shape[-1]
    if full_matrices and max(x.shape[-2:]) > k:
        more, _, below = F._svd_full(x)
        U = F.cat(U, _cut(F, more, slice(None), slice(k, None)), dim=-1)
        Vh = F.cat(Vh, _cut(F, below, slice(k, None), slice(None)), dim=-2)
    return U, S, Vh


def _old_svd(F: Any, x: Any, some: bool = True, compute_uv: bool = True) -> Any:
    U, S, Vh = _svd(F, x, full_matrices=not some)
    return (U, S, star(F, Vh)) if compute_uv else (F.zeros_like(U), S, F.zeros_like(star(F, Vh)))


def _svd_lowrank(F: Any, A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> Any:
    """By subspace iteration from a random start (Halko et al. 2009,
    https://arxiv.org/abs/0909.4061).
    """
    A = A if M is None else A - M
    size = (*A.shape[:-2], A.shape[-1], 6 if q is None else q)
    Q = _linalg_qr(F, F.matmul(A, F.normal(F.zeros_of(A, size=size))))[0]
    for _ in range(2 if niter is None else niter):
        Q = _linalg_qr(F, F.matmul(A, _linalg_qr(F, F.matmul(star(F, A), Q))[0]))[0]
    U, S, Vh = F._svd(F.matmul(star(F, Q), A))
    return F.matmul(Q, U), S, star(F, Vh)


def _pca_lowrank(F: Any, A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    q = min(6, *A.shape[-2:]) if q is None else q
    return _svd_lowrank(F, A - F.mean(A, dim=-2, keepdim=True) if center else A, q, niter)


def _cond(F: Any, x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        s = F._svd(x)[1]
        first, last = F.select(s, dim=-1, index=0), F.select(s, dim=-1, index=-1)
        return last / first if p == -2 else first / last
    return F.linalg_matrix_norm(x, ord=p) * F.linalg_matrix_norm(F.linalg_inv(x), ord=p)


composite("linalg.svd", _svd, methods=())
composite("svd", _old_svd)
composite("svd_lowrank", _svd_lowrank, methods=())
composite("pca_lowrank", _pca_lowrank, methods=())
composite("linalg.cond", _cond, methods=(), samples=_RECTANGLES[:1])


# pseudoinverses and least squares -----------------------------------------------------------------
def _pinv(xp: Any, x: Any, cutoff: Any = None, *, rtol: float | None = None) -> Any:
    U, S, Vh = xp.linalg.svd(x, full_matrices=False)
    rtol = max(x.shape[-2:]) * float(xp.finfo(S.dtype).eps) if rtol is None else rtol
    top = xp.max(S, axis=-1, keepdims=True) * rtol if S.shape[-1] else S
    least = top if cutoff is None else xp.maximum(top, cutoff[..., None])
    kept = least < S
    inverse = xp.where(kept, 1 / xp.where(kept, S, 1), 0)
    V, Uh = (xp.conj(xp.matrix_transpose(v)) for v in (Vh, U))
    return xp.matmul(V * inverse[..., None, :], Uh)


def _pinv_vjp(F: Any, g: Any, x: Any, y: Any) -> Any:
    h, v = star(F, g), star(F, y)
    beside = h - F.matmul(x, F.matmul(y, h))
    above = h - F.matmul(F.matmul(h, y), x)
    return (F.matmul(F.matmul(beside, y), v) + F.matmul(v, F.matmul(y, above))
            - F.matmul(v, F.matmul(g, v)))  # fmt: skip


def _pinv_jvp(F: Any, x: Any, y: Any, t_x: Any) -> Any:
    h, v = star(F, t_x), star(F, y)
    beside = h - F.matmul(F.matmul(h, x), y)
    above = h - F.matmul(y, F.matmul(x, h))
    return (F.matmul(y, F.matmul(v, beside)) + F.matmul(F.matmul(above, v), y)
            - F.matmul(y, F.matmul(t_x, y)))  # fmt: skip


own("_pinv", _pinv, vjp_x=_pinv_vjp, jvp=_pinv_jvp, node="LinalgPinvBackward0")


def _linalg_pinv(F: Any, A: Any, *, atol: Any = None, rtol: Any = None, rcond: Any = None,
                 hermitian: bool = False) -> Any:  # fmt: skip
    del hermitian  # what it saves is time
    rtol = rcond if rtol is None else rtol
    rtol = 0.0 if rtol is None and atol is not None else rtol
    if hasattr(rtol, "shape") and rtol.ndim == 0:
        rtol = rtol.item()
    least = F.zeros_of(F.real(A.detach()), size=tuple(A.shape[:-2]))
    cutoff = None if atol is None else least + atol
    return F._pinv(A, cutoff, rtol=rtol)


def _lstsq(F: Any, A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular values): those that the driver gives, or empty."""
    (m, n), S = A.shape[-2:], F.zeros_of(F.real(A.detach()), size=(0,))
    X = F.matmul(F._pinv(A, rtol=rcond), B)
    lost = F.real(F.slice(F.reshape(X, shape=(-1,)), end=0))
    if m > n and driver not in (None, "gelsy"):
        lost = F.matmul(A, X) - B
        lost = F.sum(F.real(lost * F.conj(lost)), dim=-2)
    spectrum = F._svd(A.detach())[1]
    rcond = max(m, n) * 2.0**-52 if rcond is None else rcond
    rank = F.sum(spectrum > spectrum[..., :1] * rcond, dim=-1)
    return (X, lost, S.long() if driver == "gels" else rank,
            spectrum if driver in ("gelss", "gelsd") else S)  # fmt: skip


composite("linalg.pinv", _linalg_pinv, **_FULL_RANK)
composite("pinverse", lambda F, A, rcond=1e-15: F._pinv(A, rtol=rcond), samples=_RECTANGLES)
composite("linalg.lstsq", _lstsq, methods=(), samples=[(((4, 3), (4, 2)), {})])
