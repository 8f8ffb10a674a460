"""Padding, interpolation and means: every output is a weighted sum of a few inputs along each
dimension. Samples of an image at the places of a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import product
from math import floor, prod
from typing import Any, TypeAlias

import numpy as np

from reference_engine.backends.dtypes import int64
from reference_engine.ops.convolution import batched, pad_ends, tuple_of
from reference_engine.ops.opdef import composite, linear, on, own

# rows are laid out by hand
# fmt: off

#: for each neighbour that outputs have along a dimension: its places in the input, its weights
Taps: TypeAlias = "tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]"


# padding ------------------------------------------------------------------------------------------
def _constant_pad(xp: Any, x: Any, *, pad: Sequence[int], value: float = 0) -> Any:
    before, after = _ends(pad)
    made = pad_ends(xp, x, [max(b, 0) for b in before], [max(a, 0) for a in after], value)
    if min(pad, default=0) < 0:
        sizes = zip(before, after, x.shape[x.ndim - len(before) :], strict=True)
        kept = (..., *(slice(max(-b, 0), n + b + a + max(-b, 0)) for b, a, n in sizes))
        made = made[kept]
    return made if made is not x and min(pad, default=0) >= 0 else xp.copy(made)


def _ends(pad: Sequence[int]) -> tuple[list[int], list[int]]:
    """torch.nn.functional.pad's list, which starts at the last dimension, as (before, after)."""
    if len(pad) % 2:
        raise RuntimeError(f"pad needs two numbers for each dimension, got {tuple(pad)}")
    return list(pad[-2::-2]), list(pad[-1::-2])


_NUMPYS: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _mirrored(n: int, before: int, after: int, mode: str) -> list[int]:
    """The place in the input of each element of a dimension padded without a constant; what
    negative padding cuts off does not come round again.
    """
    most = {"reflect": n - 1, "circular": n}.get(mode, before + after + n)
    if max(before, after) > most:
        raise RuntimeError(
            f"{mode} padding by ({before}, {after}) is too much for a dimension of size {n}")
    cut = slice(max(-before, 0), n + min(after, 0))
    places = np.arange(n)[cut] if mode == "circular" else np.arange(n)
    wide: list[int] = np.pad(places, (max(before, 0), max(after, 0)), mode=_NUMPYS[mode]).tolist()
    return wide if mode == "circular" else wide[cut.start : len(wide) + min(after, 0)]


def _pad(F: Any, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
         ) -> Any:
    if mode == "constant":
        return F.constant_pad_nd(x, pad=tuple(pad), value=0 if value is None else value)
    if mode not in _NUMPYS:
        raise NotImplementedError(
            f"pad got mode={mode!r}; expected 'constant', 'reflect', 'replicate' or 'circular'")
    before, after = _ends(pad)
    sizes = zip(x.shape[x.ndim - len(before) :], before, after, strict=True)
    return F._resample(x, taps=tuple(taps_of([[(i, 1.0)] for i in _mirrored(*each, mode)])
                                     for each in sizes))


own("constant_pad_nd", _constant_pad,
    vjp_x=lambda F, g, pad: F.constant_pad_nd(g, pad=tuple(-n for n in pad)),
    jvp=lambda F, t_x, pad: F.constant_pad_nd(t_x, pad=pad),
    samples=[on((2, 3), pad=(1, 2)), on((2, 3), pad=(-1, 1, 2, 0), value=1.5)])
composite("nn.functional.pad", _pad, samples=[
    on((2, 3), pad=(1, 1)), on((2, 3, 4), pad=(2, 1), mode="reflect"),
    on((2, 3, 4), pad=(2, 1), mode="replicate"), on((2, 3, 4), pad=(2, 1), mode="circular")])


# weighted sums of neighbours ----------------------------------------------------------------------
def taps_of(rows: Sequence[Sequence[tuple[int, float]]]) -> Taps:
    """From the places and weights of each output's neighbours, which may be of any number."""
    most = max(map(len, rows), default=0)
    columns = zip(*([*row, *[(row[-1][0], 0.0)] * (most - len(row))] for row in rows), strict=True)
    return tuple((tuple(i for i, _ in column), tuple(w for _, w in column)) for column in columns)


