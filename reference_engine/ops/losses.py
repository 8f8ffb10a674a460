"""Losses and distances: formulas of elements, and how they are reduced to a number."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, nan, pi, prod
from typing import Any

import numpy as np

from reference_engine.ops.opdef import Sample, asking, composite, linear, on, own

# rows are laid out by hand
# fmt: off

_PAIR: list[Sample] = [on((2, 3), (2, 3)), on((2, 3), (2, 3), reduction="none"),
                       on((2, 3), (2, 3), reduction="sum")]
_REAL: dict[str, Any] = {"complex": False}


def reduce(F: Any, v: Any, reduction: str) -> Any:
    """The losses of all elements, their mean or their sum."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; expected 'none', 'mean' or 'sum'")
    return v if reduction == "none" else F.mean(v) if reduction == "mean" else F.sum(v)


def _times(v: Any, weight: Any) -> Any:
    return v if weight is None else v * weight


# of each element ----------------------------------------------------------------------------------
def _row(name: str, value: Any, dx: Any, dtarget: Any, *more: str, **row: Any) -> None:
    """A reduced loss by the formula of an element and its derivatives, all of them functions of
    (F, x, target, ...): of optional inputs ``more`` and the row's params.
    """
    params: Mapping[str, Any] = row.pop("params", {})
    names = ("x", "target", *more, *params)

    def forward(xp: Any, *values: Any, reduction: str = "mean", **given: Any) -> Any:
        v = value(xp, *values, *{**params, **given}.values())
        total = reduce(xp, v, "sum" if reduction == "mean" else reduction)
        return total / prod(v.shape) if reduction == "mean" else total

    def vjp(slope: Any) -> Any:
        def rule(F: Any, g: Any, shape: Any, reduction: str, *values: Any) -> Any:
            share = g / max(prod(shape), 1) if reduction == "mean" else g
            return slope(F, *values) * share

        return asking(rule, "g", "x_shape", "reduction", *names)

    def jvp(F: Any, t_x: Any, t_target: Any, reduction: str, *values: Any) -> Any:
        t = dx(F, *values) * t_x + dtarget(F, *values) * t_target
        return reduce(F, t, reduction)

    inputs = names[: 2 + len(more)]
    own(name, forward, inputs=inputs, optional=frozenset(more), samples=_PAIR,
        params={"reduction": "mean", **params}, order=(*inputs, "reduction", *params),
        vjp_x=vjp(dx), vjp_target=vjp(dtarget),
        jvp=asking(jvp, "t_x", "t_target", "reduction", *names), **_REAL, **row)


def _broadcast(F: Any, *xs: Any) -> Any:
    same = len({tuple(x.shape) for x in xs}) == 1
    return xs if same else F.broadcast_tensors(*xs)


def _residual(name: str, node: str, value: Any, slope: Any, *widths: float, **params: Any) -> None:
    """A loss of z = x − target, broadcast; its samples take each of ``widths`` too."""
    row = f"_{name}"
    _row(row, lambda xp, x, target, *p: value(xp, x - target, *p),
         lambda F, x, target, *p: slope(F, x - target, *p),
         lambda F, x, target, *p: slope(F, target - x, *p), params=params, promotion="promote",
         node=node)

    def forward(F: Any, x: Any, target: Any, **settings: Any) -> Any:
        return getattr(F, row)(*_broadcast(F, x, target), **settings)

    composite(f"nn.functional.{name}", forward, params={"reduction": "mean", **params},
              order=("x", "target", "reduction", *params), **_REAL,
              samples=[*_PAIR, *(on((2, 3), (2, 3), **dict.fromkeys(params, w)) for w in widths)])


_residual("mse_loss", "MseLossBackward0", lambda xp, z: z * z, lambda F, z: z * 2)
_residual("smooth_l1_loss", "SmoothL1LossBackward0",
          lambda xp, z, beta: xp.abs(z) if beta == 0 else xp.where(
              xp.abs(z) < beta, z * z * (0.5 / beta), xp.abs(z) - 0.5 * beta),
          lambda F, z, beta: F.sgn(z) if beta == 0 else F.where(
              F.abs(z) < beta, z / beta, F.sgn(z)), 0.3, 0, beta=1.0)
