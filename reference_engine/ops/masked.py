"""Reductions and normalisations of the elements that a mask keeps: ``masked.sum`` and its kin.

What is masked out becomes the identity of the operation, as documented at
https://pytorch.org/docs/stable/masked.html; a slice without elements gives what that identity
gives.
"""

from __future__ import annotations

from functools import partial
from math import inf, nan
from typing import Any

import numpy as np

from reference_engine.backends.dtypes import Category
from reference_engine.ops.dims import axes, count
from reference_engine.ops.opdef import composite, on

# rows are laid out by hand
# fmt: off


def _filled(F: Any, x: Any, mask: Any, value: float, dtype: Any = None) -> Any:
    x = x if dtype is None else x.to(dtype)
    if mask is None:
        return x
    if abs(value) == inf and x.dtype.category == Category.INTEGER:  # its greatest or least number
        value = int(np.iinfo(x.dtype.name).max if value > 0 else np.iinfo(x.dtype.name).min)
    return F.where(mask, x, value)


def _count(F: Any, x: Any, mask: Any, dim: Any, keepdim: bool) -> Any:
    """How many elements of each slice take part."""
    if mask is None:
        return count(x.shape, dim)
    return F.sum(F.expand(mask, size=tuple(x.shape)), dim=dim, keepdim=keepdim)


def _reduced(F: Any, x: Any, mask: Any = None, *, verb: str, identity: float, dim: Any = None,
             keepdim: bool = False, dtype: Any = None) -> Any:
    x = _filled(F, x, mask, identity, dtype)
    return getattr(F, verb)(x, dim=axes(dim, x.ndim), keepdim=keepdim)


def _along(F: Any, x: Any, mask: Any = None, *, verb: str, identity: float, dim: int,
           dtype: Any = None) -> Any:
    return getattr(F, verb)(_filled(F, x, mask, identity, dtype), dim=dim)


def _prod(F: Any, x: Any, mask: Any = None, *, dim: Any = None, keepdim: bool = False,
          dtype: Any = None) -> Any:
    x, gone = _filled(F, x, mask, 1, dtype), axes(dim, x.ndim)
    for d in gone:
        x = F.prod(x, dim=d, keepdim=True)
    return x if keepdim or not gone else F.squeeze(x, dim=gone)


def _mean(F: Any, x: Any, mask: Any = None, *, dim: Any = None, keepdim: bool = False,
          dtype: Any = None) -> Any:
    total = F.sum(_filled(F, x, mask, 0, dtype), dim=axes(dim, x.ndim), keepdim=keepdim)
    n = _count(F, x, mask, dim, keepdim)
    return total * (1 / n if n else nan) if isinstance(n, int) else total / n


def _var(F: Any, x: Any, mask: Any = None, *, dim: Any = None, unbiased: bool | None = None,
         keepdim: bool = False, correction: int | None = None, dtype: Any = None) -> Any:
    x = _filled(F, x, None, 0, dtype)
    correction = int(unbiased is not False) if correction is None else correction
    centred = _filled(F, x - _mean(F, x, mask, dim=dim, keepdim=True), mask, 0)
    # of complex numbers a complex one, unlike var's, as in PyTorch
    total = F.sum(centred * F.conj(centred), dim=axes(dim, x.ndim), keepdim=keepdim)
    freedom = _count(F, x, mask, dim, keepdim) - correction
    return total / (F.clamp_min(freedom, 0) if mask is not None else max(freedom, 0))


def _norm(F: Any, x: Any, mask: Any = None, *, ord: float = 2.0, dim: Any = None,
          keepdim: bool = False, dtype: Any = None) -> Any:
    x = _filled(F, x, mask, inf if ord == -inf else 0, dtype)
    return F.linalg_vector_norm(x, ord=float(ord), dim=axes(dim, x.ndim), keepdim=keepdim)


def _logaddexp(F: Any, x: Any, other: Any, input_mask: Any = None, other_mask: Any = None, *,
               dtype: Any = None) -> Any:
    x, other = _filled(F, x, input_mask, -inf, dtype), _filled(F, other, other_mask, -inf, dtype)
    if input_mask is None or other_mask is None:
        return F.logaddexp(x, other)
    none = F.logical_not(F.logical_or(input_mask, other_mask))
    return F.where(none, -inf, F.logaddexp(F.where(none, 0, x), other))


_ROW: dict[str, Any] = {"fill": {"mask": "bool"}}
_ONE, _ALONG = [on((2, 5))], [on((2, 5), (2, 5), dim=1)]
_ALL = [*_ONE, *_ALONG, on((2, 3, 2), (3, 1), dim=(0, -1), keepdim=True)]
for _name, _forward, _identity, _samples in (
    ("sum", _reduced, 0, _ALL), ("amax", _reduced, -inf, _ALL), ("amin", _reduced, inf, _ALL),
    ("logsumexp", _reduced, -inf, _ONE), ("softmax", _along, -inf, _ALONG),
    ("log_softmax", _along, -inf, _ALONG), ("softmin", _along, inf, _ALONG),
    ("cumsum", _along, 0, _ALONG), ("cumprod", _along, 1, _ALONG)):
    composite(f"masked.{_name}", partial(_forward, verb=_name, identity=_identity),
              complex=_name in ("sum", "logsumexp", "cumsum", "cumprod"), order=("x", "dim"),
              samples=_samples, **_ROW)
composite("masked.prod", _prod, order=("x", "dim"), samples=_ALL, **_ROW)
composite("masked.mean", _mean, order=("x", "dim"), samples=_ALL, **_ROW)
_spread: Any = composite("masked.var", _var, order=("x", "dim", "unbiased"), samples=_ONE, **_ROW)
composite("masked.std", lambda F, x, mask=None, **given: F.sqrt(_var(F, x, mask, **given)),
          params=_spread.params, order=_spread.order, samples=_ONE, **_ROW)
composite("masked.norm", _norm, order=("x", "ord", "dim"), samples=_ALL, **_ROW)
composite("masked.normalize", lambda F, x, mask=None, *, ord, dim, eps=1e-12, dtype=None:
          _filled(F, x, mask, 0, dtype) / F.clamp_min(
              _norm(F, x, mask, ord=ord, dim=dim, keepdim=True, dtype=dtype), eps),
          order=("x", "ord", "dim"), samples=[on((2, 3), (2, 3), ord=2.0, dim=1)], **_ROW)
composite("masked.median", lambda F, x, mask=None, *, dim=-1, keepdim=False, dtype=None: (
    F.median if mask is None else F.nanmedian)(_filled(F, x, mask, nan, dtype), dim, keepdim)[0],
    order=("x", "dim"), complex=False, kinks="ties", samples=_ALONG, **_ROW)
composite("masked.logaddexp", _logaddexp, complex=False, order=("x", "other"),
          samples=[on((2, 3), (2, 3))], **_ROW)