def _weighed(xp: Any, v: Any, dim: int, weights: Sequence[float]) -> Any:
    if all(w == 1 for w in weights):
        return v
    scale = xp.asarray(weights, xp.dtype_of(v), v.device)
    scale = xp.reshape(scale, (-1, *(1,) * (v.ndim - dim - 1)))
    # 0 · inf is not 0
    return xp.where(scale == 0, 0, v) if {*weights} <= {0.0, 1.0} else v * scale


def _resample(xp: Any, x: Any, *, taps: tuple[Taps, ...], counts: Any = None) -> Any:
    """Weighted sums along the last dimensions, over ``counts``, for each output, where given."""
    for dim, neighbours in enumerate(taps, x.ndim - len(taps)):
        total = None
        for places, weights in neighbours:
            part = xp.take(x, xp.asarray(places, int64, x.device), axis=dim)
            part = _weighed(xp, part, dim, weights)
            total = part if total is None else total + part
        x = total
    return x if counts is None else x / xp.asarray(counts, xp.dtype_of(x), x.device)


def _unsample(xp: Any, g: Any, *, size: Sequence[int], taps: tuple[Taps, ...],
              counts: Any = None) -> Any:
    g = g if counts is None else g / xp.asarray(counts, xp.dtype_of(g), g.device)
    lead = g.ndim - len(taps)
    for dim in reversed(range(lead, g.ndim)):
        shape = (*g.shape[:dim], size[dim], *g.shape[dim + 1 :])
        total = xp.zeros(shape, dtype=g.dtype, device=g.device)
        for places, weights in taps[dim - lead]:
            index = (slice(None),) * dim + (xp.asarray(places, int64, g.device),)
            total = xp.index_put(total, index, _weighed(xp, g, dim, weights), accumulate=True)
        g = total
    return g


def resampling_row(name: str, node: str) -> None:
    """A row of weighted sums of neighbours under a name of its own."""
    linear(name, _resample, node=node, transpose=lambda F, g, x_shape, taps, counts: F._unsample(
        g, size=tuple(x_shape), taps=taps, counts=counts))


resampling_row("_resample", "PadBackward0")
linear("_unsample", _unsample, transpose=lambda F, g, taps, counts: F._resample(
    g, taps=taps, counts=counts))


# interpolation ------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def _taps(n: int, out: int, mode: str, align_corners: bool, scale: float | None) -> Taps:
    """Where each of ``out`` elements lies among ``n``; ``scale`` is out/n where the user gave it.

    Coordinates as documented at https://pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
    """
    step = 1 / scale if scale else n / out
    if mode == "nearest":  # PyTorch computes these places in float32
        at = [np.float32(i) * np.float32(step) for i in range(out)]
        return taps_of([[(min(int(p), n - 1), 1.0)] for p in at])
    if mode == "nearest-exact":
        return taps_of([[(min(int((i + 0.5) * step), n - 1), 1.0)] for i in range(out)])
    if mode == "area":
        return taps_of([[(j, 1 / (b - a)) for j in range(a, b)] for a, b in even_ends(n, out)])
    if align_corners:
        at = [i * (n - 1) / (out - 1) if out > 1 else 0.0 for i in range(out)]
    else:
        at = [(i + 0.5) * step - 0.5 for i in range(out)]
    cubic = mode == "bicubic"
    at = at if cubic else [min(max(p, 0.0), n - 1.0) for p in at]
    return taps_of([[(min(max(floor(p) + k, 0), n - 1), kernel(abs(p - floor(p) - k), cubic))
                     for k in (range(-1, 3) if cubic else range(2))] for p in at])


def even_ends(n: int, out: int) -> list[tuple[int, int]]:
    """Windows that cover n elements, as even as integers allow."""
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def kernel(d: Any, cubic: bool, far: bool | None = None) -> Any:
    """The weight of a neighbour at distance d: linear, or cubic as in Keys 1981,
    https://doi.org/10.1109/TASSP.1981.1163711, with a = −¾ as PyTorch has it. ``far``: d > 1.
    """
    if not cubic:
        return 1 - d
    far = d > 1 if far is None else far
    return ((d * -0.75 + 3.75) * d - 6) * d + 3 if far else (d * 1.25 - 2.25) * d * d + 1


def _hat(d: float, cubic: bool) -> float:
    """Against aliasing: a triangle, or Keys' cubic with a = −½."""
    if not cubic:
        return max(1 - d, 0.0)
    return (1.5 * d - 2.5) * d * d + 1 if d < 1 else max(((2.5 - d * 0.5) * d - 4) * d + 2, -1.0)


