"""What layers of neural networks compute: linear maps, normalisation, dropout, embedding."""

from __future__ import annotations

from math import prod
from typing import Any

from reference_engine.ops.opdef import composite, linear, nondiff


def _linear(F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    """x (..., in) · weightᵀ (out, in) + bias (out)."""
    if bias is not None and x.ndim == 2:
        return F.addmm(bias, x, F.t(weight))
    made = F.matmul(x, F.t(weight))
    return made if bias is None else made + bias


composite("nn.functional.linear", _linear, samples=[
    (((2, 3), (4, 3), (4,)), {}), (((2, 3), (4, 3)), {}), (((3,), (4, 3), (4,)), {}),
    (((2, 2, 3), (4, 3), (4,)), {})])  # fmt: skip


# normalisation ------------------------------------------------------------------------------------
def _normalised(F: Any, x: Any, dim: tuple[int, ...], eps: float) -> Any:
    """x less its mean over its standard deviation, both over ``dim``."""
    centred = x - F.mean(x, dim=dim, keepdim=True)
    return centred * F.rsqrt(F.mean(centred * centred, dim=dim, keepdim=True) + eps)


def affine(x: Any, weight: Any, bias: Any) -> Any:
    """x times the weight plus the bias, where there are any."""
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias


def per_channel(F: Any, v: Any, x: Any) -> Any:
    """(C) to broadcast against x (N, C, ...)."""
    return None if v is None else F.reshape(v, shape=(-1, *(1,) * (x.ndim - 2)))


def _layer_norm(
    F: Any, x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    n = len(normalized_shape)
    if tuple(x.shape[x.ndim - n :]) != tuple(normalized_shape):
        raise RuntimeError(
            f"layer_norm over {list(normalized_shape)} got an input of shape {list(x.shape)}"
        )
    return affine(_normalised(F, x, tuple(range(-n, 0)), eps), weight, bias)


def _group_norm(F: Any, x: Any, num_groups: int, weight: Any = None, bias: Any = None,
                eps: float = 1e-5) -> Any:  # fmt: skip
    if x.shape[1] % num_groups:
        raise RuntimeError(f"group_norm: {num_groups} groups do not divide {x.shape[1]} channels")
    size = prod(x.shape[1:]) // num_groups
    grouped = F.reshape(x, shape=(x.shape[0], num_groups, size))
    made = F.reshape(_normalised(F, grouped, (-1,), eps), shape=tuple(x.shape))
    return affine(made, per_channel(F, weight, x), per_channel(F, bias, x))


def _batch_norm(F: Any, x: Any, running_mean: Any, running_var: Any, weight: Any = None,
                bias: Any = None, training: bool = False, momentum: float = 0.1,
                eps: float = 1e-5) -> Any:  # fmt: skip
    """Over the batch in training, which also moves the running statistics; else over those."""
    dims = (0, *range(2, x.ndim))
    weight, bias = per_channel(F, weight, x), per_channel(F, bias, x)
    if not training:
        scale = F.rsqrt(per_channel(F, running_var, x) + eps)
        return affine((x - per_channel(F, running_mean, x)) * scale, weight, bias)
    if running_mean is not None:
        seen = x.detach()
        for running, now in (
            (running_mean, F.mean(seen, dim=dims)),
            (running_var, F.var(seen, dim=dims)),
        ):
            running.detach().copy_(running.detach() * (1 - momentum) + now * momentum)
    return affine(_normalised(F, x, dims, eps), weight, bias)


def _instance_norm(F: Any, x: Any, running_mean: Any = None, running_var: Any = None,
                   weight: Any = None, bias: Any = None, use_input_stats: bool = True,
                   momentum: float = 0.1, eps: float = 1e-5) -> Any:  # fmt: skip
    """Batch normalisation of each sample on its own."""
    if not use_input_stats:
        return _batch_norm(F, x, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is not None:
        seen, dims = x.detach(), tuple(range(2, x.ndim))
        for running, now in ((running_mean, F.mean(seen, dim=dims)),
                             (running_var, F.var(seen, dim=dims))):  # fmt: skip
            now = F.mean(now, dim=0)
            running.detach().copy_(running.detach() * (1 - momentum) + now * momentum)
    made = _normalised(F, x, tuple(range(2, x.ndim)), eps)
    return affine(made, per_channel(F, weight, x), per_channel(F, bias, x))


composite("nn.functional.layer_norm", _layer_norm, complex=False, order=(
              "x", "normalized_shape", "weight", "bias", "eps"),
          samples=[(((2, 3, 4), (3, 4), (3, 4)), {"normalized_shape": (3, 4)}),
                   (((2, 3),), {"normalized_shape": (3,)})])  # fmt: skip
composite("nn.functional.group_norm", _group_norm, complex=False,
          samples=[(((2, 4, 3),), {"num_groups": 2})])  # fmt: skip
composite(
    "nn.functional.instance_norm", _instance_norm, complex=False, samples=[(((2, 3, 4),), {})]
)
composite("nn.functional.batch_norm", _batch_norm, complex=False,
          fill={"running_mean": "constant", "running_var": "constant"}, samples=[
    (((3, 2), (2,), (2,)), {}), (((3, 2, 2), (2,), (2,), (2,), (2,)), {}),
    (((3, 2, 2), None, None, (2,), (2,)), {"training": True})])  # fmt: skip


def _response_norm(F: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75,
                   k: float = 1.0) -> Any:  # fmt: skip
    """Over ``size`` neighbouring channels (Krizhevsky et al. 2012)."""
    pad = (0, 0) * (x.ndim - 2) + (size // 2, (size - 1) // 2)
    squares = F.constant_pad_nd(x * x, pad=pad)
    total = sum(F.narrow(squares, dim=1, start=i, length=x.shape[1]) for i in range(size))
    return x / (total * (alpha / size) + k) ** beta


composite("nn.functional.local_response_norm", _response_norm, complex=False, methods=(),
          samples=[(((1, 4, 3),), {"size": 2})])  # fmt: skip


# dropout and embedding ----------------------------------------------------------------------------
nondiff("_kept", lambda xp, x, *, p, shape: xp.cast(
    xp.random("uniform", tuple(shape), xp.dtype_of(x).to_real(), str(x.device)) >= p,
    xp.dtype_of(x)))  # fmt: skip


def _dropout(F: Any, x: Any, p: float = 0.5, training: bool = True) -> Any:
    """Zeros each element with probability p and scales the others by 1/(1 − p)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout got p={p}; a probability is between 0 and 1")
    if not training or p == 0:
        return x
    return x * (F._kept(x, p=p, shape=tuple(x.shape)) * (1 / (1 - p) if p < 1 else 0.0))


def _dropout2d(F: Any, x: Any, p: float = 0.5, training: bool = True) -> Any:
    """Zeros whole channels of x (N, C, ...)."""
    if not training or p == 0:
        return x
    mask = F._kept(x, p=p, shape=(*x.shape[:2], *(1,) * (x.ndim - 2)))
    return x * (mask * (1 / (1 - p) if p < 1 else 0.0))


composite("nn.functional.dropout", _dropout)
composite("nn.functional.dropout2d", _dropout2d)


def _embedding_vjp(F: Any, g: Any, x: Any, weight_shape: Any, padding_idx: int | None) -> Any:
    rows = F.reshape(x, shape=(-1,))
    source = F.reshape(g, shape=(-1, weight_shape[1]))
    if padding_idx is not None:
        padding = F.unsqueeze(rows == padding_idx % weight_shape[0], dim=-1)
        source = F.where(padding, 0, source)
    return F.index_add(F.zeros_of(g, size=weight_shape), dim=0, index=rows, source=source)


linear("nn.functional.embedding", lambda xp, x, weight, *, padding_idx=None: xp.reshape(xp.take(
           weight, xp.reshape(x, (-1,)), axis=0), (*x.shape, weight.shape[1])),
       transpose_weight=_embedding_vjp, complex=False, fill={"x": "below:4"},
       samples=[(((2, 3), (4, 2)), {}), (((3,), (4, 2)), {"padding_idx": 1})])  # fmt: skip
