"""Pooling: the maximum or the mean of every window, and the inverse of a maximum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial, reduce
from math import prod
from typing import Any, TypeAlias

import numpy as np

from reference_engine.backends.dtypes import int64
from reference_engine.ops.convolution import Sizes, tuple_of
from reference_engine.ops.opdef import Sample, composite, on, own
from reference_engine.ops.resampling import even_ends, kept_sizes, resampling_row, taps_of

# rows are laid out by hand
# fmt: off

#: kernel, stride, padding, dilation, and whether windows may reach beyond the right padding
Window: TypeAlias = "tuple[Sizes, Sizes, Sizes, Sizes, bool]"


def _window(name: str, x: Any, n: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
            ceil_mode: bool) -> Window:
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name} needs (N, C, …) with {n} spatial dimensions, got {list(x.shape)}")
    steps = kernel_size if stride is None or stride == () else stride
    kernel, strides, paddings, dilations = (
        tuple_of(v, n) for v in (kernel_size, steps, padding, dilation))
    return kernel, strides, paddings, dilations, bool(ceil_mode)


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
                f"a window of {d * (k - 1) + 1} does not fit a dimension of size {n}")
        counts.append(count)
    return tuple(counts)


# maximum ------------------------------------------------------------------------------------------
def _flat(F: Any, v: Any, n: int) -> Any:
    return F.reshape(v, shape=(*v.shape[: v.ndim - n], prod(v.shape[v.ndim - n :])))


def _places(along: Sequence[Any], size: Sequence[int]) -> Any:
    """Flat places of the elements of all windows, (*out, elements), from each dimension's table of
    windows and elements.
    """
    n = len(size)
    total: Any = 0
    for d, (table, m) in enumerate(zip(along, size, strict=True)):
        shape = np.ones(2 * n, int)
        shape[[d, n + d]] = table.shape
        total = total * m + table.reshape(shape)
    return total.reshape((*total.shape[:n], -1))


@lru_cache(maxsize=64)
def _regular(size: Sizes, window: Window) -> Any:
    """Places of equal windows; what lies in the padding gives way to an element of its window."""
    along = []
    for n, count, k, s, p, d in zip(size, _counts(size, window), *window[:4], strict=True):
        start = np.arange(count)[:, None] * s - p
        first, last = np.where(start < 0, start % d, start), start + (n - 1 - start) // d * d
        along.append(np.clip(start + np.arange(k) * d, first, last))
    return _places(along, size)


def _max_at(xp: Any, x: Any, *, places: Any) -> Any:
    """The maximum of x (…, *in) in each of the windows (*out, elements), and its place."""
    lead, index = x.shape[: x.ndim + 1 - places.ndim], xp.asarray(places, int64, x.device)
    flat = xp.reshape(x, (*lead, prod(x.shape[len(lead) :])))
    picked = xp.take(flat, xp.reshape(index, (-1,)), axis=-1)
    picked = xp.reshape(picked, (*lead, *index.shape))
    chosen = xp.argmax(picked, axis=-1, keepdims=True)
    indices = xp.take_along_axis(xp.expand(index, picked.shape), chosen, axis=-1)
    return xp.take_along_axis(picked, chosen, axis=-1)[..., 0], indices[..., 0]


def _put(F: Any, g: Any, indices: Any, shape: Sequence[int], n: int, how: Any = None) -> Any:
    """Cotangents added up where the maxima were, or put there by ``F.scatter``."""
    lead = len(shape) - n
    zeros = F.zeros_of(g, size=(*shape[:lead], prod(shape[lead:])))
    put = F.scatter_add if how is None else how
    made = put(zeros, dim=-1, index=_flat(F, indices, n), src=_flat(F, g, n))
    return F.reshape(made, shape=tuple(shape))


def _picked(F: Any, t: Any, indices: Any, n: int) -> Any:
    made = F.gather(_flat(F, t, n), dim=-1, index=_flat(F, indices, n))
    return F.reshape(made, shape=tuple(indices.shape))


def _max_pool(F: Any, x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0,
              dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False, *, n: int
              ) -> Any:
    window = _window(f"max_pool{n}d", x, n, kernel_size, stride, padding, dilation, ceil_mode)
    made = getattr(F, f"_max_pool{n}d")(x, places=_regular(tuple(x.shape[-n:]), window))
    return made if return_indices else made[0]


def _elements(ends: Sequence[tuple[int, int]]) -> Any:
    """The elements of windows given by start and end; a shorter one repeats its last element."""
    most = max((b - a for a, b in ends), default=0)
    return np.array([[min(a + k, b - 1) for k in range(most)] for a, b in ends], int)


def _adaptive_max_pool(F: Any, x: Any, output_size: Any, return_indices: bool = False, *, n: int
                       ) -> Any:
    size = x.shape[-n:]
    each = zip(size, kept_sizes(x, output_size, n), strict=True)
    places = _places([_elements(even_ends(m, s)) for m, s in each], size)
    made = getattr(F, f"_adaptive_max_pool{n}d")(x, places=places)
    return made if return_indices else made[0]


def _fractional_max_pool(F: Any, x: Any, kernel_size: Any, output_size: Any = None,
                         output_ratio: Any = None, return_indices: bool = False,
                         _random_samples: Any = None, *, n: int) -> Any:
    """Graham 2014, https://arxiv.org/abs/1412.6071: steps that differ by one, by a random number
    for each dimension of each plane.
    """
    lead, size, kernel = tuple(x.shape[:-n]), tuple(x.shape[-n:]), tuple_of(kernel_size, n)
    if output_size is None:
        ratio = (output_ratio,) * n if isinstance(output_ratio, float) else output_ratio
        output_size = [int(m * r) for m, r in zip(size, ratio, strict=True)]
    out, drawn = tuple_of(output_size, n), _random_samples
    if drawn is None:
        drawn = F.uniform(F.zeros_of(x.detach(), size=(prod(lead), n)))
    drawn = F.reshape(drawn.detach(), shape=(-1, n))
    planes = drawn.shape[0]
    places = F._numbers_of(x, values=np.arange(planes) * prod(size)).reshape(-1, *(1,) * 2 * n)
    for d in range(n):
        # torch takes the last dimension's number first in two dimensions, not in three
        u = drawn[:, n - 1 - d if n == 2 else d].reshape(-1, 1)
        starts = _starts(F, u, size[d], out[d], kernel[d])[..., None]
        along = starts + F._numbers_of(x, values=np.arange(kernel[d]))
        shape = [planes, *(1,) * 2 * n]
        shape[1 + d], shape[1 + n + d] = out[d], kernel[d]
        places = places + along.reshape(shape) * prod(size[d + 1 :])
    places = places.reshape(*lead, *out, prod(kernel))._raw
    values, indices = getattr(F, f"_fractional_max_pool{n}d")(x, places=places)
    return (values, indices % prod(size)) if return_indices else values


def _starts(F: Any, u: Any, n: int, out: int, kernel: int) -> Any:
    """Where windows start, for each of the numbers drawn; the last one at the end."""
    step = (n - kernel) / (out - 1) if out > 1 else 0.0
    steps = F._numbers_of(u, values=np.arange(out - 1))
    inner = ((u + steps) * step).long() - (u * step).long()
    return F.constant_pad_nd(inner, pad=(0, 1), value=n - kernel)


def _max_unpool(F: Any, x: Any, indices: Any, kernel_size: Any, stride: Any = None,
                padding: Any = 0, output_size: Any = None, *, n: int) -> Any:
    given = kernel_size, kernel_size if stride is None else stride, padding
    sizes = zip(x.shape[-n:], *(tuple_of(v, n) for v in given), strict=True)
    size = [(m - 1) * s - 2 * p + k for m, k, s, p in sizes]
    out = (*x.shape[:-n], *tuple(size if output_size is None else output_size)[-n:])
    return _put(F, x, indices, out, n, F.scatter)


# mean ---------------------------------------------------------------------------------------------
@lru_cache(maxsize=64)
def _means(size: Sizes, window: Window, include: bool, divisor: int | None) -> Any:
    """Which elements each window sums, and what divides the sum: overhang never counts."""
    taps: list[Any] = []
    shares: list[Any] = []
    for n, count, k, s, p in zip(size, _counts(size, window), *window[:3], strict=True):
        ends = [(i * s - p, i * s - p + k) for i in range(count)]
        taps.append(taps_of([[(j, 1.0) for j in range(max(a, 0), min(b, n))] for a, b in ends]))
        low, high = (-p, n + p) if include else (0, n)
        shares.append([min(b, high) - max(a, low) for a, b in ends])
    counts = reduce(np.multiply.outer, shares) if divisor is None else np.array(divisor)
    return tuple(taps), counts


def _avg_pool(F: Any, x: Any, kernel_size: Any, stride: Any = (), padding: Any = 0,
              ceil_mode: bool = False, count_include_pad: bool = True,
              divisor_override: int | None = None, *, n: int) -> Any:
    window = _window(f"avg_pool{n}d", x, n, kernel_size, stride, padding, 1, ceil_mode)
    taps, counts = _means(tuple(x.shape[-n:]), window, bool(count_include_pad), divisor_override)
    return getattr(F, f"_avg_pool{n}d")(x, taps=taps, counts=counts)


# the rows -----------------------------------------------------------------------------------------
def _samples(n: int, *settings: dict[str, Any]) -> list[Sample]:
    shapes = ((2, *(4, 5, 3)[:n]), (2, 2, *(5, 4, 6)[:n]), (2, 2, *(5, 4, 6)[:n]))
    return [on(shape, **given) for shape, given in zip(shapes, settings, strict=True)]


_REAL: Any = {"complex": False, "methods": ()}
_STEPS = {"kernel_size": 3, "stride": 2, "padding": 1}
for _n in (1, 2, 3):
    for _stem, _node in (("", f"MaxPool{max(_n, 2)}DWithIndicesBackward0"), (
            "adaptive_", f"AdaptiveMaxPool{max(_n, 2)}DBackward0"), (
            "fractional_", f"FractionalMaxPool{_n}DBackward0")):
        own(f"_{_stem}max_pool{_n}d", _max_at, outputs=("values", "indices"), complex=False,
            vjp_x=lambda F, g_values, indices, x_shape, places: _put(
                F, g_values, indices, x_shape, places.ndim - 1),
            jvp=lambda F, indices, t_x, places: _picked(F, t_x, indices, places.ndim - 1),
            node=_node)
    composite(f"nn.functional.max_pool{_n}d", partial(_max_pool, n=_n), kinks="ties", **_REAL,
              samples=_samples(_n, {"kernel_size": 2}, {**_STEPS, "ceil_mode": True},
                               {"kernel_size": 2, "stride": 1, "dilation": 2,
                                "return_indices": True}))
    composite(f"nn.functional.adaptive_max_pool{_n}d", partial(_adaptive_max_pool, n=_n),
              kinks="ties", samples=[on((1, 2, *(5, 4, 3)[:_n]), output_size=2)], **_REAL)
    composite(f"nn.functional.max_unpool{_n}d", partial(_max_unpool, n=_n), **_REAL)
    if _n > 1:
        composite(f"nn.functional.fractional_max_pool{_n}d", partial(_fractional_max_pool, n=_n),
                  kinks="ties", **_REAL)
    resampling_row(f"_avg_pool{_n}d", f"AvgPool{_n}DBackward0")
    composite(f"nn.functional.avg_pool{_n}d", partial(_avg_pool, n=_n), **_REAL,
              samples=_samples(_n, {"kernel_size": 2}, {**_STEPS, "ceil_mode": True},
                               {**_STEPS, "count_include_pad": False}))
composite("max_pool2d_with_indices_backward", lambda F, grad_output, x, kernel_size, stride=(),
          padding=0, dilation=1, ceil_mode=False, indices=None: _put(
              F, grad_output, indices, x.shape, 2), **_REAL)
