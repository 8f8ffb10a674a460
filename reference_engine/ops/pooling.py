"""Pooling: the maximum or the mean of every window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from math import inf, prod
from typing import Any, TypeAlias

from reference_engine.ops.convolution import Sizes, pad_ends, tuple_of, window_slices
from reference_engine.ops.opdef import Sample, composite, linear, own

Window: TypeAlias = "tuple[Sizes, Sizes, Sizes, Sizes, bool]"


def _counts(size: Sequence[int], window: Window) -> Sizes:
    """How many windows fit along each dimension: each starts in the input or its left padding."""
    counts = []
    for n, k, s, p, d in zip(size, *window[:4], strict=True):
        if p * 2 > k:
            raise RuntimeError(f"a window of {k} takes a padding of at most {k // 2}, got {p}")
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if window[4] else room // s) + 1
        if window[4] and (count - 1) * s >= n + p:
            count -= 1
        if count < 1:
            raise RuntimeError(
                f"a window of {d * (k - 1) + 1} does not fit a dimension of size {n}"
            )
        counts.append(count)
    return tuple(counts)


def _padded(xp: Any, x: Any, counts: Sizes, window: Window, value: float) -> Any:
    kernel, stride, padding, dilation, _ = window
    spatial = x.shape[x.ndim - len(kernel) :]
    after = [max((c - 1) * s + d * (k - 1) + 1 - n - p, 0) for c, s, d, k, n, p in zip(
        counts, stride, dilation, kernel, spatial, padding, strict=True)]  # fmt: skip
    return pad_ends(xp, x, padding, after, value)


# maximum ------------------------------------------------------------------------------------------
def _max_pool(xp: Any, x: Any, *, window: Window) -> Any:
    kernel, stride, padding, dilation, _ = window
    n = len(kernel)
    spatial = tuple(x.shape[x.ndim - n :])
    counts = _counts(spatial, window)
    windows = xp.sliding_windows(_padded(xp, x, counts, window, -inf), kernel, stride, dilation)
    kept = (..., *(slice(c) for c in counts), *(slice(None),) * n)
    windows = windows[kept]
    flat = xp.reshape(windows, (*windows.shape[: x.ndim], prod(kernel)))
    chosen = xp.argmax(flat, axis=-1, keepdims=True)
    values = xp.take_along_axis(flat, chosen, axis=-1)[..., 0]
    place, indices = chosen[..., 0], 0
    # the place in the window, dimension by dimension, and the window's own, as a place in the input
    for d in range(n):
        inner = prod(kernel[d + 1 :])
        start = xp.arange(counts[d], device=x.device) * stride[d] - padding[d]
        start = xp.reshape(start, (counts[d], *(1,) * (n - d - 1)))
        indices = indices * spatial[d] + start + place // inner % kernel[d] * dilation[d]
    return values, indices


def _flat(F: Any, v: Any, n: int) -> Any:
    return F.reshape(v, shape=(*v.shape[: v.ndim - n], prod(v.shape[v.ndim - n :])))


def _max_pool_vjp(F: Any, g_values: Any, indices: Any, x_shape: Any, window: Window) -> Any:
    n = len(window[0])
    g, places = _flat(F, g_values, n), _flat(F, indices, n)
    zeros = F.zeros_of(g, size=(*g.shape[:-1], prod(x_shape[len(x_shape) - n :])))
    return F.reshape(F.scatter_add(zeros, dim=-1, index=places, src=g), shape=x_shape)


def _max_pool_jvp(F: Any, indices: Any, t_x: Any, window: Window) -> Any:
    n = len(window[0])
    picked = F.gather(_flat(F, t_x, n), dim=-1, index=_flat(F, indices, n))
    return F.reshape(picked, shape=tuple(indices.shape))


def _max_pool_nd(n: int) -> Any:
    def forward(F: Any, x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0,
                dilation: Any = 1,
                ceil_mode: bool = False, return_indices: bool = False) -> Any:  # fmt: skip
        _check_dims(f"max_pool{n}d", x, n)
        kernel = tuple_of(kernel_size, n)
        steps = kernel if stride is None or stride == () else tuple_of(stride, n)
        window = (kernel, steps, tuple_of(padding, n), tuple_of(dilation, n), bool(ceil_mode))
        values, indices = getattr(F, f"_max_pool{n}d")(x, window=window)
        return (values, indices) if return_indices else values

    return forward


def _check_dims(name: str, x: Any, n: int) -> None:
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name} needs (N, C, …) with {n} spatial dimensions, got {list(x.shape)}"
        )


# mean ---------------------------------------------------------------------------------------------
def _window_sum(xp: Any, x: Any, *, window: Window) -> Any:
    kernel, stride = window[:2]
    n = len(kernel)
    counts = _counts(x.shape[x.ndim - n :], window)
    padded = _padded(xp, x, counts, window, 0)
    total = xp.zeros((*x.shape[: x.ndim - n], *counts), dtype=x.dtype, device=x.device)
    for place in product(*map(range, kernel)):
        total += padded[window_slices(place, counts, stride)]
    return total


def _window_spread(xp: Any, g: Any, *, size: Sizes, window: Window) -> Any:
    kernel, stride, padding = window[:3]
    n = len(kernel)
    spatial, counts = size[len(size) - n :], g.shape[g.ndim - n :]
    empty = xp.zeros((*g.shape[: g.ndim - n], *spatial), dtype=g.dtype, device=g.device)
    out = xp.copy(_padded(xp, empty, tuple(counts), window, 0))
    for place in product(*map(range, kernel)):
        out[window_slices(place, counts, stride)] += g
    return out[window_slices(padding, spatial, (1,) * n)]


def _shares(size: Sequence[int], window: Window, count_include_pad: bool) -> list[list[int]]:
    """How many elements the windows have along each dimension: overhang never counts."""
    shares = []
    for n, k, s, p, c in zip(size, *window[:3], _counts(size, window), strict=True):
        low, high = (-p, n + p) if count_include_pad else (0, n)
        shares.append([min(i * s - p + k, high) - max(i * s - p, low) for i in range(c)])
    return shares


def _divided(scale: Any, v: Any, size: Sequence[int], window: Window, include: bool,
             divisor: int | None) -> Any:  # fmt: skip
    """Sums of windows over their numbers of elements."""
    if divisor is not None:
        return v / divisor
    shares = _shares(size, window, include)
    if all(len(set(counts)) == 1 for counts in shares):
        return v / prod(counts[0] for counts in shares)
    for d, counts in enumerate(shares, v.ndim - len(shares)):
        v = scale(v, dim=d, factors=tuple(1 / c for c in counts))
    return v


def _scale_along(xp: Any, x: Any, *, dim: int, factors: tuple[float, ...]) -> Any:
    scale = xp.asarray(factors, xp.dtype_of(x), x.device)
    return x * xp.reshape(scale, (-1, *(1,) * (x.ndim - dim - 1)))


linear("_scale_along", _scale_along,
       transpose=lambda F, g, dim, factors: F._scale_along(g, dim=dim, factors=factors)
       )  # fmt: skip
linear("_window_sum", _window_sum, transpose=lambda F, g, x_shape, window: F._window_spread(
    g, size=tuple(x_shape), window=window))  # fmt: skip
linear(
    "_window_spread", _window_spread, transpose=lambda F, g, window: F._window_sum(g, window=window)
)


def _avg_pool_nd(n: int) -> Any:
    def forward(F: Any, x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0,
                ceil_mode: bool = False, count_include_pad: bool = True,
                divisor_override: int | None = None) -> Any:  # fmt: skip
        _check_dims(f"avg_pool{n}d", x, n)
        kernel = tuple_of(kernel_size, n)
        steps = kernel if stride is None or stride == () else tuple_of(stride, n)
        window = (kernel, steps, tuple_of(padding, n), (1,) * n, bool(ceil_mode))
        return getattr(F, f"_avg_pool{n}d")(
            x, window=window, include=count_include_pad, divisor=divisor_override)  # fmt: skip

    return forward


def _avg_pool(xp: Any, x: Any, *, window: Window, include: bool, divisor: int | None) -> Any:
    size = x.shape[x.ndim - len(window[0]) :]
    total = _window_sum(xp, x, window=window)
    return _divided(partial(_scale_along, xp), total, size, window, include, divisor)


def _samples(n: int, *settings: dict[str, Any]) -> list[Sample]:
    shapes = ((2, *(4, 5, 3)[:n]), (2, 2, *(5, 4, 6)[:n]), (2, 2, *(5, 4, 6)[:n]))
    return [((shape,), given) for shape, given in zip(shapes, settings, strict=True)]


def _rows(n: int) -> None:
    """The rows for ``n`` dimensions."""
    three: Window = ((3,) * n, (2,) * n, (1,) * n, (1,) * n, True)
    plane = ((2, *(5, 4, 6)[:n]),)
    common = {"kernel_size": 3, "stride": 2, "padding": 1}
    own(f"_max_pool{n}d", _max_pool, outputs=("values", "indices"), vjp_x=_max_pool_vjp,
        jvp=_max_pool_jvp, complex=False, samples=[(plane, {"window": three})],
        node=f"MaxPool{max(n, 2)}DWithIndicesBackward0")  # fmt: skip
    composite(f"nn.functional.max_pool{n}d", _max_pool_nd(n), complex=False, kinks="ties",
              samples=_samples(n, {"kernel_size": 2}, {**common, "ceil_mode": True},
                               {"kernel_size": 2, "stride": 1, "dilation": 2,
                                "return_indices": True}))  # fmt: skip
    linear(f"_avg_pool{n}d", _avg_pool, node=f"AvgPool{n}DBackward0",
           transpose=lambda F, g, x_shape, window, include, divisor: F._window_spread(
               _divided(F._scale_along, g, x_shape[len(x_shape) - n :], window, include, divisor),
               size=tuple(x_shape), window=window),
           samples=[(plane, {"window": three, "include": False, "divisor": None})])  # fmt: skip
    composite(f"nn.functional.avg_pool{n}d", _avg_pool_nd(n), complex=False,
              samples=_samples(n, {"kernel_size": 2}, {**common, "ceil_mode": True},
                               {**common, "count_include_pad": False}))  # fmt: skip


for _n in (1, 2, 3):
    _rows(_n)
