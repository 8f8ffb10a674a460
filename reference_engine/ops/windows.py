"""Windows of an image: maxima over uneven ones and their inverse, columns, samples at a grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from reference_engine.ops.convolution import pad_ends, tuple_of, window_slices
from reference_engine.ops.opdef import composite, linear
from reference_engine.ops.resampling import Taps, resampling_row

_REAL: dict[str, Any] = {"complex": False, "methods": ()}


# maxima -------------------------------------------------------------------------------------------
def _flat(F: Any, x: Any, n: int) -> Any:
    return F.reshape(x, shape=(*x.shape[: x.ndim - n], prod(x.shape[x.ndim - n :])))


def _windows(ends: Sequence[Sequence[tuple[int, int]]], size: Sequence[int]) -> Any:
    """Flat places of the elements of each window, given each dimension's (start, end); a shorter
    window repeats its last element.
    """
    along = []
    for pairs in ends:
        most = max(b - a for a, b in pairs)
        along.append([[min(a + k, b - 1) for k in range(most)] for a, b in pairs])
    inner = [prod(size[d + 1 :]) for d in range(len(size))]
    return tuple(
        tuple(sum(p * i for p, i in zip(place, inner, strict=True)) for place in product(*window))
        for window in product(*along)
    )


def _max_at(F: Any, x: Any, places: Any, out: Sequence[int]) -> Any:
    """The maximum of x (…, *in) at the places of each window, (…, windows, elements)."""
    n, windows = len(out), tuple(places.shape[-2:])
    lead = tuple(x.shape[: x.ndim - n])
    places = F.expand(places, size=(*lead, *windows))
    picked = F.gather(_flat(F, x, n), dim=-1, index=_flat(F, places, 2))
    values, at = F._max_along(F.reshape(picked, shape=(*lead, *windows)), dim=-1, keepdim=True)
    indices = F.gather(places, dim=-1, index=at)
    return tuple(F.reshape(v, shape=(*lead, *out)) for v in (values, indices))


def _adaptive_max_pool(n: int) -> Any:
    def forward(F: Any, x: Any, output_size: Any, return_indices: bool = False) -> Any:
        size = tuple(x.shape[x.ndim - n :])
        given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
        out = tuple(m if s is None else s for s, m in zip(given, size, strict=True))
        ends = [[(i * m // s, -(-(i + 1) * m // s)) for i in range(s)] for s, m in zip(
            out, size, strict=True)]  # fmt: skip
        made = _max_at(F, x, F._numbers_of(x, values=_windows(ends, size)), out)
        return made if return_indices else made[0]

    return forward


def _fractional_max_pool(n: int) -> Any:
    def forward(F: Any, x: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
                return_indices: bool = False, _random_samples: Any = None) -> Any:  # fmt: skip
        """Graham 2014, https://arxiv.org/abs/1412.6071: steps that differ by one, by a random
        number for each dimension of each plane.
        """
        kernel, size = tuple_of(kernel_size, n), tuple(x.shape[x.ndim - n :])
        if output_size is None:
            ratio = (output_ratio,) * n if isinstance(output_ratio, float) else output_ratio
            output_size = [int(m * r) for m, r in zip(size, ratio, strict=True)]
        out, lead = tuple_of(output_size, n), tuple(x.shape[: x.ndim - n])
        planes = prod(lead)
        if _random_samples is None:
            drawn = F.uniform(F.zeros_of(F.reshape(x.detach(), shape=(-1,)), size=(planes, n)))
        else:
            drawn = F.reshape(_random_samples, shape=(-1, n))
        table = []
        for sample in drawn.tolist():
            # torch takes the last dimension's number first in two dimensions, not in three
            sample = sample[::-1] if n == 2 else sample
            starts = [_starts(u, *sizes) for u, *sizes in zip(sample, size, out, kernel,
                                                              strict=True)]  # fmt: skip
            ends = [[(a, a + k) for a in row] for row, k in zip(starts, kernel, strict=True)]
            table.append(_windows(ends, size))
        places = F._numbers_of(x, values=tuple(table))
        made = _max_at(F, x, F.reshape(places, shape=(*lead, *places.shape[1:])), out)
        return made if return_indices else made[0]

    return forward


def _starts(u: float, n: int, out: int, kernel: int) -> list[int]:
    step = (n - kernel) / (out - 1) if out > 1 else 0.0
    return [int((i + u) * step) - int(u * step) for i in range(out - 1)] + [n - kernel]


def _max_unpool(n: int) -> Any:
    def forward(F: Any, x: Any, indices: Any, kernel_size: Any, stride: Any = None,
                padding: Any = 0, output_size: Any = None) -> Any:  # fmt: skip
        kernel, lead = tuple_of(kernel_size, n), tuple(x.shape[: x.ndim - n])
        steps = kernel if stride is None else tuple_of(stride, n)
        size = [(m - 1) * s - 2 * p + k for m, s, p, k in zip(
            x.shape[x.ndim - n :], steps, tuple_of(padding, n), kernel, strict=True)]  # fmt: skip
        out = tuple(size if output_size is None else output_size)[-n:]
        zeros = F.zeros_of(x, size=(*lead, prod(out)))
        put = F.scatter(zeros, dim=-1, index=_flat(F, indices, n), src=_flat(F, x, n))
        return F.reshape(put, shape=(*lead, *out))

    return forward


def _max_pool_backward(F: Any, grad_output: Any, x: Any, kernel_size: Any, stride: Any = (),
                       padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
                       indices: Any = None) -> Any:  # fmt: skip
    """The gradient of max_pool2d: cotangents added up where the maxima were."""
    del kernel_size, stride, padding, dilation, ceil_mode  # the indices say it
    zeros = F.zeros_of(grad_output, size=(*x.shape[:-2], prod(x.shape[-2:])))
    made = F.scatter_add(zeros, dim=-1, index=_flat(F, indices, 2), src=_flat(F, grad_output, 2))
    return F.reshape(made, shape=tuple(x.shape))


for _n in (1, 2, 3):
    composite(f"nn.functional.adaptive_max_pool{_n}d", _adaptive_max_pool(_n), kinks="ties",
              samples=[(((1, 2, *(5, 4, 3)[:_n]),), {"output_size": 2})], **_REAL)  # fmt: skip
    composite(f"nn.functional.max_unpool{_n}d", _max_unpool(_n), **_REAL)
    if _n > 1:
        composite(f"nn.functional.fractional_max_pool{_n}d", _fractional_max_pool(_n), kinks="ties",
                  **_REAL)  # fmt: skip
composite("max_pool2d_with_indices_backward", _max_pool_backward, **_REAL)


# columns ------------------------------------------------------------------------------------------
def _columns(xp: Any, x: Any, *, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
             ) -> Any:  # fmt: skip
    """Every window of an image x (N, C, *size) as a column: (N, C · kernel, windows)."""
    del size  # the transpose needs it
    x = pad_ends(xp, x, padding, padding)
    windows = xp.sliding_windows(x, kernel, stride, dilation)
    made = xp.permute_dims(windows, (0, 1, 4, 5, 2, 3))
    return xp.reshape(made, (x.shape[0], x.shape[1] * prod(kernel), prod(windows.shape[2:4])))


def _image(xp: Any, x: Any, *, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
           ) -> Any:  # fmt: skip
    """Columns added up where they came from, in an image of ``size``."""
    wide = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(
        wide, kernel, stride, dilation, strict=True)]  # fmt: skip
    columns = xp.reshape(x, (x.shape[0], x.shape[1] // prod(kernel), *kernel, *counts))
    total = xp.zeros((*columns.shape[:2], *wide), dtype=x.dtype, device=x.device)
    for i, j in product(*map(range, kernel)):
        offset = (i * dilation[0], j * dilation[1])
        total[window_slices(offset, counts, stride)] += columns[:, :, i, j]
    return xp.copy(total[window_slices(padding, size, (1, 1))])


linear("_columns", _columns, node="Im2ColBackward0",
       transpose=lambda F, g, size, kernel, stride, padding, dilation: F._image(
           g, size=size, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
       )  # fmt: skip
linear("_image", _image, node="Col2ImBackward0",
       transpose=lambda F, g, size, kernel, stride, padding, dilation: F._columns(
           g, size=size, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
       )  # fmt: skip


def _unfold(F: Any, x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
            ) -> Any:  # fmt: skip
    settings = dict(
        zip(
            ("kernel", "dilation", "padding", "stride"),
            (tuple_of(v, 2) for v in (kernel_size, dilation, padding, stride)),
            strict=True,
        )
    )
    whole = x if x.ndim == 4 else F.unsqueeze(x, dim=0)
    made = F._columns(whole, size=tuple(x.shape[-2:]), **settings)
    return made if x.ndim == 4 else F.squeeze(made, dim=0)


def _fold(F: Any, x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
          stride: Any = 1) -> Any:  # fmt: skip
    settings = dict(zip(("size", "kernel", "dilation", "padding", "stride"), (
        tuple_of(v, 2) for v in (output_size, kernel_size, dilation, padding, stride)),
        strict=True))  # fmt: skip
    made = F._image(x if x.ndim == 3 else F.unsqueeze(x, dim=0), **settings)
    return made if x.ndim == 3 else F.squeeze(made, dim=0)


composite("nn.functional.unfold", _unfold, methods=(),
          samples=[(((1, 2, 3, 4),), {"kernel_size": 2, "padding": 1})])  # fmt: skip
composite("nn.functional.fold", _fold, methods=(),
          samples=[(((1, 8, 6),), {"output_size": (3, 4), "kernel_size": 2})])  # fmt: skip


def _response_norm(F: Any, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75,
                   k: float = 1.0) -> Any:  # fmt: skip
    """Over ``size`` neighbouring channels (Krizhevsky et al. 2012)."""
    c = x.shape[1]
    pad = (0, 0) * (x.ndim - 2) + (size // 2, (size - 1) // 2)
    squares = F.constant_pad_nd(x * x, pad=pad)
    total = sum(F.narrow(squares, dim=1, start=i, length=c) for i in range(size))
    return x / (total * (alpha / size) + k) ** beta


composite("nn.functional.local_response_norm", _response_norm, **_REAL,
          samples=[(((1, 4, 3),), {"size": 2})])  # fmt: skip


# samples at a grid --------------------------------------------------------------------------------
def _coordinate(F: Any, v: Any, n: int, padding: int, align: bool) -> Any:
    """Places among n elements, those outside brought in by ``padding`` 1 (border) or 2 (mirror)."""
    if padding == 2:
        low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
        if not span:
            return v * 0
        v = v - low
        v = F.where(v < 0, -v, v)
        turns = F.floor(v / span)
        part = v - turns * span
        v = F.where(F.remainder(turns, 2) == 0, part, span - part) + low
    if padding:
        # at the border itself the derivative is that of outside, 0
        v = F.where(v <= 0, 0.0, F.where(v >= n - 1, n - 1.0, v))
    return v


def _picked(F: Any, x: Any, places: Sequence[Any]) -> Any:
    """x (N, C, *in) at whole places (N, *out) for each dimension; 0 outside."""
    at: Any = 0
    size, inside = tuple(x.shape[2:]), True
    for p, n in zip(places, size, strict=True):
        held = F.clamp(p.detach(), 0, n - 1)
        inside = F.logical_and(held == p.detach(), inside) if inside is not True else held == p
        at = at * n + held.long()
    index = F.reshape(at, shape=(x.shape[0], 1, -1))
    index = F.expand(index, size=(*x.shape[:2], index.shape[-1]))
    made = F.reshape(F.gather(_flat(F, x, len(size)), dim=-1, index=index),
                     shape=(*x.shape[:2], *at.shape[1:]))  # fmt: skip
    return F.where(F.unsqueeze(inside, dim=1), made, 0)


def _keys(d: Any, near: bool) -> Any:
    """Keys' cubic with a = −¾, within 1 and from 1 to 2."""
    return ((d * 1.25 - 2.25) * d * d + 1) if near else ((d * -0.75 + 3.75) * d - 6) * d + 3


