"""Convolutions in one, two and three dimensions, and their windows as columns.

All of them are one trilinear form T(x, w, h) = Σ h · (x ∗ w) of an input, a kernel and an output:
each row below fixes two and gives the third, so their derivatives are each other.

Shapes: x (N, C, *in), w (O, C/groups, *kernel), h (N, O, *out); stride, padding and dilation are
tuples, one number a dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from math import prod
from typing import Any, TypeAlias

from reference_engine.ops.opdef import bilinear, composite, linear, on, own

# rows are laid out by hand
# fmt: off

Sizes: TypeAlias = "tuple[int, ...]"
#: stride, padding, dilation, groups
Steps: TypeAlias = "tuple[Sizes, Sizes, Sizes, int]"


def tuple_of(value: int | Sequence[int], n: int) -> Sizes:
    """One number for each of ``n`` dimensions."""
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 else 1)


def pad_ends(xp: Any, x: Any, before: Sequence[int], after: Sequence[int], value: float = 0) -> Any:
    """``x`` with its last dimensions extended by ``value``."""
    if not any(before) and not any(after):
        return x
    lead = x.ndim - len(before)
    sizes = [n + b + a for n, b, a in zip(x.shape[lead:], before, after, strict=True)]
    out = xp.full((*x.shape[:lead], *sizes), value, dtype=x.dtype, device=x.device)
    out[_slices(before, x.shape[lead:], (1,) * len(before))] = x
    return out


# windows ------------------------------------------------------------------------------------------
def _slices(offset: Sequence[int], count: Sequence[int], stride: Sequence[int]) -> tuple[Any, ...]:
    """The elements at one place in every window, over the last dimensions."""
    return (..., *(slice(o, o + (n - 1) * s + 1, s)
                   for o, n, s in zip(offset, count, stride, strict=True)))


def _windows(xp: Any, x: Any, kernel: Sizes, steps: Steps, out: Sizes | None = None) -> Any:
    """The windows of x's last dimensions, (…, *out, *kernel): all, or the first ``out``."""
    stride, padding, dilation, _ = steps
    windows = xp.sliding_windows(pad_ends(xp, x, padding, padding), kernel, stride, dilation)
    if out is None:
        return windows
    # a stride need not use the input up: windows beyond the output's are no part of it
    kept = (..., *(slice(m) for m in out), *(slice(None),) * len(kernel))
    return windows[kept]


def _added_up(xp: Any, windows: Any, size: Sizes, steps: Steps) -> Any:
    """The adjoint: the elements of windows (*kernel, …, *out) added up where they came from."""
    n, (stride, padding, dilation, _) = len(size), steps
    kernel, out = windows.shape[:n], windows.shape[-n:]
    reach = [max(s + 2 * p, (o - 1) * t + d * (k - 1) + 1) for s, p, o, t, d, k in zip(
        size, padding, out, stride, dilation, kernel, strict=True)]
    lead = windows.shape[n:-n]
    total = xp.zeros((*lead, *reach), dtype=windows.dtype, device=windows.device)
    for place in product(*map(range, kernel)):
        offset = [i * d for i, d in zip(place, dilation, strict=True)]
        total[_slices(offset, out, stride)] += windows[place]
    return total[_slices(padding, size, (1,) * n)]


def _columns(xp: Any, x: Any, kernel: Sizes, steps: Steps, out: Sizes | None) -> tuple[Any, Sizes]:
    """Windows as columns, (groups, C/groups · kernel, N · out), and ``out``."""
    n, groups = len(kernel), steps[3]
    windows = _windows(xp, x, kernel, steps, out)
    out = tuple(windows.shape[2 : 2 + n])
    inner = (1, *range(2 + n, 2 + 2 * n), 0, *range(2, 2 + n))
    rows = x.shape[1] // groups * prod(kernel)
    return xp.reshape(xp.permute_dims(windows, inner), (groups, rows, x.shape[0] * prod(out))), out


def _swapped(xp: Any, x: Any) -> Any:
    return xp.permute_dims(x, (1, 0, *range(2, x.ndim)))


