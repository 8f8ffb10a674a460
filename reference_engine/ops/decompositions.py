"""Factorisations in all their shapes: LU, QR, singular vectors, pseudoinverses, and what is solved
with them.

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
from reference_engine.ops.linalg import eye, over, real_diagonal, success
from reference_engine.ops.opdef import Sample, composite, nondiff, on, own

# rows are laid out by hand
# fmt: off

_RECTANGLES: list[Sample] = [on((3, 3)), on((2, 4, 3)), on((2, 3))]
_FULL_RANK: dict[str, Any] = {"methods": (), "samples": _RECTANGLES}


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


def _lu_parts(xp: Any, x: Any) -> Any:
    return (getattr(xp.linalg, "lu_factor", None) or xp.lu_factor)(x)


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
    left = packed[..., :k]
    return F.tril(left, diagonal=-1) + eye(F, left), F.triu(packed[..., :k, :])


def _lu_vjp(F: Any, g: Any, y: Any) -> Any:
    left, right = map(F.mH, _unpacked(F, y))
    inner = F.tril(left @ F.tril(g, diagonal=-1), diagonal=-1) + F.triu(F.triu(g) @ right)
    return F._solve(left, over(F, inner, right))


NUMPY.define("lu_factor", _numpy_lu_factor)
nondiff("_lu_pivots", lambda xp, x: _lu_parts(xp, x)[1])
nondiff("_permuted", _permuted)
# of a matrix whose rows stand in the order of their pivots
own("_lu", lambda xp, x: _lu_parts(xp, x)[0], vjp_x=_lu_vjp, node="LinalgLuFactorExBackward0")


def _lu_factor(F: Any, A: Any, *, pivot: bool = True) -> tuple[Any, Any]:
    if not pivot:
        raise RuntimeError("LU needs pivots: only pivot=True is supported on a CPU")
    pivots, m, k = F._lu_pivots(A), A.shape[-2], min(A.shape[-2:])
    order = F.expand(F._permuted(pivots, rows=m)[..., None], size=tuple(A.shape))
    A = F.gather(A, dim=-2, index=order) if m else A
    square = F._lu(A[..., :k, :k])
    left, right = _unpacked(F, square)
    if m > k:
        return F.cat(square, over(F, A[..., k:, :], right), dim=-2), pivots
    return F.cat(square, F._solve(left, A[..., k:]), dim=-1) if A.shape[-1] > k else square, pivots


def _lu_unpack(F: Any, LU: Any, pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
               ) -> Any:
    """(P, L, U) with A = P L U; what is not asked for is empty."""
    nothing, rows = F.zeros_of(LU, size=(0,)), LU.shape[-2]
    parts = _unpacked(F, LU) if unpack_data else (nothing, nothing)
    if not unpack_pivots:
        return nothing, *parts
    order = F._permuted(pivots, rows=rows)[..., None, :]
    return (order == F._numbers_of(LU, values=tuple(range(rows)))[..., None]).to(LU.dtype), *parts


def _lu_solve(F: Any, LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False
              ) -> Any:
    if not left:
        return F.mH(_lu_solve(F, LU, pivots, F.mH(B), adjoint=not adjoint))
    P, lower, upper = _lu_unpack(F, LU, pivots)
    if adjoint:
        return P @ F._solve(F.mH(lower), F._solve(F.mH(upper), B))
    return F._solve(upper, F._solve(lower, F.mT(P) @ B))


composite("linalg.lu_factor", _lu_factor, **_FULL_RANK)
composite("linalg.lu_factor_ex", lambda F, A, *, pivot=True, check_errors=False: (
    *_lu_factor(F, A, pivot=pivot), success(F, A)), **_FULL_RANK)
composite("lu", lambda F, A, pivot=True, get_infos=False: (
    *_lu_factor(F, A, pivot=pivot), *((success(F, A),) if get_infos else ())), samples=_RECTANGLES)
composite("linalg.lu", lambda F, A, *, pivot=True: _lu_unpack(F, *_lu_factor(F, A, pivot=pivot)),
          **_FULL_RANK)
composite("lu_unpack", _lu_unpack, methods=())
composite("linalg.lu_solve", _lu_solve)
composite("lu_solve", lambda F, b, LU, pivots: _lu_solve(F, LU, pivots, b))


# QR -----------------------------------------------------------------------------------------------
def _qr_vjp(F: Any, g_Q: Any, g_R: Any, Q: Any, R: Any) -> Any:
    if R.shape[-2] > R.shape[-1]:
        raise RuntimeError("qr of a tall matrix is differentiable in mode='reduced' only")
    inner = F.zeros_like(R) if g_R is None else g_R @ F.mH(R)
    inner = F.triu(inner if g_Q is None else inner - F.mH(Q) @ g_Q)
    turned = Q @ (inner + F.mH(inner) - F.diag_embed(real_diagonal(F, inner)))
    return over(F, turned if g_Q is None else turned + g_Q, F.mH(R))


def _linalg_qr(F: Any, A: Any, mode: str = "reduced") -> Any:
    """Gradients need the reduced factors of a matrix, or all of a square or wide one's."""
    m, n = A.shape[-2:]
    if mode == "r":
        return F.zeros_of(A, size=(0,)), _linalg_qr(F, A.detach())[1]
    if m >= n:
        return F._qr(A, mode=mode) if mode == "complete" and m > n else F._qr(A)
    Q, R = F._qr(A[..., :m])
    return Q, F.cat(R, F.mH(Q) @ A[..., m:], dim=-1)