_residual("huber_loss", "HuberLossBackward0",
          lambda xp, z, delta: xp.where(xp.abs(z) <= delta, z * z * 0.5,
                                        (xp.abs(z) - 0.5 * delta) * delta),
          lambda F, z, delta: F.where(F.abs(z) < delta, z, F.sgn(z) * delta), 0.3, delta=1.0)
composite("nn.functional.l1_loss", lambda F, x, target, *, reduction="mean": reduce(
    F, F.abs(F.sub(*_broadcast(F, x, target))), reduction), samples=_PAIR)


def _bce(xp: Any, x: Any, target: Any, weight: Any = None) -> Any:
    # logarithms are cut off at −100, as PyTorch documents
    log_x, log_rest = (xp.clip(v, -100.0, None) for v in (xp.log(x), xp.log1p(-x)))
    return _times((target - 1) * log_rest - target * log_x, weight)


def _bce_logits(xp: Any, x: Any, target: Any, weight: Any = None, pos_weight: Any = None) -> Any:
    # log(1 + e^−x), which neither overflows nor loses digits
    tail = xp.log1p(xp.exp(-xp.abs(x))) + xp.where(x < 0, -x, 0)
    scaled = tail if pos_weight is None else tail * ((pos_weight - 1) * target + 1)
    return _times((1 - target) * x + scaled, weight)


def _with_logits(F: Any, x: Any, target: Any, weight: Any = None, *, pos_weight: Any = None,
                 reduction: str = "mean") -> Any:
    """The result is of the target's dtype, as in PyTorch."""
    if tuple(x.shape) != tuple(target.shape):
        raise ValueError(
            f"binary_cross_entropy_with_logits: input of shape {list(x.shape)} and target of shape "
            f"{list(target.shape)} differ")
    lost = F._bce_with_logits(x, target, weight, pos_weight, reduction=reduction)
    return lost.to(target.dtype)


def _logits_slope(F: Any, x: Any, target: Any, weight: Any, pos_weight: Any) -> Any:
    if pos_weight is None:
        return _times(F.sigmoid(x) - target, weight)
    hits = target * pos_weight
    return _times((hits + 1 - target) * F.sigmoid(x) - hits, weight)


_row("nn.functional.binary_cross_entropy", _bce, lambda F, x, target, weight: _times(
         (x - target) / F.clamp_min((1 - x) * x, 1e-12), weight),
     lambda F, x, target, weight: _times(F.clamp(F.log1p(-x) - F.log(x), -100.0, 100.0), weight),
     "weight", fill={"x": "unit", "target": "unit"})
_row("_bce_with_logits", _bce_logits, _logits_slope,
     lambda F, x, target, weight, pos_weight: _times(-x if pos_weight is None else F.logsigmoid(-x)
                                                     - F.logsigmoid(x) * pos_weight, weight),
     "weight", "pos_weight", node="BinaryCrossEntropyWithLogitsBackward0")
composite("nn.functional.binary_cross_entropy_with_logits", _with_logits, samples=_PAIR, **_REAL)


# of distributions ---------------------------------------------------------------------------------
def _kl_div(F: Any, x: Any, target: Any, *, reduction: str = "mean", log_target: bool = False
            ) -> Any:
    """Of log-probabilities x from the target; "batchmean" divides by the batch's size only."""
    lost = F.exp(target) * (target - x) if log_target else F.xlogy(target, target) - target * x
    if reduction == "batchmean":
        return F.sum(lost) / max(x.shape[0], 1)
    return reduce(F, lost, reduction)


def _poisson(F: Any, x: Any, target: Any, *, log_input: bool = True, full: bool = False,
             eps: float = 1e-8, reduction: str = "mean") -> Any:
    lost = F.exp(x) - target * x if log_input else x - target * F.log(x + eps)
    if full:
        stirling = target * F.log(target) - target + F.log(target * (2 * pi)) * 0.5
        lost = lost + F.where(target > 1, stirling, 0)
    return reduce(F, lost, reduction)