def _rows(xp: Any, h: Any, groups: int) -> Any:
    """An output as (groups, O/groups, N · out)."""
    shape = (groups, h.shape[1] // groups, h.shape[0] * prod(h.shape[2:]))
    return xp.reshape(_swapped(xp, h), shape)


# the rows -----------------------------------------------------------------------------------------
def _convolution(xp: Any, x: Any, weight: Any, bias: Any = None, *, steps: Steps,
                 back: bool = False, size: Sizes | None = None) -> Any:
    """The output of x, or with ``back``, a transposed convolution, the input of x; ``size`` is that
    of the result.
    """
    kernel, groups = tuple(weight.shape[2:]), steps[3]
    matrix = xp.reshape(weight, (groups, weight.shape[0] // groups, -1))
    if back:
        assert size is not None
        columns = xp.matmul(xp.matrix_transpose(matrix), _rows(xp, x, groups))
        shape = (weight.shape[1] * groups, *kernel, x.shape[0], *x.shape[2:])
        order = (*range(1, x.ndim - 1), 0, *range(x.ndim - 1, len(shape)))
        made = _added_up(xp, xp.permute_dims(xp.reshape(columns, shape), order), size, steps)
    else:
        columns, out = _columns(xp, x, kernel, steps, size)
        made = xp.reshape(xp.matmul(matrix, columns), (weight.shape[0], x.shape[0], *out))
    made = xp.copy(_swapped(xp, made))
    return made if bias is None else made + xp.reshape(bias, (-1, *(1,) * (x.ndim - 2)))


def _conv_weight(xp: Any, x: Any, h: Any, *, kernel: Sizes, steps: Steps) -> Any:
    columns, _ = _columns(xp, x, kernel, steps, tuple(h.shape[2:]))
    made = xp.matmul(_rows(xp, h, steps[3]), xp.matrix_transpose(columns))
    return xp.reshape(made, (h.shape[1], x.shape[1] // steps[3], *kernel))


_STEPS: Steps = ((2, 1), (1, 1), (1, 2), 2)
own("_convolution", _convolution, node="ConvolutionBackward0",
    vjp_x=lambda F, g, weight, x_shape, steps, back: F._convolution(
        g, F.conj(weight), steps=steps, back=not back, size=tuple(x_shape[2:])),
    vjp_weight=lambda F, g, x, weight_shape, steps, back: F._conv_weight(
        *((g, F.conj(x)) if back else (F.conj(x), g)), kernel=tuple(weight_shape[2:]), steps=steps),
    vjp_bias=lambda F, g: F.sum(g, dim=(0, *range(2, g.ndim))),
    jvp=lambda F, x, weight, t_x, t_weight, t_bias, steps, back, size: F._convolution(
        t_x, weight, t_bias, steps=steps, back=back, size=size) + F._convolution(
        x, t_weight, steps=steps, back=back, size=size),
    samples=[on((2, 4, 5, 4), (6, 2, 2, 3), (6,), steps=_STEPS),
             on((2, 4, 2, 2), (4, 3, 2, 3), (6,), steps=_STEPS, back=True, size=(3, 4))])
bilinear("_conv_weight", _conv_weight, node="ConvolutionBackward0",
    vjp_x=lambda F, g, h, x_shape, steps: F._convolution(
        F.conj(h), g, steps=steps, back=True, size=tuple(x_shape[2:])),
    vjp_h=lambda F, g, x, h_shape, steps: F._convolution(
        F.conj(x), g, steps=steps, size=tuple(h_shape[2:])))


# by number of dimensions --------------------------------------------------------------------------
def batched(F: Any, run: Any, x: Any, n: int, *more: Any, **params: Any) -> Any:
    """``run`` on x (N, C, ...), which has n spatial dimensions; one without N is a batch of one."""
    if x.ndim > n + 1:
        return run(x, *more, **params)
    return F.squeeze(run(F.unsqueeze(x, dim=0), *more, **params), dim=0)


def _run(F: Any, n: int, back: bool, x: Any, weight: Any, bias: Any, steps: Steps,
         size: Sizes | None = None) -> Any:
    channels = weight.shape[0] if back else weight.shape[1] * steps[3]
    if weight.ndim != n + 2 or x.ndim not in (n + 1, n + 2) or x.shape[-n - 1] != channels:
        raise RuntimeError(
            f"conv{'_transpose' * back}{n}d with weight {list(weight.shape)} needs input "
            f"(N, {channels}, ...) of {n} spatial dimensions, got {list(x.shape)}")
    return batched(F, F._convolution, x, n, weight, bias, steps=steps, back=back, size=size)


def _conv(F: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
          dilation: Any = 1, groups: int = 1, *, n: int) -> Any:
    strides, dilations = tuple_of(stride, n), tuple_of(dilation, n)
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)][::-1]
        x = F.constant_pad_nd(x, pad=tuple(p for r in reach for p in (r // 2, r - r // 2)))
    paddings = tuple_of(0 if isinstance(padding, str) else padding, n)
    return _run(F, n, False, x, weight, bias, (strides, paddings, dilations, groups))


def _conv_transpose(F: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1,
                    padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
                    *, n: int) -> Any:
    steps = tuple_of(stride, n), tuple_of(padding, n), tuple_of(dilation, n), groups
    size = tuple((i - 1) * s - 2 * p + d * (k - 1) + e + 1 for i, k, s, p, d, e in zip(
        x.shape[-n:], weight.shape[-n:], *steps[:3], tuple_of(output_padding, n), strict=True))
    return _run(F, n, True, x, weight, bias, steps, size)


for _n in (1, 2, 3):
    _x, _w, _k = (2, 4, *(5, 4, 3)[:_n]), (2, 3, 2)[:_n], (3, 4, 2)[:_n]
    composite(f"nn.functional.conv{_n}d", partial(_conv, n=_n), samples=[
        on(_x, (3, 4, *_w), (3,)), on(_x[1:], (3, 4, *_w), padding=1),
        on(_x, (4, 2, *_w), (4,), stride=2, padding=1, dilation=2, groups=2),
        on(_x, (3, 4, *_w), padding="same")])
    composite(f"nn.functional.conv_transpose{_n}d", partial(_conv_transpose, n=_n), samples=[
        on((2, 4, *_k), (4, 3, *_w), (3,)), on((4, *_k), (4, 3, *_w), stride=2, output_padding=1),
        on((2, 4, *_k), (4, 3, *_w), (6,), stride=2, padding=1, groups=2, dilation=2)])


# windows as columns -------------------------------------------------------------------------------
def _unfolded(xp: Any, x: Any, *, kernel: Sizes, steps: Steps) -> Any:
    """Every window of an image x (N, C, *size) as a column: (N, C · kernel, windows)."""
    windows = _windows(xp, x, kernel, steps)
    made = xp.permute_dims(windows, (0, 1, 4, 5, 2, 3))
    return xp.reshape(made, (x.shape[0], x.shape[1] * prod(kernel), prod(windows.shape[2:4])))


def _folded(xp: Any, x: Any, *, size: Sizes, kernel: Sizes, steps: Steps) -> Any:
    """Columns added up where they came from, in an image of ``size``."""
    counts = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(
        size, kernel, *steps[:3], strict=True)]
    columns = xp.reshape(x, (x.shape[0], x.shape[1] // prod(kernel), *kernel, *counts))
    return xp.copy(_added_up(xp, xp.permute_dims(columns, (2, 3, 0, 1, 4, 5)), size, steps))


def _of_columns(F: Any, run: Any, x: Any, n: int, *steps: Any, **sizes: Any) -> Any:
    pairs = {name: tuple_of(v, 2) for name, v in sizes.items()}
    return batched(F, run, x, n, steps=(*(tuple_of(v, 2) for v in steps), 1), **pairs)


linear("_unfolded", _unfolded, node="Im2ColBackward0",
       transpose=lambda F, g, x_shape, kernel, steps: F._folded(
           g, size=tuple(x_shape[2:]), kernel=kernel, steps=steps))
linear("_folded", _folded, node="Col2ImBackward0",
       transpose=lambda F, g, kernel, steps: F._unfolded(g, kernel=kernel, steps=steps))
composite("nn.functional.unfold", lambda F, x, kernel_size, dilation=1, padding=0, stride=1:
          _of_columns(F, F._unfolded, x, 2, stride, padding, dilation, kernel=kernel_size),
          samples=[on((1, 2, 3, 4), kernel_size=2, padding=1)])
composite("nn.functional.fold", lambda F, x, output_size, kernel_size, dilation=1, padding=0,
          stride=1: _of_columns(F, F._folded, x, 1, stride, padding, dilation, size=output_size,
                                kernel=kernel_size),
          samples=[on((1, 8, 6), output_size=(3, 4), kernel_size=2)])
