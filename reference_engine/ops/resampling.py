"""Padding and interpolation: every output is a weighted sum of a few inputs along each
dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import floor
from typing import Any, TypeAlias

import numpy as np

from reference_engine.backends.dtypes import int64
from reference_engine.ops.convolution import pad_ends, tuple_of
from reference_engine.ops.opdef import Sample, composite, linear, own

#: for each neighbour that outputs have along a dimension: its places in the input, its weights
Taps: TypeAlias = "tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]"


# padding ------------------------------------------------------------------------------------------
def _constant_pad(xp: Any, x: Any, *, pad: Sequence[int], value: float = 0) -> Any:
    before, after = _ends(pad)
    made = pad_ends(xp, x, [max(b, 0) for b in before], [max(a, 0) for a in after], value)
    cut = [slice(max(-b, 0), n + b + a + max(-b, 0)) for b, a, n in zip(
        before, after, x.shape[x.ndim - len(before):], strict=True)]  # fmt: skip
    if min(pad, default=0) < 0:
        inner = (..., *cut)
        made = made[inner]
    return made if made is not x and min(pad, default=0) >= 0 else xp.copy(made)


def _ends(pad: Sequence[int]) -> tuple[list[int], list[int]]:
    """torch.nn.functional.pad's list, which starts at the last dimension, as (before, after)."""
    if len(pad) % 2:
        raise RuntimeError(f"pad needs two numbers for each dimension, got {tuple(pad)}")
    return list(pad[-2::-2]), list(pad[-1::-2])


own("constant_pad_nd", _constant_pad,
       vjp_x=lambda F, g, pad: F.constant_pad_nd(g, pad=tuple(-n for n in pad)),
       jvp=lambda F, t_x, pad: F.constant_pad_nd(t_x, pad=pad),
       samples=[(((2, 3),), {"pad": (1, 2)}),
                (((2, 3),), {"pad": (-1, 1, 2, 0), "value": 1.5})])  # fmt: skip


def _mirrored(n: int, before: int, after: int, mode: str) -> tuple[int, ...]:
    """The place in the input of each element of a dimension padded without a constant."""
    most = {"reflect": n - 1, "circular": n}.get(mode, before + after + n)
    if max(before, after) > most:
        raise RuntimeError(
            f"{mode} padding by ({before}, {after}) is too much for a dimension of size {n}"
        )
    places = range(-before, n + after)
    if mode == "replicate":
        return tuple(min(max(i, 0), n - 1) for i in places)
    if mode == "circular":
        # what negative padding cuts off does not come round again
        first, last = max(-before, 0), n + min(after, 0)
        return tuple(first + (i - first) % (last - first) for i in places)
    return tuple(n - 1 - abs(n - 1 - abs(i)) for i in places)