def _grid_sampler(F: Any, x: Any, grid: Any, interpolation_mode: int, padding_mode: int,
                  align_corners: bool) -> Any:  # fmt: skip
    """x (N, C, *in) at the grid (N, *out, dims), whose last dimension counts x's from the last."""
    size, places, align = tuple(x.shape[2:]), [], bool(align_corners)
    for d, n in enumerate(size):
        v = F.select(grid, dim=-1, index=len(size) - 1 - d)
        v = (v + 1) * ((n - 1) / 2) if align else ((v + 1) * n - 1) / 2
        # a cubic mirrors each of its taps instead
        places.append(v if interpolation_mode == 2 else _coordinate(F, v, n, padding_mode, align))
    if interpolation_mode == 1:
        return _picked(F, x, [F.round(p) for p in places])
    reach = range(-1, 3) if interpolation_mode == 2 else range(2)
    taps = []
    for v, n in zip(places, size, strict=True):
        low, found = F.floor(v.detach()), []
        for k in reach:
            if interpolation_mode == 2:
                d = v - low - k
                weight = _keys(-d if k > 0 else d, k in (0, 1))
                found.append((_coordinate(F, low + k, n, padding_mode, align), weight))
            else:
                found.append((low + k, v - low if k else low + 1 - v))
        taps.append(found)
    total: Any = 0
    for corner in product(*taps):
        weight = prod((w for _, w in corner[1:]), start=corner[0][1])
        picked = _picked(F, x, [F.round(p) if padding_mode == 2 else p for p, _ in corner])
        total = total + picked * F.unsqueeze(weight, dim=1)
    return total