def _gaussian(F: Any, x: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
              reduction: str = "mean") -> Any:
    var = var if hasattr(var, "shape") else F.ones_like(x) * var
    if tuple(var.shape) == tuple(x.shape[:-1]) and var.ndim == x.ndim - 1:
        var = F.unsqueeze(var, dim=-1)
    # the bound is not part of the graph
    held = var + (F.clamp_min(var, eps) - var).detach()
    lost = (F.log(held) + (x - target) * (x - target) / held) * 0.5
    return reduce(F, lost + 0.5 * log(2 * pi) if full else lost, reduction)


composite("nn.functional.kl_div", _kl_div, **_REAL, fill={"target": "unit"}, samples=[
    *_PAIR, on((2, 3), (2, 3), reduction="batchmean", log_target=True)])
composite("nn.functional.poisson_nll_loss", _poisson, **_REAL)
composite("nn.functional.gaussian_nll_loss", _gaussian, **_REAL)


# of classes ---------------------------------------------------------------------------------------
def _pick_classes(xp: Any, x: Any, target: Any, factor: Any, *, reduction: str) -> Any:
    """x (N, C, ...) at class target (N, ...), times factor (N, ...)."""
    xp.check_places(target, x.shape[1], "target")
    picked = xp.take_along_axis(x, xp.expand_dims(target, axis=1), axis=1)[:, 0] * factor
    return picked if reduction == "none" else xp.sum(picked)


def _spread_classes(F: Any, g: Any, target: Any, factor: Any, x_shape: Any) -> Any:
    source, index = F.unsqueeze(g * factor, dim=1), F.unsqueeze(target, dim=1)
    return F.scatter_add(F.zeros_of(source, size=x_shape), dim=1, index=index, src=source)


for _name, _node in (("_nll_loss", "NllLossBackward0"), ("_nll_loss2d", "NllLoss2DBackward0")):
    linear(_name, _pick_classes, node=_node, transpose_x=_spread_classes)