def _hats(n: int, out: int, align: bool, scale: float | None, cubic: bool = False) -> Taps:
    """Weights that are as wide as the step, where the image shrinks."""
    step = ((n - 1) / (out - 1) if out > 1 else 0.0) if align else 1 / scale if scale else n / out
    width, rows = max(step, 1.0), []
    reach = width * (1 + cubic)
    for i in range(out):
        centre = step * (i + 0.5)
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n)
        row = [(j, _hat(abs(j - centre + 0.5) / width, cubic)) for j in range(first, last)]
        rows.append([(j, w / sum(w for _, w in row)) for j, w in row])
    return taps_of(rows)


_MODES = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "linear": (1,), "bilinear": (2,),
          "trilinear": (3,), "area": (1, 2, 3), "bicubic": (2,)}


def _interpolate(F: Any, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                 align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                 antialias: bool = False) -> Any:
    """(N, C, *in) to ``size``, or to the input's sizes times ``scale_factor``."""
    n = x.ndim - 2
    if n not in _MODES.get(mode, ()):
        raise NotImplementedError(
            f"interpolate of {n} spatial dimensions got mode={mode!r}; the modes are {_MODES}")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate needs either size or scale_factor")
    scales: Sequence[float | None] = (None,) * n
    if size is None:
        many = isinstance(scale_factor, Sequence)
        scales = tuple(map(float, scale_factor)) if many else (float(scale_factor),) * n
        size = tuple(int(m * (s or 0)) for m, s in zip(x.shape[2:], scales, strict=True))
        scales = (None,) * n if recompute_scale_factor else scales
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate with antialias got mode={mode!r}, not bilinear or bicubic")
    each = zip(x.shape[2:], tuple_of(size, n), scales, strict=True)
    taps = tuple(
        _hats(m, o, bool(align_corners), s, mode == "bicubic") if antialias
        else _taps(m, o, mode, bool(align_corners), s) for m, o, s in each)
    row = f"_{mode}2d_aa" if antialias else f"_upsample_{mode.replace('-', '_')}{n}d"
    return getattr(F, row)(x, taps=taps)


def _antialiased(F: Any, x: Any, output_size: Any, align_corners: bool, scale_factors: Any = None,
                 scales_h: Any = None, scales_w: Any = None) -> Any:
    scales, size = (scales_h, scales_w) if scale_factors is None else scale_factors, x.shape[2:]
    if output_size is None:
        output_size = [int(n * s) for n, s in zip(size, scales, strict=True)]
    each = zip(size, output_size, scales, strict=True)
    return F._bilinear2d_aa(x, taps=tuple(_hats(n, o, align_corners, s) for n, o, s in each))


def _adaptive(F: Any, x: Any, output_size: Any, *, n: int) -> Any:
    return batched(F, F.interpolate, x, n, kept_sizes(x, output_size, n), mode="area")


def kept_sizes(x: Any, output_size: Any, n: int) -> tuple[int, ...]:
    """The sizes of the last ``n`` dimensions of an output; None keeps the input's."""
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    return tuple(m if s is None else s for s, m in zip(given, x.shape[-n:], strict=True))


_REAL: Any = {"complex": False, "methods": ()}
for _mode, _n in ((mode, n) for mode, dims in _MODES.items() for n in dims):
    _title = _mode.title().replace("-", "")
    resampling_row(f"_upsample_{_mode.replace('-', '_')}{_n}d", f"Upsample{_title}{_n}DBackward0")
for _mode in ("bilinear", "bicubic"):
    resampling_row(f"_{_mode}2d_aa", f"Upsample{_mode.title()}2DAaBackward0")
composite("_upsample_bilinear2d_aa", _antialiased, **_REAL)
composite("nn.functional.interpolate", _interpolate, **_REAL, samples=[
    on((1, 2, 3, 4), scale_factor=2), on((1, 2, 3, 4), size=(5, 3)),
    on((1, 2, 3, 4), scale_factor=2, mode="bilinear", align_corners=False),
    on((1, 2, 3, 4), size=(5, 7), mode="bilinear", align_corners=True),
    on((1, 2, 3), scale_factor=1.7, mode="linear"), on((1, 2, 3), size=5, mode="nearest-exact"),
    on((1, 1, 2, 3, 2), size=(3, 2, 4), mode="trilinear")])
