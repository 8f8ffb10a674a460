"""Losses, and how they are reduced to a number."""

from __future__ import annotations

from math import prod
from typing import Any

from reference_engine.ops.dims import broadcast_shapes
from reference_engine.ops.opdef import Sample, composite, linear, own

_PAIR: list[Sample] = [(((2, 3), (2, 3)), {}), (((2, 3), (2, 3)), {"reduction": "none"}),
                       (((2, 3), (2, 3)), {"reduction": "sum"})]  # fmt: skip


def reduce(F: Any, v: Any, reduction: str) -> Any:
    """The losses of all elements, their mean or their sum."""
    if reduction == "none":
        return v
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; expected 'none', 'mean' or 'sum'")
    return F.mean(v) if reduction == "mean" else F.sum(v)


def _share(g: Any, reduction: str, shape: Any) -> Any:
    """Each element's part of a reduced loss's cotangent."""
    return g / max(prod(shape), 1) if reduction == "mean" else g


def _check(name: str, x: Any, target: Any, expand: bool = True) -> None:
    if tuple(x.shape) != tuple(target.shape):
        if not expand:
            raise ValueError(
                f"{name}: input of shape {list(x.shape)} and target of shape "
                f"{list(target.shape)} differ"
            )
        broadcast_shapes(tuple(x.shape), tuple(target.shape))


def _of(xp: Any, v: Any, reduction: str) -> Any:
    """:func:`reduce` on raw arrays."""
    if reduction == "none":
        return v
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; expected 'none', 'mean' or 'sum'")
    total = xp.sum(v)
    return total / max(prod(v.shape), 1) if reduction == "mean" and prod(v.shape) else (
        total / xp.zeros_like(total) if reduction == "mean" else total)  # fmt: skip


def _pair(F: Any, name: str, x: Any, target: Any, **settings: Any) -> Any:
    """Runs a row on its operands broadcast together."""
    if tuple(x.shape) != tuple(target.shape):
        x, target = F.broadcast_tensors(x, target)
    return getattr(F, name)(x, target, **settings)


# of a difference ----------------------------------------------------------------------------------
def _smooth_l1(xp: Any, z: Any, beta: float) -> Any:
    size = xp.abs(z)
    return size if beta == 0 else xp.where(size < beta, z * z * (0.5 / beta), size - 0.5 * beta)


def _smooth_slope(F: Any, z: Any, beta: float) -> Any:
    return F.sgn(z) if beta == 0 else F.clamp(z / beta, -1, 1)


def _huber(xp: Any, z: Any, delta: float) -> Any:
    size = xp.abs(z)
    return xp.where(size <= delta, z * z * 0.5, (size - 0.5 * delta) * delta)


own("_mse_loss", lambda xp, x, target, *, reduction="mean":
        _of(xp, (x - target) * (x - target), reduction),
    vjp_x=lambda F, g, x, target, reduction: (x - target) * 2 * _share(g, reduction, x.shape),
    vjp_target=lambda F, g, x, target, reduction: (target - x) * 2 * _share(g, reduction, x.shape),
    jvp=lambda F, x, target, t_x, t_target, reduction: reduce(
        F, (x - target) * 2 * (t_x - t_target), reduction),
    promotion="promote", complex=False, node="MseLossBackward0", samples=_PAIR)  # fmt: skip
own("_smooth_l1_loss", lambda xp, x, target, *, reduction="mean", beta=1.0: _of(
        xp, _smooth_l1(xp, x - target, beta), reduction),
    vjp_x=lambda F, g, x, target, reduction, beta:
        _smooth_slope(F, x - target, beta) * _share(g, reduction, x.shape),
    vjp_target=lambda F, g, x, target, reduction, beta:
        _smooth_slope(F, target - x, beta) * _share(g, reduction, x.shape),
    jvp=lambda F, x, target, t_x, t_target, reduction, beta: reduce(
        F, _smooth_slope(F, x - target, beta) * (t_x - t_target), reduction),
    promotion="promote", complex=False, node="SmoothL1LossBackward0", samples=_PAIR)  # fmt: skip
own("_huber_loss", lambda xp, x, target, *, reduction="mean", delta=1.0: _of(
        xp, _huber(xp, x - target, delta), reduction),
    vjp_x=lambda F, g, x, target, reduction, delta:
        F.clamp(x - target, -delta, delta) * _share(g, reduction, x.shape),
    vjp_target=lambda F, g, x, target, reduction, delta:
        F.clamp(target - x, -delta, delta) * _share(g, reduction, x.shape),
    jvp=lambda F, x, target, t_x, t_target, reduction, delta: reduce(
        F, F.clamp(x - target, -delta, delta) * (t_x - t_target), reduction),
    promotion="promote", complex=False, node="HuberLossBackward0", samples=_PAIR)  # fmt: skip