def _shares(F: Any, x: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    """The weight of each target's class in x (N, C, ...), 0 where it is ignored."""
    shape = tuple(target.shape)
    if (x.shape[0], *x.shape[2:]) != shape:
        raise ValueError(
            f"nll_loss: input {list(x.shape)} needs a target of shape (N, ...), got {list(shape)}")
    valid = target != ignore_index
    weights = F.zeros_of(x, size=shape) + 1 if weight is None else F.take(
        weight, F.where(valid, target, 0))
    return F.where(valid, weights, 0)


def _nll_loss(F: Any, x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100,
              reduction: str = "mean") -> Any:
    """Minus the weighted log-probability, in x (N, C, ...) or (C), of the target class."""
    if x.ndim == 1:
        lost = _nll_loss(F, F.unsqueeze(x, dim=0), F.unsqueeze(target, dim=0), weight,
                         ignore_index=ignore_index, reduction=reduction)
        return F.squeeze(lost) if reduction == "none" else lost
    factor = -_shares(F, x, target, weight, ignore_index)
    factor = -factor / F.sum(factor) if reduction == "mean" else factor
    row = F._nll_loss2d if x.ndim == 4 else F._nll_loss
    lost = row(x, F.where(target == ignore_index, 0, target), factor, reduction=reduction)
    return lost if prod(target.shape) or reduction != "mean" else lost * nan  # of no targets


def _cross_entropy(F: Any, x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100,
                   reduction: str = "mean", label_smoothing: float = 0.0) -> Any:
    """Of logits x (N, C, ...) and classes (N, ...), or probabilities of x's shape."""
    classes = 0 if x.ndim == 1 else 1
    logs, n = F.log_softmax(x, dim=classes), x.shape[classes]
    by_class = weight if weight is None or x.ndim == 1 else F.reshape(
        weight, shape=(-1, *(1,) * (x.ndim - 2)))
    if tuple(target.shape) == tuple(x.shape):
        target = target * (1 - label_smoothing) + label_smoothing / n if label_smoothing else target
        return reduce(F, -F.sum(_times(logs * target, by_class), dim=classes), reduction)
    if not label_smoothing:
        return _nll_loss(F, logs, target, weight, ignore_index=ignore_index, reduction=reduction)
    lost = _nll_loss(F, logs, target, weight, ignore_index=ignore_index, reduction="none")
    even = F.where(target != ignore_index, -F.sum(_times(logs, by_class), dim=classes), 0)
    lost = lost * (1 - label_smoothing) + even * (label_smoothing / n)
    if reduction != "mean":
        return reduce(F, lost, reduction)
    x, target = (x, target) if classes else (x[None], target[None])
    return F.sum(lost) / F.sum(_shares(F, x, target, weight, ignore_index))


def _linear_cross_entropy(F: Any, x: Any, linear_weight: Any, target: Any, *,
                          linear_bias: Any = None, weight: Any = None, reduction: str = "mean",
                          ignore_index: int | None = None, label_smoothing: float = 0.0,
                          options: Any = None) -> Any:
    """``options`` say how to save memory."""
    places = tuple(linear_weight.shape[:-1])  # classes, and what else a target has dimensions of
    logits = x @ F.mT(F.reshape(linear_weight, shape=(prod(places), -1)))
    logits = F.reshape(logits, shape=(*x.shape[:-1], *places))
    logits = logits if linear_bias is None else logits + linear_bias
    return _cross_entropy(F, logits, target, weight, reduction=reduction,
                          ignore_index=-100 if ignore_index is None else ignore_index,
                          label_smoothing=label_smoothing)


_CLASSES: list[Sample] = [
    on((4, 3), (4,)), on((4, 3), (4,), (3,)), on((2, 3, 2, 2), (2, 2, 2), reduction="sum"),
    on((4, 3), (4,), reduction="none", ignore_index=1), on((3,), ()),
    on((4, 3), (4,), (3,), ignore_index=0)]
_FILL = {"target": "below:3", "weight": "constant"}
composite("nn.functional.nll_loss", _nll_loss, **_REAL, fill=_FILL, samples=_CLASSES)
composite("nn.functional.cross_entropy", _cross_entropy, **_REAL, fill=_FILL, samples=[
    *_CLASSES, on((4, 3), (4,), label_smoothing=0.1),
    on((4, 3), (4,), (3,), label_smoothing=0.1, ignore_index=1)])
composite("nn.functional.linear_cross_entropy", _linear_cross_entropy, fill={"target": "below:4"},
          samples=[on((2, 3), (4, 3), (2,))], **_REAL)


# of margins ---------------------------------------------------------------------------------------
def _cosine_loss(F: Any, x1: Any, x2: Any, target: Any, margin: float = 0.0,
                 reduction: str = "mean") -> Any:
    last = x1.ndim - 1 if target.ndim else 0
    sizes = [F.sum(x * x, dim=last) + 1e-12 for x in (x1, x2)]
    cosine = F.sum(x1 * x2, dim=last) / F.sqrt(sizes[0] * sizes[1])
    apart = F.where(target == -1, F.clamp_min(cosine - margin, 0), 0)
    return reduce(F, F.where(target == 1, 1 - cosine, 0) + apart, reduction)


def _triplet(F: Any, anchor: Any, positive: Any, negative: Any, *, distance_function: Any = None,
             margin: float = 1.0, swap: bool = False, reduction: str = "mean") -> Any:
    distance = distance_function or F.pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    far = F.minimum(far, distance(positive, negative)) if swap else far
    return reduce(F, F.clamp_min(near - far + margin, 0), reduction)


def _multi_margin(F: Any, x: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
                  reduction: str = "mean") -> Any:
    n = x.shape[-1] if x.ndim else 1
    x, flat = F.reshape(x, shape=(-1, n)), F.reshape(target, shape=(-1, 1))
    missed = F.clamp_min(margin - F.gather(x, dim=1, index=flat) + x, 0)
    missed = missed * missed if p == 2 else missed
    missed = missed if weight is None else missed * weight[flat]
    others = F.scatter(F.ones_like(x), dim=1, index=flat, value=0)
    lost = F.sum(missed * others, dim=1) / n
    return reduce(F, F.reshape(lost, shape=tuple(target.shape)), reduction)


def _multilabel_margin(F: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The classes of a row are those before its first −1."""
    n, rows = x.shape[-1] if x.ndim else 1, tuple(target.shape[:-1])
    x, target = F.reshape(x, shape=(-1, n)), F.reshape(target, shape=(-1, n))
    named = F.cumsum((target < 0).long(), dim=1) == 0
    index = F.where(named, target, 0)
    hits = F.scatter_add(F.zeros_like(index), dim=1, index=index, src=named.long())
    gaps = 1 - F.unsqueeze(F.gather(x, dim=1, index=index), dim=2) + F.unsqueeze(x, dim=1)
    counted = F.logical_and(F.unsqueeze(named, dim=2), F.unsqueeze(hits == 0, dim=1))
    lost = F.sum(F.where(counted, F.clamp_min(gaps, 0), 0), dim=(1, 2)) / n
    return reduce(F, F.reshape(lost, shape=rows), reduction)


composite("nn.functional.hinge_embedding_loss", lambda F, x, target, margin=1.0, reduction="mean":
          reduce(F, F.where(target != 1, F.clamp_min(margin - x, 0), 0)
                  + F.where(target != -1, x, 0), reduction), **_REAL)
composite("nn.functional.cosine_embedding_loss", _cosine_loss, **_REAL)
composite("nn.functional.margin_ranking_loss", lambda F, x1, x2, target, margin=0.0,
          reduction="mean": reduce(F, F.clamp_min(-target * (x1 - x2) + margin, 0), reduction),
          **_REAL)
composite("nn.functional.triplet_margin_loss", lambda F, anchor, positive, negative, margin=1.0,
          p=2.0, eps=1e-6, swap=False, reduction="mean": _triplet(
              F, anchor, positive, negative, margin=margin, swap=swap, reduction=reduction,
              distance_function=lambda a, b: F.pairwise_distance(a, b, p, eps)), **_REAL)
composite("nn.functional.triplet_margin_with_distance_loss", _triplet, **_REAL)
composite("nn.functional.multi_margin_loss", _multi_margin, **_REAL)
composite("nn.functional.multilabel_margin_loss", _multilabel_margin, fill={"target": "below:3"},
          **_REAL)
composite("nn.functional.multilabel_soft_margin_loss", lambda F, x, target, weight=None, *,
          reduction="mean": reduce(F, F.mean(_times(-(
              target * F.logsigmoid(x) + (1 - target) * F.logsigmoid(-x)), weight), dim=-1),
              reduction), **_REAL)
composite("nn.functional.soft_margin_loss", lambda F, x, target, *, reduction="mean": reduce(
    F, F.softplus(-target * x, threshold=1e300), reduction), **_REAL,
    samples=[_PAIR[0], _PAIR[2]], fill={"target": "constant"})


# distances ----------------------------------------------------------------------------------------
def _cosine(F: Any, x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """Each length is at least ``eps``."""
    x1, x2 = F.broadcast_tensors(x1, x2)
    sizes = [F.clamp_min(F.linalg_vector_norm(x, dim=dim, keepdim=True), eps) for x in (x1, x2)]
    return F.sum(x1 / sizes[0] * (x2 / sizes[1]), dim=dim)


def _pdist(F: Any, x: Any, p: float = 2.0) -> Any:
    """Distances of all pairs of rows."""
    first, second = (F._numbers_of(x, values=v) for v in np.triu_indices(x.shape[0], 1))
    apart = F.index_select(x, dim=0, index=first) - F.index_select(x, dim=0, index=second)
    return F.linalg_vector_norm(apart, ord=p, dim=-1)


composite("nn.functional.cosine_similarity", _cosine, **_REAL, samples=_PAIR[:1],
          aliases=("cosine_similarity",), methods=())
composite("nn.functional.pairwise_distance", lambda F, x1, x2, p=2.0, eps=1e-6, keepdim=False:
          F.linalg_vector_norm(x1 - x2 + eps, ord=p, dim=-1, keepdim=keepdim), **_REAL,
          samples=_PAIR[:1])
composite("nn.functional.normalize", lambda F, x, p=2.0, dim=1, eps=1e-12: x / F.clamp_min(
    F.linalg_vector_norm(x, ord=p, dim=dim, keepdim=True), eps), samples=[on((2, 3))])
composite("nn.functional.pdist", _pdist, **_REAL)