def _pad(
    F: Any, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Any:
    if mode == "constant":
        return F.constant_pad_nd(x, pad=tuple(pad), value=0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(
            f"pad got mode={mode!r}; expected 'constant', 'reflect', 'replicate' or 'circular'"
        )
    before, after = _ends(pad)
    taps = []
    for b, a, n in zip(before, after, x.shape[x.ndim - len(before) :], strict=True):
        places = _mirrored(n, b, a, mode)
        taps.append(((places, (1.0,) * len(places)),))
    return F._resample(x, taps=tuple(taps))


composite("nn.functional.pad", _pad, samples=[
    (((2, 3),), {"pad": (1, 1)}), (((2, 3, 4),), {"pad": (2, 1), "mode": "reflect"}),
    (((2, 3, 4),), {"pad": (2, 1), "mode": "replicate"}),
    (((2, 3, 4),), {"pad": (2, 1), "mode": "circular"})])  # fmt: skip


# weighted sums of neighbours ----------------------------------------------------------------------
def _weighed(xp: Any, v: Any, dim: int, weights: Sequence[float]) -> Any:
    if all(w == 1 for w in weights):
        return v
    scale = xp.asarray(weights, xp.dtype_of(v), v.device)
    return v * xp.reshape(scale, (-1, *(1,) * (v.ndim - dim - 1)))


def _resample(xp: Any, x: Any, *, taps: tuple[Taps, ...]) -> Any:
    for dim, neighbours in enumerate(taps, x.ndim - len(taps)):
        total = None
        for places, weights in neighbours:
            part = xp.take(x, xp.asarray(places, int64, x.device), axis=dim)
            part = _weighed(xp, part, dim, weights)
            total = part if total is None else total + part
        x = total
    return x


def _unsample(xp: Any, g: Any, *, size: Sequence[int], taps: tuple[Taps, ...]) -> Any:
    lead = g.ndim - len(taps)
    for d in reversed(range(len(taps))):
        dim, shape = lead + d, list(g.shape)
        shape[dim] = size[dim]
        total = xp.zeros(tuple(shape), dtype=g.dtype, device=g.device)
        for places, weights in taps[d]:
            index = (slice(None),) * dim + (xp.asarray(places, int64, g.device),)
            total = xp.index_put(total, index, _weighed(xp, g, dim, weights), accumulate=True)
        g = total
    return g


def resampling_row(name: str, node: str) -> None:
    """A row of weighted sums of neighbours under a name of its own."""
    linear(name, _resample, node=node, transpose=lambda F, g, x_shape, taps: F._unsample(
        g, size=tuple(x_shape), taps=taps))  # fmt: skip


resampling_row("_resample", "PadBackward0")
linear("_unsample", _unsample, transpose=lambda F, g, taps: F._resample(g, taps=taps))


# interpolation ------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def _taps(n: int, out: int, mode: str, align_corners: bool, scale: float | None) -> Taps:
    """Where each of ``out`` elements lies among ``n``; ``scale`` is out/n where the user gave it.

    Coordinates as documented at https://pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
    """
    step = 1 / scale if scale else n / out
    if mode == "area":
        return _means(n, out)
    if mode == "bicubic":
        return _cubic(n, out, step, align_corners)
    if mode == "nearest":
        # PyTorch computes these places in float32
        places = np.floor(np.arange(out, dtype=np.float32) * np.float32(step))
        return ((tuple(int(min(p, n - 1)) for p in places), (1.0,) * out),)
    if mode == "nearest-exact":
        return ((tuple(min(int((i + 0.5) * step), n - 1) for i in range(out)), (1.0,) * out),)
    if align_corners:
        at = [i * (n - 1) / (out - 1) if out > 1 else 0.0 for i in range(out)]
    else:
        at = [max((i + 0.5) * step - 0.5, 0.0) for i in range(out)]
    low = [min(int(p), n - 1) for p in at]
    part = [p - i for p, i in zip(at, low, strict=True)]
    high = tuple(min(i + 1, n - 1) for i in low)
    return ((tuple(low), tuple(1 - w for w in part)), (high, tuple(part)))


def _means(n: int, out: int) -> Taps:
    """Adaptive pooling: means of windows that cover the input, as even as integers allow."""
    ends = [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]
    most = max((b - a for a, b in ends), default=0)
    return tuple((tuple(min(a + k, n - 1) for a, _ in ends),
                  tuple(1 / (b - a) if a + k < b else 0.0 for a, b in ends))
                 for k in range(most))  # fmt: skip


def _cubic(n: int, out: int, step: float, align_corners: bool) -> Taps:
    """Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711, with a = −¾ as PyTorch has it."""
    far = (n - 1) / (out - 1) if out > 1 else 0.0
    at = [i * far if align_corners else (i + 0.5) * step - 0.5 for i in range(out)]
    low = [floor(p) for p in at]
    taps = []
    for k in range(-1, 3):
        away = [abs(p - i - k) for p, i in zip(at, low, strict=True)]
        taps.append((tuple(min(max(i + k, 0), n - 1) for i in low), tuple(map(_keys, away))))
    return tuple(taps)


def _keys(d: float) -> float:
    if d <= 1:
        return (1.25 * d - 2.25) * d * d + 1
    return ((-0.75 * d + 3.75) * d - 6) * d + 3 if d < 2 else 0.0


_MODES = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "linear": (1,), "bilinear": (2,),
          "trilinear": (3,), "area": (1, 2, 3), "bicubic": (2,)}  # fmt: skip


def _interpolate(F: Any, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                 align_corners: bool | None = None,
                 recompute_scale_factor: bool | None = None) -> Any:  # fmt: skip
    """(N, C, *in) to ``size``, or to the input's sizes times ``scale_factor``."""
    n = x.ndim - 2
    if n not in _MODES.get(mode, ()):
        raise NotImplementedError(
            f"interpolate of {n} spatial dimensions got mode={mode!r}; the modes are {_MODES}"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate needs either size or scale_factor")
    spatial = tuple(x.shape[2:])
    scales: Sequence[float | None] = (None,) * n
    if size is None:
        many = isinstance(scale_factor, Sequence)
        scales = tuple(float(s) for s in scale_factor) if many else (float(scale_factor),) * n
        size = tuple(int(m * s) for m, s in zip(spatial, scales, strict=True) if s is not None)
        scales = (None,) * n if recompute_scale_factor else scales
    taps = tuple(_taps(m, o, mode, bool(align_corners), s) for m, o, s in zip(
        spatial, tuple_of(size, n), scales, strict=True))  # fmt: skip
    return getattr(F, f"_upsample_{mode.replace('-', '_')}{n}d")(x, taps=taps)


for _mode, _dims in _MODES.items():
    for _n in _dims:
        _stem = _mode.replace("-", "_")
        resampling_row(
            f"_upsample_{_stem}{_n}d", f"Upsample{_stem.title().replace('_', '')}{_n}DBackward0"
        )
_PLANE: list[Sample] = [
    (((1, 2, 3, 4),), {"scale_factor": 2}), (((1, 2, 3, 4),), {"size": (5, 3)}),
    (((1, 2, 3, 4),), {"scale_factor": 2, "mode": "bilinear", "align_corners": False}),
    (((1, 2, 3, 4),), {"size": (5, 7), "mode": "bilinear", "align_corners": True}),
    (((1, 2, 3),), {"scale_factor": 1.7, "mode": "linear"}),
    (((1, 2, 3),), {"size": 5, "mode": "nearest-exact"}),
    (((1, 1, 2, 3, 2),), {"size": (3, 2, 4), "mode": "trilinear"})]  # fmt: skip
composite("nn.functional.interpolate", _interpolate, complex=False, samples=_PLANE)
