"""Losses of margins, distances and distributions, and other compositions of nn.functional."""

from __future__ import annotations

from math import log, pi, prod
from typing import Any

from reference_engine.ops.losses import reduce
from reference_engine.ops.opdef import Sample, composite

_PAIR: list[Sample] = [(((2, 3), (2, 3)), {}), (((2, 3), (2, 3)), {"reduction": "sum"})]
_REAL: dict[str, Any] = {"complex": False}


# distances ----------------------------------------------------------------------------------------
def _cosine(F: Any, x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """Each length is at least ``eps``."""
    x1, x2 = F.broadcast_tensors(x1, x2)
    sizes = [F.clamp_min(F.linalg_vector_norm(x, dim=dim, keepdim=True), eps) for x in (x1, x2)]
    return F.sum(x1 / sizes[0] * (x2 / sizes[1]), dim=dim)


def _pairwise(F: Any, x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6,
              keepdim: bool = False) -> Any:  # fmt: skip
    return F.linalg_vector_norm(x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim)


def _normalize(F: Any, x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    return x / F.clamp_min(F.linalg_vector_norm(x, ord=p, dim=dim, keepdim=True), eps)


composite("nn.functional.cosine_similarity", _cosine, **_REAL, samples=_PAIR[:1],
          aliases=("cosine_similarity",), methods=())  # fmt: skip
composite("nn.functional.pairwise_distance", _pairwise, **_REAL, samples=_PAIR[:1])
composite("nn.functional.normalize", _normalize, samples=[(((2, 3),), {})])


# losses of margins --------------------------------------------------------------------------------
def _hinge(F: Any, x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    near = F.where(target != 1, F.clamp_min(margin - x, 0), 0)
    return reduce(F, near + F.where(target != -1, x, 0), reduction)


def _cosine_loss(F: Any, x1: Any, x2: Any, target: Any, margin: float = 0.0,
                 reduction: str = "mean") -> Any:  # fmt: skip
    last = x1.ndim - 1 if target.ndim else 0
    across = F.sum(x1 * x2, dim=last)
    sizes = [F.sum(x * x, dim=last) + 1e-12 for x in (x1, x2)]
    cosine = across / F.sqrt(sizes[0] * sizes[1])
    apart = F.where(target == -1, F.clamp_min(cosine - margin, 0), 0)
    return reduce(F, F.where(target == 1, 1 - cosine, 0) + apart, reduction)


def _triplet_of(F: Any, near: Any, far: Any, margin: float, reduction: str) -> Any:
    return reduce(F, F.clamp_min(near - far + margin, 0), reduction)


def _triplet(F: Any, anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
             eps: float = 1e-6, swap: bool = False, reduction: str = "mean") -> Any:  # fmt: skip
    near, far = (_pairwise(F, anchor, x, p, eps) for x in (positive, negative))
    if swap:
        far = F.minimum(far, _pairwise(F, positive, negative, p, eps))
    return _triplet_of(F, near, far, margin, reduction)


def _triplet_with(F: Any, anchor: Any, positive: Any, negative: Any, *,
                  distance_function: Any = None, margin: float = 1.0, swap: bool = False,
                  reduction: str = "mean") -> Any:  # fmt: skip
    distance = distance_function or (lambda a, b: _pairwise(F, a, b))
    near, far = distance(anchor, positive), distance(anchor, negative)
    far = F.minimum(far, distance(positive, negative)) if swap else far
    return _triplet_of(F, near, far, margin, reduction)


def _multi_margin(F: Any, x: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
                  reduction: str = "mean") -> Any:  # fmt: skip
    n = x.shape[-1] if x.ndim else 1
    x, flat = F.reshape(x, shape=(-1, n)), F.reshape(target, shape=(-1, 1))
    missed = F.clamp_min(margin - F.gather(x, dim=1, index=flat) + x, 0)
    missed = missed * missed if p == 2 else missed
    if weight is not None:
        missed = missed * F.reshape(weight[F.reshape(flat, shape=(-1,))], shape=(-1, 1))
    others = F.scatter(F.ones_like(x), dim=1, index=flat, value=0)
    lost = F.sum(missed * others, dim=1) / n
    return reduce(F, F.reshape(lost, shape=tuple(target.shape)), reduction)


def _soft_labels(F: Any, x: Any, target: Any, weight: Any = None, *,
                 reduction: str = "mean") -> Any:  # fmt: skip
    lost = -(target * F.logsigmoid(x) + (1 - target) * F.logsigmoid(-x))
    lost = lost if weight is None else lost * weight
    return reduce(F, F.mean(lost, dim=-1), reduction)


composite("nn.functional.hinge_embedding_loss", _hinge, **_REAL)
composite("nn.functional.cosine_embedding_loss", _cosine_loss, **_REAL)
composite("nn.functional.margin_ranking_loss", lambda F, x1, x2, target, margin=0.0,
          reduction="mean": reduce(F, F.clamp_min(-target * (x1 - x2) + margin, 0), reduction),
          **_REAL)  # fmt: skip
composite("nn.functional.triplet_margin_loss", _triplet, **_REAL)
composite("nn.functional.triplet_margin_with_distance_loss", _triplet_with, **_REAL)
composite("nn.functional.multi_margin_loss", _multi_margin, **_REAL)
composite("nn.functional.multilabel_soft_margin_loss", _soft_labels, **_REAL)
composite("nn.functional.soft_margin_loss", lambda F, x, target, *, reduction="mean": reduce(
    F, F.softplus(-target * x, threshold=1e300), reduction), **_REAL, samples=_PAIR,
    fill={"target": "constant"})  # fmt: skip


# losses of distributions --------------------------------------------------------------------------
def _poisson(F: Any, x: Any, target: Any, *, log_input: bool = True, full: bool = False,
             eps: float = 1e-8, reduction: str = "mean") -> Any:  # fmt: skip
    lost = F.exp(x) - target * x if log_input else x - target * F.log(x + eps)
    if full:
        stirling = target * F.log(target) - target + F.log(target * (2 * pi)) * 0.5
        lost = lost + F.where(target > 1, stirling, 0)
    return reduce(F, lost, reduction)


def _gaussian(F: Any, x: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
              reduction: str = "mean") -> Any:  # fmt: skip
    if not hasattr(var, "shape"):
        var = F.ones_like(x) * var
    if tuple(var.shape) == tuple(x.shape[:-1]) and var.ndim == x.ndim - 1:
        var = F.unsqueeze(var, dim=-1)
    # the bound is not part of the graph
    held = var + (F.clamp_min(var, eps) - var).detach()
    lost = (F.log(held) + (x - target) * (x - target) / held) * 0.5
    return reduce(F, lost + 0.5 * log(2 * pi) if full else lost, reduction)


composite("nn.functional.poisson_nll_loss", _poisson, **_REAL)
composite("nn.functional.gaussian_nll_loss", _gaussian, **_REAL)


# layers -------------------------------------------------------------------------------------------
def _bilinear(F: Any, x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    made = F.einsum("...i,kij,...j->...k", (x1, weight, x2))
    return made if bias is None else made + bias


def _rms_norm(F: Any, x: Any, normalized_shape: Any, weight: Any = None,
              eps: float | None = None) -> Any:  # fmt: skip
    dims = tuple(range(-len(normalized_shape), 0))
    eps = 2.0**-52 if eps is None else eps
    made = x * F.rsqrt(F.mean(x * x, dim=dims, keepdim=True) + eps)
    return made if weight is None else made * weight


def _attention(F: Any, query: Any, key: Any, value: Any, attn_mask: Any = None,
               dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
               enable_gqa: bool = False) -> Any:  # fmt: skip
    """Softmax of the scaled products; a bool mask says what takes part."""
    if enable_gqa:
        key, value = (F.repeat_interleave(v, query.shape[-3] // v.shape[-3], dim=-3)
                      for v in (key, value))  # fmt: skip
    scores = F.matmul(query, F.transpose(key, dim0=-2, dim1=-1))
    scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = F.tril(F.ones_like(scores.detach())) != 0
    if attn_mask is not None:
        hidden = not attn_mask.dtype.differentiable
        scores = F.where(attn_mask, scores, -float("inf")) if hidden else scores + attn_mask
    return F.matmul(F.dropout(F.softmax(scores, dim=-1), p=dropout_p), value)


def _shuffled(F: Any, x: Any, r: int, back: bool) -> Any:
    lead, (c, h, w) = tuple(x.shape[:-3]), x.shape[-3:]
    n = len(lead)
    if back:
        shape, order = (c, h // r, r, w // r, r), (0, 2, 4, 1, 3)
        final = (c * r * r, h // r, w // r)
    else:
        shape, order = (c // (r * r), r, r, h, w), (0, 3, 1, 4, 2)
        final = (c // (r * r), h * r, w * r)
    made = F.permute(F.reshape(x, shape=(*lead, *shape)),
                     dims=(*range(n), *(n + d for d in order)))  # fmt: skip
    return F.reshape(made, shape=(*lead, *final))


def _channel_shuffle(F: Any, x: Any, groups: int) -> Any:
    c = x.shape[1]
    apart = F.reshape(x, shape=(x.shape[0], groups, c // groups, prod(x.shape[2:])))
    return F.reshape(F.transpose(apart, dim0=1, dim1=2), shape=tuple(x.shape))


composite("nn.functional.bilinear", _bilinear, **_REAL)
composite("nn.functional.rms_norm", _rms_norm)
composite("nn.functional.scaled_dot_product_attention", _attention, **_REAL)
composite("nn.functional.pixel_shuffle", lambda F, x, upscale_factor: _shuffled(
    F, x, upscale_factor, False))  # fmt: skip
composite("nn.functional.pixel_unshuffle", lambda F, x, downscale_factor: _shuffled(
    F, x, downscale_factor, True))  # fmt: skip
composite("nn.functional.channel_shuffle", _channel_shuffle)
