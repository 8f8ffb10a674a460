"""Covariance and distances of vectors."""

from __future__ import annotations

from typing import Any

from reference_engine.ops.dims import axis
from reference_engine.ops.linalg import col, row, star
from reference_engine.ops.opdef import composite


def _cov(F: Any, x: Any, *, correction: int = 1, fweights: Any = None,
         aweights: Any = None) -> Any:  # fmt: skip
    x = F.reshape(x, shape=(1, -1)) if x.ndim < 2 else x
    w = fweights if aweights is None else aweights if fweights is None else fweights * aweights
    if w is None:
        centred, total = x - F.mean(x, dim=1, keepdim=True), x.shape[1] - correction
    else:
        whole = F.sum(w)
        centred = x - F.unsqueeze(F.sum(x * w, dim=1) / whole, dim=1)
        twice = 1 if aweights is None else F.sum(w * aweights) / whole
        total = whole - correction * twice
    weighed = centred if w is None else centred * w
    made = F.matmul(weighed, star(F, centred)) / total
    return F.squeeze(made)


def _corrcoef(F: Any, x: Any) -> Any:
    c = _cov(F, x)
    if not c.ndim:
        return c / c
    spread = F.sqrt(F.real(F.diagonal(c)))
    return c / col(F, spread) / row(F, spread)


composite("cov", _cov, samples=[(((2, 4),), {})])
composite("corrcoef", _corrcoef, samples=[(((2, 4),), {})])
composite("dist", lambda F, x, other, p=2: F.linalg_vector_norm(x - other, ord=p))
composite("cdist", lambda F, x1, x2, p=2.0, compute_mode=None: F.linalg_vector_norm(
    F.unsqueeze(x1, dim=-2) - F.unsqueeze(x2, dim=-3), ord=p, dim=-1), methods=(), complex=False
    )  # fmt: skip


def _renorm(F: Any, x: Any, p: float, dim: int, maxnorm: float) -> Any:
    where = axis(dim, x.ndim)
    size = F.linalg_vector_norm(x, ord=p, dim=tuple(d for d in range(x.ndim) if d != where),
                                keepdim=True)  # fmt: skip
    return x * F.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)


composite("renorm", _renorm, samples=[(((2, 3),), {"p": 2, "dim": 0, "maxnorm": 0.5})])