def _reflected(F: Any, A: Any, tau: Any, C: Any, adjoint: bool) -> Any:
    """The Householder reflections 1 − τᵢ vᵢ vᵢᴴ, the last first, or their adjoints in turn."""
    k = tau.shape[-1]
    for i in range(k) if adjoint else reversed(range(k)):
        v = F.constant_pad_nd(A[..., i + 1 :, i : i + 1], pad=(0, 0, 1, 0), value=1)
        v, t = F.constant_pad_nd(v, pad=(0, 0, i, 0)), tau[..., None, i : i + 1]
        C = C - v * (F.conj(t) if adjoint else t) @ (F.mH(v) @ C)
    return C


def _ormqr(F: Any, A: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False) -> Any:
    """Q·other, or its variants: other on the left, Q's adjoint."""
    if left:
        return _reflected(F, A, tau, other, transpose)
    return F.mH(_reflected(F, A, tau, F.mH(other), not transpose))


own("_qr", lambda xp, x, *, mode="reduced": tuple(xp.linalg.qr(x, mode=mode)), vjp_x=_qr_vjp,
    outputs=("Q", "R"), undefined=True, node="LinalgQrBackward0")
composite("linalg.qr", _linalg_qr, **_FULL_RANK)
composite("qr", lambda F, A, some=True: _linalg_qr(F, A, "reduced" if some else "complete"),
          samples=_RECTANGLES)
composite("linalg.householder_product", lambda F, A, tau: _reflected(F, A, tau, eye(F, A), False),
          methods=(), aliases=("orgqr",), samples=[on((3, 2), (2,))])
composite("ormqr", _ormqr, samples=[on((3, 2), (2,), (3, 2))])


# singular vectors ---------------------------------------------------------------------------------
def _svd(F: Any, x: Any, full_matrices: bool = True) -> Any:
    """The thin factors; the columns that complete them are free, and carry no gradient."""
    U, S, Vh = F._svd(x)
    k = S.shape[-1]
    if full_matrices and max(x.shape[-2:]) > k:
        more, _, below = F._svd_full(x)
        U, Vh = F.cat(U, more[..., k:], dim=-1), F.cat(Vh, below[..., k:, :], dim=-2)
    return U, S, Vh


def _old_svd(F: Any, x: Any, some: bool = True, compute_uv: bool = True) -> Any:
    U, S, Vh = _svd(F, x, full_matrices=not some)
    return (U, S, F.mH(Vh)) if compute_uv else (F.zeros_like(U), S, F.zeros_like(F.mH(Vh)))