composite("nn.functional.upsample_nearest", lambda F, x, size=None, scale_factor=None:
          F.interpolate(x, size, scale_factor, mode="nearest"), **_REAL)
composite("nn.functional.upsample_bilinear", lambda F, x, size=None, scale_factor=None:
          F.interpolate(x, size, scale_factor, mode="bilinear", align_corners=True), **_REAL)
for _n in (1, 2, 3):
    composite(f"nn.functional.adaptive_avg_pool{_n}d", partial(_adaptive, n=_n), **_REAL)


# at the places of a grid --------------------------------------------------------------------------
def _coordinate(F: Any, v: Any, n: int, padding: int, align: bool) -> Any:
    """Places among n elements, those outside brought in by ``padding`` 1 (border) or 2 (mirror)."""
    if padding == 2:
        low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
        if not span:
            return v * 0
        v = F.where(v < low, low - v, v - low)
        turns = F.floor(v / span)
        part = v - turns * span
        v = F.where(F.remainder(turns, 2) == 0, part, span - part) + low
    # at the border itself the derivative is that of outside, 0
    return F.where(v <= 0, 0.0, F.where(v >= n - 1, n - 1.0, v)) if padding else v


def _picked(F: Any, x: Any, places: Sequence[Any]) -> Any:
    """x (N, C, *in) at whole places (N, *out) for each dimension; 0 outside."""
    at: Any = 0
    inside: Any = True
    for p, n in zip(places, x.shape[2:], strict=True):
        held = F.clamp(p.detach(), 0, n - 1)
        at, inside = at * n + held.long(), (held == p.detach()) & inside
    index = F.reshape(at, shape=(x.shape[0], 1, -1))
    index = F.expand(index, size=(*x.shape[:2], index.shape[-1]))
    made = F.gather(F.flatten(x, start_dim=2), dim=-1, index=index)
    made = F.reshape(made, shape=(*x.shape[:2], *at.shape[1:]))
    return F.where(F.unsqueeze(inside, dim=1), made, 0)


def _grid_sampler(F: Any, x: Any, grid: Any, interpolation_mode: int, padding_mode: int,
                  align_corners: bool) -> Any:
    """x (N, C, *in) at the grid (N, *out, dims), whose last dimension counts x's from the last;
    modes 0 linear, 1 nearest, 2 cubic.
    """
    taps: list[Any] = []
    align, cubic = bool(align_corners), interpolation_mode == 2
    for d, n in enumerate(reversed(x.shape[2:])):
        v = F.select(grid, dim=-1, index=d)
        v = (v + 1) * ((n - 1) / 2) if align else ((v + 1) * n - 1) / 2
        # a cubic mirrors each of its taps instead
        v = v if cubic else _coordinate(F, v, n, padding_mode, align)
        low = F.floor(v.detach())
        found = [(low + k, kernel(low + k - v if k > 0 else v - low - k, cubic, k in (-1, 2)))
                 for k in (range(-1, 3) if cubic else range(2))]
        if cubic:
            found = [(_coordinate(F, p, n, padding_mode, align), w) for p, w in found]
        taps.insert(0, [(F.round(v), None)] if interpolation_mode == 1 else found)
    total: Any = 0
    for corner in product(*taps):
        picked = _picked(F, x, [F.round(p) if padding_mode == 2 else p for p, _ in corner])
        if interpolation_mode == 1:  # the grid has a gradient, of zeros
            return F._beside(picked, F.unsqueeze(F.select(grid, dim=-1, index=0), dim=1))
        weight = prod((w for _, w in corner[1:]), start=corner[0][1])
        total = total + picked * F.unsqueeze(weight, dim=1)
    return total


_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
for _n in (2, 3):
    composite(f"grid_sampler_{_n}d", _grid_sampler, **_REAL)
composite("nn.functional.grid_sample", lambda F, x, grid, mode="bilinear", padding_mode="zeros",
          align_corners=None: _grid_sampler(
              F, x, grid, ("bilinear", "nearest", "bicubic").index(mode), _PADDINGS[padding_mode],
              bool(align_corners)), samples=[on((1, 2, 3, 4), (1, 2, 2, 2))], **_REAL)