composite("nn.functional.mse_loss", lambda F, x, target, *, reduction="mean": _pair(
    F, "_mse_loss", x, target, reduction=reduction), complex=False, samples=_PAIR)  # fmt: skip
composite("nn.functional.smooth_l1_loss", lambda F, x, target, *, reduction="mean", beta=1.0: _pair(
    F, "_smooth_l1_loss", x, target, reduction=reduction, beta=beta), complex=False,
    samples=[*_PAIR, *((((2, 3), (2, 3)), {"beta": b}) for b in (0.3, 0))])  # fmt: skip
composite("nn.functional.huber_loss", lambda F, x, target, reduction="mean", delta=1.0: _pair(
    F, "_huber_loss", x, target, reduction=reduction, delta=delta), complex=False,
    samples=[*_PAIR, (((2, 3), (2, 3)), {"delta": 0.3})])  # fmt: skip
composite("nn.functional.l1_loss", lambda F, x, target, *, reduction="mean": reduce(
    F, F.abs(x - target), reduction), samples=_PAIR)  # fmt: skip


# of probabilities ---------------------------------------------------------------------------------
def _times(v: Any, weight: Any) -> Any:
    return v if weight is None else v * weight


def _bce(xp: Any, x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    # logarithms are cut off at −100, as PyTorch documents
    log_x, log_rest = (xp.clip(v, min=-100.0) for v in (xp.log(x), xp.log1p(-x)))
    return _of(xp, _times((target - 1) * log_rest - target * log_x, weight), reduction)


def _bce_slope(F: Any, x: Any, target: Any, weight: Any) -> Any:
    return _times((x - target) / F.clamp_min((1 - x) * x, 1e-12), weight)


def _bce_target_slope(F: Any, x: Any, weight: Any) -> Any:
    return _times(F.clamp(F.log1p(-x) - F.log(x), -100.0, 100.0), weight)


own("nn.functional.binary_cross_entropy", _bce, complex=False, fill={"x": "unit", "target": "unit"},
    vjp_x=lambda F, g, x, target, weight, reduction:
        _bce_slope(F, x, target, weight) * _share(g, reduction, x.shape),
    vjp_target=lambda F, g, x, weight, reduction:
        _bce_target_slope(F, x, weight) * _share(g, reduction, x.shape),
    jvp=lambda F, x, target, weight, t_x, t_target, reduction: reduce(
        F, _bce_slope(F, x, target, weight) * t_x + _bce_target_slope(F, x, weight) * t_target,
        reduction),
    samples=_PAIR)  # fmt: skip


def _bce_logits(xp: Any, x: Any, target: Any, weight: Any = None, pos_weight: Any = None, *,
                reduction: str = "mean") -> Any:  # fmt: skip
    _check("binary_cross_entropy_with_logits", x, target, expand=False)
    # log(1 + e^−x), which neither overflows nor loses digits
    tail = xp.log1p(xp.exp(-xp.abs(x))) + xp.where(x < 0, -x, 0)
    scaled = tail if pos_weight is None else tail * ((pos_weight - 1) * target + 1)
    return _of(xp, _times((1 - target) * x + scaled, weight), reduction)


def _logits_slope(F: Any, x: Any, target: Any, weight: Any, pos_weight: Any) -> Any:
    if pos_weight is None:
        return _times(F.sigmoid(x) - target, weight)
    hits = target * pos_weight
    return _times((hits + 1 - target) * F.sigmoid(x) - hits, weight)


def _logits_target_slope(F: Any, x: Any, weight: Any, pos_weight: Any) -> Any:
    if pos_weight is None:
        return _times(-x, weight)
    return _times(F.logsigmoid(-x) - F.logsigmoid(x) * pos_weight, weight)


own("nn.functional.binary_cross_entropy_with_logits", _bce_logits, complex=False,
    vjp_x=lambda F, g, x, target, weight, pos_weight, reduction:
        _logits_slope(F, x, target, weight, pos_weight) * _share(g, reduction, x.shape),
    vjp_target=lambda F, g, x, weight, pos_weight, reduction:
        _logits_target_slope(F, x, weight, pos_weight) * _share(g, reduction, x.shape),
    jvp=lambda F, x, target, weight, pos_weight, t_x, t_target, reduction: reduce(
        F, _logits_slope(F, x, target, weight, pos_weight) * t_x
        + _logits_target_slope(F, x, weight, pos_weight) * t_target, reduction),
    samples=_PAIR)  # fmt: skip


# of classes ---------------------------------------------------------------------------------------
def _pick_classes(xp: Any, x: Any, target: Any, factor: Any, *, reduction: str) -> Any:
    """x (N, C, ...) at class target (N, ...), times factor (N, ...)."""
    picked = xp.take_along_axis(x, xp.expand_dims(target, axis=1), axis=1)[:, 0] * factor
    return picked if reduction == "none" else xp.sum(picked)


def _spread_classes(F: Any, g: Any, target: Any, factor: Any, x_shape: Any) -> Any:
    source = F.unsqueeze(g * factor, dim=1)
    return F.scatter_add(
        F.zeros_of(source, size=x_shape), dim=1, index=F.unsqueeze(target, dim=1), src=source
    )


for _name, _node in (("_nll_loss", "NllLossBackward0"), ("_nll_loss2d", "NllLoss2DBackward0")):
    linear(_name, _pick_classes, node=_node, transpose_x=_spread_classes)


def _nll_loss(F: Any, x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100,
              reduction: str = "mean") -> Any:  # fmt: skip
    """Minus the weighted log-probability, in x (N, C, ...) or (C), of the target class."""
    if x.ndim == 1:
        lost = _nll_loss(F, F.unsqueeze(x, dim=0), F.unsqueeze(target, dim=0), weight,
                         ignore_index=ignore_index, reduction=reduction)  # fmt: skip
        return F.squeeze(lost) if reduction == "none" else lost
    shape = tuple(target.shape)
    if (x.shape[0], *x.shape[2:]) != shape:
        raise ValueError(
            f"nll_loss: input {list(x.shape)} needs a target of shape (N, ...), got {list(shape)}"
        )
    valid = target != ignore_index
    target = F.where(valid, target, 0)
    weights = F.zeros_of(x, size=shape) + 1 if weight is None else F.reshape(
        F.index_select(weight, dim=0, index=F.reshape(target, shape=(-1,))),
        shape=shape)  # fmt: skip
    factor = -F.where(valid, weights, 0)
    factor = -factor / F.sum(factor) if reduction == "mean" else factor
    name = "_nll_loss2d" if x.ndim == 4 else "_nll_loss"
    return getattr(F, name)(x, target, factor, reduction=reduction)


def _cross_entropy(F: Any, x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100,
                   reduction: str = "mean", label_smoothing: float = 0.0) -> Any:  # fmt: skip
    """Of logits x (N, C, ...) and classes (N, ...), or probabilities of x's shape."""
    classes = 0 if x.ndim == 1 else 1
    logs, n = F.log_softmax(x, dim=classes), x.shape[classes]
    by_class = weight if weight is None or x.ndim == 1 else F.reshape(
        weight, shape=(-1, *(1,) * (x.ndim - 2)))  # fmt: skip
    if tuple(target.shape) == tuple(x.shape):
        target = target * (1 - label_smoothing) + label_smoothing / n if label_smoothing else target
        lost = -F.sum(_times(logs * target, by_class), dim=classes)
        return reduce(F, lost, reduction)
    settings: dict[str, Any] = {"ignore_index": ignore_index, "reduction": reduction}
    lost = _nll_loss(F, logs, target, weight, **settings)
    if not label_smoothing:
        return lost
    valid = target != ignore_index
    even = F.where(valid, -F.sum(_times(logs, by_class), dim=classes), 0)
    if reduction == "mean":
        ones = F.zeros_of(x, size=tuple(x.shape))
        total = -_nll_loss(F, ones - 1, target, weight, ignore_index=ignore_index, reduction="sum")
        even = F.sum(even) / -total
    else:
        even = reduce(F, even, reduction)
    return lost * (1 - label_smoothing) + even * (label_smoothing / n)


_CLASSES: list[Sample] = [
    (((4, 3), (4,)), {}), (((4, 3), (4,), (3,)), {}),
    (((2, 3, 2, 2), (2, 2, 2)), {"reduction": "sum"}),
    (((4, 3), (4,)), {"reduction": "none", "ignore_index": 1}), (((3,), ()), {}),
    (((4, 3), (4,), (3,)), {"ignore_index": 0})]  # fmt: skip
_FILL = {"target": "below:3", "weight": "constant"}
composite("nn.functional.nll_loss", _nll_loss, complex=False, fill=_FILL, samples=_CLASSES)
composite("nn.functional.cross_entropy", _cross_entropy, complex=False, fill=_FILL, samples=[
    *_CLASSES, (((4, 3), (4,)), {"label_smoothing": 0.1}),
    (((4, 3), (4,), (3,)), {"label_smoothing": 0.1, "ignore_index": 1})])  # fmt: skip


def _kl_div(
    F: Any, x: Any, target: Any, *, reduction: str = "mean", log_target: bool = False
) -> Any:
    """Of log-probabilities x from the target; "batchmean" divides by the batch's size only."""
    lost = F.exp(target) * (target - x) if log_target else F.xlogy(target, target) - target * x
    if reduction == "batchmean":
        return F.sum(lost) / max(x.shape[0], 1)
    return reduce(F, lost, reduction)


composite("nn.functional.kl_div", _kl_div, complex=False, fill={"target": "unit"}, samples=[
    *_PAIR, (((2, 3), (2, 3)), {"reduction": "batchmean", "log_target": True})])  # fmt: skip