def _svd_lowrank(F: Any, A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> Any:
    """By subspace iteration from a random start (Halko et al. 2009,
    https://arxiv.org/abs/0909.4061).
    """
    A = A if M is None else A - M
    size = (*A.shape[:-2], A.shape[-1], 6 if q is None else q)
    Q = _linalg_qr(F, A @ F.normal(F.zeros_of(A, size=size)))[0]
    for _ in range(2 if niter is None else niter):
        Q = _linalg_qr(F, A @ _linalg_qr(F, F.mH(A) @ Q)[0])[0]
    U, S, Vh = F._svd(F.mH(Q) @ A)
    return Q @ U, S, F.mH(Vh)


def _pca_lowrank(F: Any, A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    q = min(6, *A.shape[-2:]) if q is None else q
    return _svd_lowrank(F, A - F.mean(A, dim=-2, keepdim=True) if center else A, q, niter)


def _cond(F: Any, x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        s = F._svd(x)[1]
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return F.linalg_matrix_norm(x, ord=p) * F.linalg_matrix_norm(F.linalg_inv(x), ord=p)


nondiff("_svd_full", lambda xp, x: tuple(xp.linalg.svd(x, full_matrices=True)),
        outputs=("U", "S", "Vh"))
composite("linalg.svd", _svd)
composite("svd", _old_svd)
composite("svd_lowrank", _svd_lowrank, methods=())
composite("pca_lowrank", _pca_lowrank, methods=())
composite("linalg.cond", _cond, samples=_RECTANGLES[:1])


# pseudoinverses and least squares -----------------------------------------------------------------
def _pinv(xp: Any, x: Any, cutoff: Any = None, *, rtol: float | None = None) -> Any:
    U, S, Vh = xp.linalg.svd(x, full_matrices=False)
    rtol = max(x.shape[-2:]) * float(xp.finfo(S.dtype).eps) if rtol is None else rtol
    top = xp.max(S, axis=-1, keepdims=True) * rtol if S.shape[-1] else S
    kept = (top if cutoff is None else xp.maximum(top, cutoff[..., None])) < S
    inverse = xp.where(kept, 1 / xp.where(kept, S, 1), 0)
    V, Uh = (xp.conj(xp.matrix_transpose(v)) for v in (Vh, U))
    return V * inverse[..., None, :] @ Uh


def _pinv_vjp(F: Any, g: Any, x: Any, y: Any) -> Any:
    h, v = F.mH(g), F.mH(y)
    return (h - x @ (y @ h)) @ y @ v + v @ (y @ (h - h @ y @ x)) - v @ g @ v


def _linalg_pinv(F: Any, A: Any, *, atol: Any = None, rtol: Any = None, rcond: Any = None,
                 hermitian: bool = False) -> Any:
    """``hermitian`` would save time."""
    rtol = rcond if rtol is None else rtol
    rtol = 0.0 if rtol is None and atol is not None else rtol
    if hasattr(rtol, "shape") and rtol.ndim == 0:
        rtol = rtol.item()
    least = F.zeros_of(F.real(A.detach()), size=tuple(A.shape[:-2]))
    return F._pinv(A, None if atol is None else least + atol, rtol=rtol)


def _lstsq(F: Any, A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular values): those that the driver gives, or empty."""
    (m, n), S = A.shape[-2:], F.zeros_of(F.real(A.detach()), size=(0,))
    X = F._pinv(A, rtol=rcond) @ B
    lost = F.real(F.reshape(X, shape=(-1,))[:0])
    if m > n and driver not in (None, "gelsy"):
        lost = A @ X - B
        lost = F.sum(F.real(lost * F.conj(lost)), dim=-2)
    spectrum = F._svd(A.detach())[1]
    rcond = max(m, n) * 2.0**-52 if rcond is None else rcond
    rank = F.sum(spectrum > spectrum[..., :1] * rcond, dim=-1)
    return (X, lost, S.long() if driver == "gels" else rank,
            spectrum if driver in ("gelss", "gelsd") else S)


own("_pinv", _pinv, vjp_x=_pinv_vjp, node="LinalgPinvBackward0")
composite("linalg.pinv", _linalg_pinv, **_FULL_RANK)
composite("pinverse", lambda F, A, rcond=1e-15: F._pinv(A, rtol=rcond), samples=_RECTANGLES)
composite("linalg.lstsq", _lstsq, samples=[on((4, 3), (4, 2))])
