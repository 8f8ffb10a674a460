"""How far two libraries' results of one computation may be apart: as far as roundings explain.

As in ``conformance.compare.tolerance``: λ·√n times what one rounding does to a result, n being the
most elements of any tensor. One rounding is u times the largest element of the result's array (of a
derivative, also of the derivatives that it is made of), or what it does inside: measured by changes
of relative size ``STEP`` with random signs, scaled down to u, of inputs, cotangents, tangents and
every intermediate result: torch's, and where these do not explain a difference, the reference
engine's, which has more of them than torch's fused kernels.

Half of the draws choose signs by an element's magnitude alone, which keeps ties, symmetry and
constants. Independent signs show what cancellation costs; where they decide between two answers, at
a tie or a kink, they say nothing and are left out, so that every sample is judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from conformance.compare.tolerance import MULTIPLE
from reference_engine.modes import MODES

Results: TypeAlias = "list[dict[str, Any]]"
#: relative size of a perturbation: its square is of the size of a rounding
STEP = 2.0**-26
#: how often each source perturbs a result
DRAWS = 8
FLOATS = (torch.float64, torch.complex128)


def nudged(array: Any, draw: int | None) -> Any:
    """A floating array with each element, on its own or (even draws) by its magnitude, moved."""
    if draw is None or array.dtype.kind not in "fc":
        return array
    if draw % 2:
        signs = np.random.default_rng(draw).choice([-1.0, 1.0], array.shape)
    else:
        words = np.asarray(np.abs(array), np.float64).view(np.uint64)
        with np.errstate(over="ignore"):  # it is to wrap around
            mixed = (words ^ (words >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15 + 2 * draw)
        signs = np.where(mixed >> np.uint64(63), 1.0, -1.0)
    with np.errstate(all="ignore"):  # infinities, and what lies next to them
        return np.asarray(array * (1 + STEP * signs)).astype(array.dtype)


class PerturbingTorch(TorchDispatchMode):
    """In it, torch's operations have their results moved."""

    def __init__(self, draw: int) -> None:
        super().__init__()
        self.draw = draw

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.draw += 1000  # other signs for another operation
        out = function(*args, **kwargs or {})
        if function._schema.returns and all(r.alias_info is None for r in function._schema.returns):
            for x in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(x, torch.Tensor) and x.dtype in FLOATS:
                    raw = x.detach()
                    lazy = raw.is_conj() or raw.is_neg() or raw._is_zerotensor()
                    if raw.device.type == "cpu" and not lazy:
                        raw.copy_(torch.from_numpy(nudged(raw.numpy(), self.draw)))
        return out


@contextmanager
def perturbing(draw: int) -> Iterator[None]:
    """In it, the reference engine's operations on NumPy arrays have their results moved."""
    inner, count = MODES.run, draw

    def run(kernel: Any, /, *raws: Any, **params: Any) -> Any:
        nonlocal count
        count += 1000  # other signs for another operation
        out = inner(kernel, *raws, **params)
        if isinstance(out, tuple):
            return tuple(moved(x, raws) for x in out)
        return moved(out, raws)

    def moved(out: Any, raws: Sequence[Any]) -> Any:
        views = (isinstance(x, np.ndarray) and np.may_share_memory(out, x) for x in raws)
        fixed = not isinstance(out, (np.ndarray, np.generic)) or any(views)
        return out if fixed else nudged(np.asarray(out), count)

    MODES.run = run
    MODES.refresh()
    try:
        yield
    finally:
        MODES.run = inner
        MODES.refresh()


def differences(
    got: Results, expected: Results, inputs: Sequence[Any],
    again: Sequence[Callable[[int], Results]],
) -> Iterator[str]:  # fmt: skip
    """What of a result disagrees with torch's beyond rounding; ``again`` gives perturbed ones."""
    if len(got) != len(expected):
        yield f"{len(got)} outputs, torch has {len(expected)}"
        return
    drawn: dict[int, list[Results]] = {}
    elements = max([x.size for x in (*inputs, *(r["value"] for r in expected))], default=1)
    coarsest = max([roundoff(x) for x in inputs], default=0.0)
    scale = MULTIPLE * math.sqrt(max(elements, 1))
    for n, (mine, theirs) in enumerate(zip(got, expected, strict=True)):
        for key in sorted(mine.keys() | theirs.keys()):
            g, e = (side.get(key, np.zeros(())) for side in (mine, theirs))
            if key in mine and key in theirs and (g.shape, g.dtype) != (e.shape, e.dtype):
                yield f"output {n}, {key}: {g.dtype} {g.shape}, torch {e.dtype} {e.shape}"
                continue
            u = max(roundoff(e), coarsest)
            terms = (size(found) for k, found in theirs.items() if _feeds(k, key))
            spread = u * max([size(e), *terms])
            for i, source in enumerate((None, *again)):
                if source is not None:
                    draws = drawn[i] = drawn.get(i) or [source(k) for k in range(DRAWS)]
                    spread = max(spread, u * _spread([d[n][key] for d in draws if key in d[n]]))
                if _within(g, e, scale * spread):
                    break
            else:
                with np.errstate(all="ignore"):
                    off = np.abs(g - e)
                yield (
                    f"output {n}, {key}: off by {size(off):.3g} of {size(e):.3g}, "
                    f"allowed {scale * spread:.3g}"
                )


def _feeds(part: str, key: str) -> bool:
    """Whether the terms that add up to a result are of another one's size: of orders before it."""
    order = ("vjp", "jvp", "second")
    stem, of = part.rstrip("0123456789"), key.rstrip("0123456789")
    return part == key or (stem in order and of in order and order.index(stem) <= order.index(of))


def _spread(moved: list[Any]) -> float:
    """What a relative change of 1 does to a result, by draws that keep to one of two answers."""
    far = [change(m, moved[0]) for m in moved[2::2]], [change(m, moved[1]) for m in moved[3::2]]
    sure = [c for c in (*far[0], *far[1]) if c <= math.sqrt(STEP) * max(size(moved[0]), 1.0)]
    return max(sure, default=0.0) / STEP


def roundoff(x: Any) -> float:
    """Half the distance from 1 to the next number of an array's dtype; 0 if that is exact."""
    return float(np.finfo(x.dtype).eps) / 2 if x.dtype.kind in "fc" else 0.0


def size(x: Any) -> float:
    """The largest finite magnitude."""
    finite = np.abs(x[np.isfinite(x)]) if x.dtype.kind in "fc" else np.abs(x.astype(float))
    return float(finite.max(initial=0.0))


def change(a: Any, b: Any) -> float:
    """The largest difference of two arrays where both are finite."""
    same = a.shape == b.shape and np.isfinite(a) & np.isfinite(b)
    return float(np.abs((a - b)[same]).max(initial=0.0)) if np.any(same) else 0.0


def _within(got: Any, expected: Any, tolerance: float) -> bool:
    if got.dtype.kind not in "fc" and expected.dtype.kind not in "fc":
        return bool(np.array_equal(got, expected))
    return bool(np.allclose(got, expected, rtol=0, atol=tolerance, equal_nan=True))
