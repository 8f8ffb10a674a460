"""What layers of neural networks compute: linear maps, normalisation, noise, shuffles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf, prod
from typing import Any

from reference_engine.backends import dtypes
from reference_engine.ops.opdef import composite, nondiff, on

# rows are laid out by hand
# fmt: off

_REAL: dict[str, Any] = {"complex": False, "methods": ()}


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    """x times the weight plus the bias, where there are any."""
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias


def _linear(F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    """x (..., in) · weightᵀ (out, in) + bias (out)."""
    if bias is not None and x.ndim == 2:
        return F.addmm(bias, x, F.t(weight))
    return _affine(F.matmul(x, F.t(weight)), None, bias)


composite("nn.functional.linear", _linear, samples=[
    on((2, 3), (4, 3), (4,)), on((2, 3), (4, 3)), on((3,), (4, 3), (4,)),
    on((2, 2, 3), (4, 3), (4,))])
composite("nn.functional.bilinear", lambda F, x1, x2, weight, bias=None: _affine(
    F.einsum("...i,kij,...j->...k", (x1, weight, x2)), None, bias), **_REAL)


# normalisation ------------------------------------------------------------------------------------
def _wide(x: Any) -> Any:
    """Halves in float32, as PyTorch normalises them: their squares would overflow."""
    return x.to(dtypes.float32) if x.dtype in (dtypes.float16, dtypes.bfloat16) else x


def _standard(F: Any, x: Any, dim: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """x less its mean over its standard deviation, both over ``dim``; the mean, and one over the
    standard deviation.
    """
    kind, x = x.dtype, _wide(x)
    mean = F.mean(x, dim=dim, keepdim=True)
    centred = x - mean
    scale = F.rsqrt(F.mean(centred * centred, dim=dim, keepdim=True) + eps)
    return tuple(v.to(kind) for v in (centred * scale, mean, scale))


def _per_channel(F: Any, x: Any, *vs: Any) -> list[Any]:
    """(C) to broadcast against x (N, C, ...)."""
    shape = (-1, *(1,) * (x.ndim - 2))
    return [None if v is None else F.reshape(v, shape=shape) for v in vs]


def _layer_norm(F: Any, x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5,
                normalized_shape: Sequence[int], statistics: bool) -> Any:
    n = len(normalized_shape)
    if tuple(x.shape[x.ndim - n :]) != tuple(normalized_shape):
        raise RuntimeError(
            f"layer_norm over {list(normalized_shape)} got an input of shape {list(x.shape)}")
    made, mean, scale = _standard(F, x, tuple(range(-n, 0)), eps)
    made = _affine(made, weight, bias)
    # the statistics are no part of the graph, as in PyTorch
    return (made, mean.detach(), scale.detach()) if statistics else made


def _group_norm(F: Any, x: Any, num_groups: int, weight: Any = None, bias: Any = None,
                eps: float = 1e-5) -> Any:
    if x.shape[1] % num_groups:
        raise RuntimeError(f"group_norm: {num_groups} groups do not divide {x.shape[1]} channels")
    size = prod(x.shape[1:]) // num_groups
    flat = F.reshape(x, shape=(x.shape[0], num_groups, size))
    made, mean, scale = _standard(F, flat, (-1,), eps)
    made = _affine(F.reshape(made, shape=tuple(x.shape)), *_per_channel(F, x, weight, bias))
    return made, F.squeeze(mean, dim=-1), F.squeeze(scale, dim=-1)


def _track(F: Any, x: Any, dim: tuple[int, ...], momentum: float, *running: Any) -> None:
    """Moves the running mean and variance."""
    for old, statistic in zip(running, (F.mean, F.var), strict=True):
        if old is not None:
            now = statistic(x.detach(), dim=dim)
            now = F.mean(now, dim=0) if now.ndim > 1 else now
            old.detach().copy_(old.detach() * (1 - momentum) + now * momentum)


def _batch_norm(F: Any, x: Any, running_mean: Any, running_var: Any, weight: Any = None,
                bias: Any = None, training: bool = False, momentum: float = 0.1,
                eps: float = 1e-5, *, batch: tuple[int, ...] = (0,)) -> Any:
    """Over the batch in training, which also moves the running statistics; else over those."""
    weight, bias, mean, var = _per_channel(F, x, weight, bias, running_mean, running_var)
    if not training:
        return _affine((x - mean) * F.rsqrt(var + eps), weight, bias)
    dims = (*batch, *range(2, x.ndim))
    _track(F, x, dims, momentum, running_mean, running_var)
    return _affine(_standard(F, x, dims, eps)[0], weight, bias)


def _native_batch_norm(F: Any, x: Any, weight: Any = None, bias: Any = None,
                       running_mean: Any = None, running_var: Any = None, training: bool = True,
                       momentum: float = 0.1, eps: float = 1e-5) -> Any:
    """The statistics are no part of the graph; empty ones outside training. The running ones may
    be left out.
    """
    if isinstance(running_mean, bool):
        running_mean, running_var, training, momentum, eps = (
            None, None, running_mean, running_var, training)
    made = _batch_norm(F, x, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return made, *(F.zeros_of(x, size=(0,)),) * 2
    statistics = _standard(F, x.detach(), (0, *range(2, x.ndim)), eps)[1:]
    return made, *(F.reshape(v, shape=(-1,)) for v in statistics)


def _rms_norm(F: Any, x: Any, normalized_shape: Any, weight: Any = None,
              eps: float | None = None) -> Any:
    wide = _wide(x)
    if eps is None:  # the dtype's own
        eps = 2.0**-52 if wide.dtype in (dtypes.float64, dtypes.complex128) else 2.0**-23
    square = F.mean(wide * wide, dim=tuple(range(-len(normalized_shape), 0)), keepdim=True)
    return _affine((wide * F.rsqrt(square + eps)).to(x.dtype), weight, None)


def _response_norm(F: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75,
                   k: float = 1.0) -> Any:
    """Over ``size`` neighbouring channels (Krizhevsky et al. 2012)."""
    pad = (0, 0) * (x.ndim - 2) + (size // 2, (size - 1) // 2)
    squares = F.constant_pad_nd(x * x, pad=pad)
    total = sum(F.narrow(squares, dim=1, start=i, length=x.shape[1]) for i in range(size))
    return x / (total * (alpha / size) + k) ** beta


_LAYER: Any = {**_REAL, "order": ("x", "normalized_shape", "weight", "bias", "eps")}
composite("native_layer_norm", partial(_layer_norm, statistics=True), **_LAYER, samples=[
    on((2, 3), (3,), (3,), normalized_shape=(3,), eps=1e-5)])
composite("nn.functional.layer_norm", partial(_layer_norm, statistics=False), **_LAYER, samples=[
    on((2, 3, 4), (3, 4), (3, 4), normalized_shape=(3, 4)), on((2, 3), normalized_shape=(3,))])
composite("native_group_norm", lambda F, x, weight, bias, N, C, HxW, group, eps: _group_norm(
    F, x, group, weight, bias, eps), **_REAL)
composite("nn.functional.group_norm", lambda F, x, num_groups, weight=None, bias=None, eps=1e-5:
          _group_norm(F, x, num_groups, weight, bias, eps)[0], **_REAL,
          samples=[on((2, 4, 3), num_groups=2)])
# of each sample on its own
composite("nn.functional.instance_norm", lambda F, x, running_mean=None, running_var=None,
          weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5: _batch_norm(
              F, x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps,
              batch=()), **_REAL, samples=[on((2, 3, 4))])
composite("nn.functional.batch_norm", partial(_batch_norm, batch=(0,)), **_REAL, samples=[
    on((3, 2), (2,), (2,)), on((3, 2, 2), (2,), (2,), (2,), (2,)),
    on((3, 2, 2), None, None, (2,), (2,), training=True)],
    fill={"running_mean": "constant", "running_var": "constant"})
for _name in ("native_batch_norm", "_native_batch_norm_legit"):
    composite(_name, _native_batch_norm, **_REAL)
composite("_batch_norm_with_update", lambda F, x, weight, bias, running_mean, running_var, momentum,
          eps: (*_native_batch_norm(F, x, weight, bias, running_mean, running_var, True, momentum,
                                    eps), F._numbers_of(x, values=()).to(dtypes.uint8)), **_REAL)
composite("nn.functional.rms_norm", _rms_norm)
composite("nn.functional.local_response_norm", _response_norm, **_REAL,
          samples=[on((1, 4, 3), size=2)])


# noise --------------------------------------------------------------------------------------------
_ALPHA_PRIME = -1.7580993408473766


def _channels(x: Any) -> tuple[int, ...]:
    """The shape of one number for each channel of x (N, C, ...)."""
    return (*x.shape[:2], *(1,) * (x.ndim - 2))


def _keeps_all(p: float, training: bool) -> bool:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout got p={p}; a probability is between 0 and 1")
    return not training or p == 0


def _dropout(F: Any, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *,
             drawn: Callable[[Any], Sequence[int]]) -> Any:
    """Zeros each element with probability p and scales the others by 1/(1 − p); ``drawn`` is the
    shape of what is drawn. For ``inplace``, what calls a composite writes its result.
    """
    if _keeps_all(p, training):
        return x
    return x * (F._kept(x, p=p, shape=tuple(drawn(x))) * (1 / (1 - p) if p < 1 else 0.0))


def _alpha_dropout(F: Any, x: Any, p: float = 0.5, training: bool = False, inplace: bool = False,
                   *, drawn: Callable[[Any], Sequence[int]]) -> Any:
    """Dropout to selu's least value that keeps mean 0 and variance 1 (Klambauer et al. 2017,
    https://arxiv.org/abs/1706.02515).
    """
    if _keeps_all(p, training):
        return x
    kept = F._kept(x.detach(), p=p, shape=tuple(drawn(x)))
    scale = ((1 - p) * (1 + p * _ALPHA_PRIME**2)) ** -0.5 if p < 1 else 0.0
    return (x * kept + (1 - kept) * _ALPHA_PRIME) * scale - scale * p * _ALPHA_PRIME


def _rrelu(F: Any, x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
           inplace: bool = False) -> Any:
    """Negative slopes are drawn in training, else their mean."""
    drawn = F.uniform(F.zeros_like(x.detach()), a=lower, b=upper) if training else None
    return F.where(x > 0, x, x * ((lower + upper) / 2 if drawn is None else drawn))


def safe_softmax(F: Any, x: Any, dim: int, dtype: Any = None) -> Any:
    """Rows of −∞ alone give 0."""
    empty = F.all(x == -inf, dim=dim, keepdim=True)
    return F.where(empty, 0, F.softmax(F.where(empty, 0, x), dim=dim, dtype=dtype))


nondiff("_kept", lambda xp, x, *, p, shape: xp.cast(
    xp.random("uniform", tuple(shape), xp.dtype_of(x).to_real(), str(x.device)) >= p,
    xp.dtype_of(x)))
for _name, _drawn in (
    ("dropout", lambda x: x.shape), ("dropout2d", _channels),
    ("dropout3d", lambda x: _channels(x) if x.ndim > 4 else (len(x), *(1,) * (x.ndim - 1)))):
    composite(f"nn.functional.{_name}", partial(_dropout, drawn=_drawn))
for _name, _drawn in (("alpha_dropout", lambda x: x.shape), ("feature_alpha_dropout", _channels)):
    composite(f"nn.functional.{_name}", partial(_alpha_dropout, drawn=_drawn), **_REAL)
composite("native_dropout_backward", lambda F, grad_output, mask, scale: grad_output * (
    mask * scale), **_REAL)
composite("nn.functional.rrelu", _rrelu, kinks={"x": (0.0,)}, samples=[on((2, 3))], **_REAL)
composite("bernoulli", lambda F, x, p=None: (F.uniform(x.detach()) < (
    x.detach() if p is None else p)).to(x.dtype) + x * 0, complex=False)
composite("torch.ops.aten._safe_softmax.default", safe_softmax, **_REAL)
composite("_softmax_backward_data", lambda F, grad_output, output, dim, input_dtype=None:
          output * (grad_output - F.sum(grad_output * output, dim=dim, keepdim=True)), **_REAL)


# shuffles -----------------------------------------------------------------------------------------
def _shuffled(F: Any, x: Any, shape: Any, order: Any, final: Any) -> Any:
    """The last three dimensions seen as ``shape``, permuted, and seen as ``final``."""
    lead = tuple(x.shape[:-3])
    dims = (*range(len(lead)), *(len(lead) + d for d in order))
    made = F.permute(F.reshape(x, shape=(*lead, *shape)), dims=dims)
    return F.reshape(made, shape=(*lead, *final))


def _pixel_shuffle(F: Any, x: Any, upscale_factor: int) -> Any:
    (c, h, w), r = x.shape[-3:], upscale_factor
    return _shuffled(F, x, (c // r**2, r, r, h, w), (0, 3, 1, 4, 2), (c // r**2, h * r, w * r))


def _pixel_unshuffle(F: Any, x: Any, downscale_factor: int) -> Any:
    (c, h, w), r = x.shape[-3:], downscale_factor
    h, w = h // r, w // r
    return _shuffled(F, x, (c, h, r, w, r), (0, 2, 4, 1, 3), (c * r**2, h, w))


def _channel_shuffle(F: Any, x: Any, groups: int) -> Any:
    c = x.shape[1]
    apart = F.reshape(x, shape=(x.shape[0], groups, c // groups, prod(x.shape[2:])))
    return F.reshape(F.transpose(apart, dim0=1, dim1=2), shape=tuple(x.shape))


composite("nn.functional.pixel_shuffle", _pixel_shuffle)
composite("nn.functional.pixel_unshuffle", _pixel_unshuffle)
composite("nn.functional.channel_shuffle", _channel_shuffle)