_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
_GRID: Any = [(((1, 2, 3, 4), (1, 2, 2, 2)), {})]
for _n in (2, 3):
    composite(f"grid_sampler_{_n}d", _grid_sampler, **_REAL)
composite("nn.functional.grid_sample", lambda F, x, grid, mode="bilinear", padding_mode="zeros",
          align_corners=None: _grid_sampler(
              F, x, grid, ("bilinear", "nearest", "bicubic").index(mode), _PADDINGS[padding_mode],
              bool(align_corners)), samples=_GRID, **_REAL)  # fmt: skip


# resampling against aliasing ----------------------------------------------------------------------
def _wide_taps(n: int, out: int, align: bool, scale: float | None) -> Taps:
    """A triangle as wide as the step, where the image shrinks."""
    step = ((n - 1) / (out - 1) if out > 1 else 0.0) if align else 1 / scale if scale else n / out
    reach, rows = max(step, 1.0), []
    for i in range(out):
        centre = step * (i + 0.5)
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n)
        weights = [max(1 - abs((j - centre + 0.5) / reach), 0.0) for j in range(first, last)]
        rows.append([(j, w / sum(weights)) for j, w in zip(range(first, last), weights,
                                                         strict=True)])  # fmt: skip
    most = max(map(len, rows))
    rows = [row + [(0, 0.0)] * (most - len(row)) for row in rows]
    return tuple((tuple(row[k][0] for row in rows), tuple(row[k][1] for row in rows))
                 for k in range(most))  # fmt: skip


def _upsample_aa(F: Any, x: Any, output_size: Any, align_corners: bool, scale_factors: Any = None,
                 scales_h: Any = None, scales_w: Any = None) -> Any:  # fmt: skip
    scales = (scales_h, scales_w) if scale_factors is None else tuple(scale_factors)
    size = tuple(x.shape[2:])
    if output_size is None:
        output_size = [int(n * s) for n, s in zip(size, scales, strict=True)]
    taps = tuple(_wide_taps(n, o, align_corners, s) for n, o, s in zip(
        size, output_size, scales, strict=True))  # fmt: skip
    return F._upsample_aa2d(x, taps=taps)


resampling_row("_upsample_aa2d", "UpsampleBilinear2DAaBackward0")
composite("_upsample_bilinear2d_aa", _upsample_aa, **_REAL)
