"""Covariance and distances of vectors."""

from __future__ import annotations

from typing import Any

from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import composite, on

# rows are laid out by hand
# fmt: off


def _cov(F: Any, x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    x = F.reshape(x, (1, -1)) if x.ndim < 2 else x
    x = x if x.dtype.differentiable else x / 1
    w = fweights if aweights is None else aweights if fweights is None else fweights * aweights
    if w is None:
        centred, total = x - F.mean(x, dim=1, keepdim=True), x.shape[1] - correction
        return F.squeeze(centred @ F.mH(centred) / total)
    whole = F.sum(w)
    centred = x - F.sum(x * w, dim=1, keepdim=True) / whole
    twice = 1 if aweights is None else F.sum(w * aweights) / whole
    return F.squeeze((centred * w) @ F.mH(centred) / (whole - correction * twice))


def _corrcoef(F: Any, x: Any) -> Any:
    c = _cov(F, x)
    if not c.ndim:
        return c / c
    spread = F.sqrt(F.real(F.diagonal(c)))
    return c / spread[..., None] / spread


def _renorm(F: Any, x: Any, p: float, dim: int, maxnorm: float) -> Any:
    others = tuple(d for d in range(x.ndim) if d != axis(dim, x.ndim))
    size = F.linalg_vector_norm(x, ord=p, dim=others, keepdim=True)
    return x * F.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)


composite("cov", _cov, samples=[on((2, 4))])
composite("corrcoef", _corrcoef, samples=[on((2, 4))])
composite("dist", lambda F, x, other, p=2: F.linalg_vector_norm(x - other, ord=p))
composite("cdist", lambda F, x1, x2, p=2.0, compute_mode=None: F.linalg_vector_norm(
    x1[..., :, None, :] - x2[..., None, :, :], ord=p, dim=-1), methods=(), complex=False)
composite("renorm", _renorm, samples=[on((2, 3), p=2, dim=0, maxnorm=0.5)])
