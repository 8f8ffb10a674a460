"""Linear algebra beyond products: factorisations, and what follows from them.

Derivatives of factorisations as in Giles 2008, https://people.maths.ox.ac.uk/gilesm/files/NA-08-01.pdf;
complex ones as in Wan and Zhang 2019, https://arxiv.org/abs/1909.02659.
"""

from __future__ import annotations

from functools import reduce
from math import inf, prod
from operator import add, matmul
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.complexes import holds_complex
from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import Sample, composite, nondiff, on, own

# rows are laid out by hand
# fmt: off

_SQUARE: list[Sample] = [on((2, 2)), on((2, 3, 3))]
_DEFINITE: dict[str, Any] = {"fill": {"x": "positive-definite"}, "samples": _SQUARE}


def over(F: Any, B: Any, A: Any) -> Any:
    """B A⁻¹."""
    return F.mT(F._solve(F.mT(A), F.mT(B)))


def eye(F: Any, x: Any) -> Any:
    """The first columns of identities, in the shape of x."""
    ones = F.ones_like(F.diagonal(x, dim1=-2, dim2=-1))
    return F._undiagonal(ones, size=tuple(x.shape), offset=0, dim1=-2, dim2=-1)


def real_diagonal(F: Any, x: Any) -> Any:
    """The real part of the diagonal."""
    return F.real(F.diagonal(x, dim1=-2, dim2=-1))


def success(F: Any, x: Any) -> Any:
    """LAPACK's info for each matrix: 0."""
    return F._numbers_of(x, values=(0,) * prod(x.shape[:-2])).int().reshape(x.shape[:-2])


# Cholesky -----------------------------------------------------------------------------------------
def _cholesky_vjp(F: Any, g: Any, y: Any) -> Any:
    product = F.tril(F.mH(y) @ g)
    inner = (product + F.mH(F.tril(product, diagonal=-1))) * 0.5
    return F._solve(F.mH(y), over(F, inner, y))


def _of_factor(F: Any, x: Any, upper: bool) -> Any:
    """L Lᴴ or Uᴴ U of a triangular factor; the other triangle of ``x`` is not looked at."""
    x = F.mH(F.triu(x)) if upper else F.tril(x)
    return x @ F.mH(x)


own("_cholesky", lambda xp, x: xp.linalg.cholesky(x), vjp_x=_cholesky_vjp,
    node="LinalgCholeskyExBackward0")
composite("linalg.cholesky", lambda F, x, *, upper=False: F.mH(F._cholesky(x)) if upper
          else F._cholesky(x), **_DEFINITE)
composite("linalg.cholesky_ex", lambda F, x, *, upper=False, check_errors=False: (
    F.linalg_cholesky(x, upper=upper), success(F, x)))
composite("cholesky", lambda F, x, upper=False: F.linalg_cholesky(x, upper=upper))
composite("cholesky_inverse", lambda F, x, upper=False: F.linalg_inv(_of_factor(F, x, upper)))
composite("cholesky_solve", lambda F, x, other, upper=False: F.linalg_solve(
    _of_factor(F, other, upper), x))


# determinants, inverses and triangles -------------------------------------------------------------
def _slogdet_vjp(F: Any, g_sign: Any, g_logabsdet: Any, x: Any, sign: Any) -> Any:
    g = g_logabsdet
    g = F.complex(g, F.imag(F.conj(sign) * g_sign)) if holds_complex(x) else g
    return g[..., None, None] * F.mH(F.linalg_inv(x))


def _logdet(F: Any, x: Any) -> Any:
    sign, size = F.linalg_slogdet(x)
    return size + F.log(sign)


def _triangular(F: Any, A: Any, B: Any, *, upper: bool, left: bool = True,
                unitriangular: bool = False) -> Any:
    """Solves with one triangle of A only, its diagonal taken as 1 where asked."""
    beside = int(unitriangular)
    part = F.triu(A, diagonal=beside) if upper else F.tril(A, diagonal=-beside)
    part = part + eye(F, A) if unitriangular else part
    return F._solve(part, B) if left else over(F, B, part)


