"""Samples of an image at the places of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

from reference_engine.ops.opdef import composite, on
from reference_engine.ops.resampling import kernel

# rows are laid out by hand
# fmt: off


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
        if interpolation_mode == 1:
            return picked
        weight = prod((w for _, w in corner[1:]), start=corner[0][1])
        total = total + picked * F.unsqueeze(weight, dim=1)
    return total


_ROW: Any = {"complex": False, "methods": ()}
_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
for _n in (2, 3):
    composite(f"grid_sampler_{_n}d", _grid_sampler, **_ROW)
composite("nn.functional.grid_sample", lambda F, x, grid, mode="bilinear", padding_mode="zeros",
          align_corners=None: _grid_sampler(
              F, x, grid, ("bilinear", "nearest", "bicubic").index(mode), _PADDINGS[padding_mode],
              bool(align_corners)), samples=[on((1, 2, 3, 4), (1, 2, 2, 2))], **_ROW)