own("linalg.slogdet", lambda xp, x: tuple(xp.linalg.slogdet(x)), outputs=("sign", "logabsdet"),
    vjp_x=_slogdet_vjp, aliases=("slogdet",), methods=("slogdet",),
    fill={"x": "positive-definite"})
composite("logdet", _logdet)
composite("linalg.inv_ex", lambda F, x, *, check_errors=False: (F.linalg_inv(x), success(F, x)))
composite("linalg.solve_ex", lambda F, A, B, *, left=True, check_errors=False: (
    F.linalg_solve(A, B, left=left), success(F, A)))
composite("linalg.solve_triangular", _triangular)
composite("triangular_solve", lambda F, b, A, upper=True, transpose=False, unitriangular=False: (
    _triangular(F, F.mT(A) if transpose else A, b, upper=upper != transpose,
                unitriangular=unitriangular), F.clone(A)))


# powers and exponentials --------------------------------------------------------------------------
def _matrix_power(F: Any, x: Any, n: int) -> Any:
    """By repeated squaring."""
    if n < 0:
        return _matrix_power(F, F.linalg_inv(x), -n)
    if n < 2:
        return F.clone(x) if n else F._beside(eye(F, x), x)
    half = _matrix_power(F, x, n // 2)
    return half @ half @ x if n % 2 else half @ half


def _exponential(xp: Any, x: Any) -> Any:
    if x.itemsize == 2:  # torch's kernel overflows in half precision
        return xp.astype(xp.matrix_exp(xp.astype(x, xp.float32)), x.dtype)
    return xp.matrix_exp(x)


def _numpy_matrix_exp(x: Any) -> Any:
    # expm loses up to 3,000 roundoffs at norms of about 5 in SciPy 1.17, and is wrong for some
    # batches in 1.18 (scipy issue 25924); what expm_frechet does on its way keeps within 50
    from scipy.linalg import expm_frechet

    found = np.full_like(x, np.nan)
    for place in np.ndindex(x.shape[:-2]):
        if x[place].size and np.isfinite(x[place]).all():
            found[place] = expm_frechet(x[place], np.zeros_like(x[place]))[0]
    return found


def _exp_along(F: Any, x: Any, direction: Any) -> Any:
    """The derivative of the exponential, a block of that of [[x, d], [0, x]] (Najfeld and Havel
    1995, https://doi.org/10.1006/aama.1995.1017), for a direction d brought near 1 by a power of 2:
    from larger blocks the exponential takes as many digits as they are larger.
    """
    n = x.shape[-1]
    if n == 0:
        return direction
    top = F.amax(F.abs(direction), dim=(-2, -1), keepdim=True)
    scale = F.exp2(F.floor(F.log2(F.where((top > 0) & F.isfinite(top), top, 1))))
    block = F.cat(F.cat(x, direction / scale, dim=-1), F.cat(x * 0, x, dim=-1), dim=-2)
    return F.matrix_exp(block)[..., :n, n:] * scale


NUMPY.define("matrix_exp", _numpy_matrix_exp)
NUMPY.define("matrix_transpose", np.matrix_transpose)
composite("linalg.matrix_power", _matrix_power, aliases=("matrix_power",), methods=(
    "matrix_power",), samples=[on((2, 3, 3), n=5)])
own("matrix_exp", _exponential, vjp_x=lambda F, g, x: _exp_along(F, F.mH(x), g),
    aliases=("linalg.matrix_exp",), node="LinalgMatrixExpBackward0",
    jvp=lambda F, x, t_x: _exp_along(F, x, t_x), samples=_SQUARE)


# eigenvalues and singular values ------------------------------------------------------------------
def _gaps(F: Any, s: Any) -> Any:
    """1/(sⱼ − sᵢ), with 0 on the diagonal."""
    diagonal = F.diag_embed(F.ones_like(s)) != 0
    return F.where(diagonal, 0, 1 / F.where(diagonal, 1, s[..., None, :] - s[..., None]))


def _determined(xp: Any, phases: Any) -> Any:
    """RuntimeError where a loss would change with the phases of complex vectors, which nothing
    determines; to the 1 % that PyTorch allows.
    """
    if xp.any(xp.abs(phases) > 0.01):
        raise RuntimeError(
            "the loss depends on the phases of complex eigenvectors or singular vectors, which are "
            "not determined; use what all of them have in common, such as absolute values")
    return phases


nondiff("_determined", _determined)


def _phases(F: Any, turn: Any) -> Any:
    """How a loss changes with the phase of each vector."""
    return F.imag(F.diagonal(turn, dim1=-2, dim2=-1))


def _spectral_vjp(F: Any, g_eigenvalues: Any, g_eigenvectors: Any, eigenvalues: Any,
                  eigenvectors: Any) -> Any:
    """The adjoint of a Hermitian matrix's eigenvectors, which are of length 1, is their inverse."""
    v, hermitian = F.mH(eigenvectors), not holds_complex(eigenvalues)
    parts = [] if g_eigenvalues is None else [g_eigenvalues[..., None] * v]
    if g_eigenvectors is not None:
        turn = v @ g_eigenvectors
        if holds_complex(turn):
            F._determined(_phases(F, turn))
        if not hermitian:
            turn = turn - v @ (eigenvectors * real_diagonal(F, turn)[..., None, :])
        parts.append((turn * F.conj(_gaps(F, eigenvalues))) @ v)
    inner = reduce(add, parts)
    whole = eigenvectors @ inner if hermitian else F._solve(v, inner)
    return (whole + F.mH(whole)) * 0.5 if hermitian else whole


def _of_side(F: Any, g: Any, U: Any, S: Any, Vh: Any) -> Any:
    """The cotangent of U S Vᴴ for that of U; a part of it lies across U where that is tall."""
    turn = F.mH(U) @ g
    found = U @ ((turn - F.mH(turn)) * _gaps(F, S * S) * S[..., None, :])
    if U.shape[-2] > U.shape[-1]:
        found = found + (g - U @ turn) / S[..., None, :]
    return found @ Vh


def _svd_vjp(F: Any, g_U: Any, g_S: Any, g_Vh: Any, U: Any, S: Any, Vh: Any) -> Any:
    """Of the thin factorisation: Aᴴ has U and V in turned roles."""
    parts = [] if g_S is None else [U * g_S[..., None, :] @ Vh]
    if holds_complex(U):
        turns = [] if g_U is None else [F.mH(U) @ g_U]
        turns += [] if g_Vh is None else [Vh @ F.mH(g_Vh)]
        if turns:
            F._determined(_phases(F, reduce(add, turns)))
    if g_U is not None:
        parts.append(_of_side(F, g_U, U, S, Vh))
        if holds_complex(U):  # the phase that U and V share is U's
            phase = _phases(F, F.mH(U) @ g_U) / S
            parts.append(U * F.complex(phase * 0, phase)[..., None, :] @ Vh)
    if g_Vh is not None:
        parts.append(F.mH(_of_side(F, F.mH(g_Vh), F.mH(Vh), S, F.mH(U))))
    return reduce(add, parts)


_SPECTRUM = ("eigenvalues", "eigenvectors")
own("linalg.eigh", lambda xp, x, *, UPLO="L": tuple(xp.linalg.eigh(
        x if UPLO == "L" else xp.conj(xp.matrix_transpose(x)))),
    outputs=_SPECTRUM, vjp_x=_spectral_vjp, undefined=True)
composite("linalg.eigvalsh", lambda F, x, UPLO="L": F.linalg_eigh(x, UPLO=UPLO)[0])
own("linalg.eig", lambda xp, x: tuple(v + 0j for v in xp.linalg.eig(x)), outputs=_SPECTRUM,
    vjp_x=_spectral_vjp, undefined=True)
composite("linalg.eigvals", lambda F, x: F.linalg_eig(x)[0], samples=[on((3, 3))])
own("_svd", lambda xp, x: tuple(xp.linalg.svd(x, full_matrices=False)), outputs=("U", "S", "Vh"),
    vjp_x=_svd_vjp, undefined=True, node="LinalgSvdBackward0")
composite("linalg.svdvals", lambda F, x: F._svd(x)[1])


# norms --------------------------------------------------------------------------------------------
def _matrix_norm(F: Any, x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *,
                 dtype: Any = None) -> Any:
    rows, columns = (axis(d, x.ndim) for d in dim)
    x = x if dtype is None else x.to(dtype)
    if ord == "fro":
        return F.linalg_vector_norm(x, ord=2, dim=(rows, columns), keepdim=keepdim)
    if ord not in ("nuc", 1, -1, 2, -2, inf, -inf):
        raise RuntimeError(f"matrix_norm got ord={ord!r}; expected 'fro', 'nuc', ±1, ±2 or ±inf")
    kept = tuple(1 if d in (rows, columns) else n for d, n in enumerate(x.shape))
    x = F.movedim(x, source=(rows, columns), destination=(-2, -1))
    if ord in ("nuc", 2, -2):
        sizes = F._svd(x)[1]
    else:
        sizes = F.linalg_vector_norm(x, ord=1, dim=-1 if abs(ord) == inf else -2)
    made = F.sum(sizes, dim=-1) if ord == "nuc" else (F.amax if ord > 0 else F.amin)(sizes, dim=-1)
    return F.reshape(made, shape=kept) if keepdim else made


def _linalg_norm(F: Any, x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *,
                 dtype: Any = None) -> Any:
    """Of a matrix where two dimensions or an ``ord`` of matrices say so, else of a vector."""
    pair = dim is not None and not isinstance(dim, int) and len(dim) == 2
    if ord is None or not (pair or (dim is None and x.ndim == 2) or isinstance(ord, str)):
        return F.linalg_vector_norm(x, ord=2 if ord is None else ord, dim=dim, keepdim=keepdim,
                                    dtype=dtype)
    return _matrix_norm(F, x, ord, dim if pair else (-2, -1), keepdim, dtype=dtype)


composite("linalg.matrix_norm", _matrix_norm, samples=[on((2, 3))])
composite("linalg.norm", _linalg_norm, samples=[on((2, 3), ord=1)])
composite("linalg.diagonal", lambda F, x, *, offset=0, dim1=-2, dim2=-1: F.diagonal(
    x, offset=offset, dim1=dim1, dim2=dim2), order=("x",))


# products -----------------------------------------------------------------------------------------
def _cross(F: Any, x: Any, other: Any, dim: int | None) -> Any:
    """Along ``dim``, or for None along the first dimension of size 3, as torch.cross has it."""
    x, other = F.broadcast_tensors(x, other)
    dims = (x.shape.index(3) if dim is None else dim,)
    turned = [F.roll(v, shifts=s, dims=dims) for v in (x, other) for s in (-1, 1)]
    return turned[0] * turned[3] - turned[1] * turned[2]


def _plus(F: Any, x: Any, made: Any, beta: Any, alpha: Any) -> Any:
    return made * alpha if beta == 0 else F.expand(x, size=tuple(made.shape)) * beta + made * alpha


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


composite("linalg.cross", lambda F, x, other, *, dim=-1: _cross(F, x, other, dim),
          samples=[on((2, 3), (2, 3))])
composite("cross", lambda F, x, other, dim=None: _cross(F, x, other, dim))
composite("linalg.vecdot", lambda F, x, other, *, dim=-1: F.sum(F.conj(x) * other, dim=dim),
          samples=[on((2, 3), (2, 3))])
composite("addr", lambda F, x, vec1, vec2, *, beta=1, alpha=1: _plus(
    F, x, F.outer(vec1, vec2), beta, alpha), inplace=True)
composite("addbmm", lambda F, x, batch1, batch2, *, beta=1, alpha=1: _plus(
    F, x, F.sum(F.bmm(batch1, batch2), dim=0), beta, alpha), inplace=True)
# the chain from the left; first and last may be vectors
composite("linalg.multi_dot", lambda F, *xs: reduce(matmul, xs))
composite("linalg.tensorinv", _tensorinv)
composite("linalg.tensorsolve", _tensorsolve)
