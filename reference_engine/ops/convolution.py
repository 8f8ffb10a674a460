"""Convolutions in one, two and three dimensions.

All of them are one trilinear form T(x, w, h) = Σ h · (x ∗ w) of an input,
    a kernel and an output: each of the three
bilinear rows below fixes two and gives the third, so their derivatives are each other.

Shapes: x (N, C, *in), w (O, C/groups, *kernel), h (N, O, *out); parameters are tuples,
           one number a dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any, TypeAlias

from reference_engine.ops.opdef import Sample, bilinear, composite, own

Sizes: TypeAlias = "tuple[int, ...]"


def pad_ends(xp: Any, x: Any, before: Sequence[int], after: Sequence[int], value: float = 0) -> Any:
    """``x`` with its last dimensions extended by ``value``."""
    if not any(before) and not any(after):
        return x
    lead = x.ndim - len(before)
    sizes = [n + b + a for n, b, a in zip(x.shape[lead:], before, after, strict=True)]
    out = xp.full((*x.shape[:lead], *sizes), value, dtype=x.dtype, device=x.device)
    out[window_slices(before, x.shape[lead:], (1,) * len(before))] = x
    return out


def window_slices(
    offset: Sequence[int], count: Sequence[int], stride: Sequence[int]
) -> tuple[Any, ...]:
    """The elements at one place in every window, over the last dimensions."""
    return (..., *(slice(o, o + (n - 1) * s + 1, s)
                   for o, n, s in zip(offset, count, stride, strict=True)))  # fmt: skip


def _columns(xp: Any, x: Any, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes,
             groups: int, out: Sizes | None) -> tuple[Any, Sizes]:  # fmt: skip
    """Windows as columns, (groups, C/groups · kernel, N · out): all, or the first ``out``."""
    n = len(kernel)
    windows = xp.sliding_windows(pad_ends(xp, x, padding, padding), kernel, stride, dilation)
    if out is not None:
        # a stride need not use the input up: windows beyond the output's are no part of it
        kept = (..., *(slice(m) for m in out), *(slice(None),) * n)
        windows = windows[kept]
    out = tuple(windows.shape[2 : 2 + n])
    inner = (1, *range(2 + n, 2 + 2 * n), 0, *range(2, 2 + n))
    rows = x.shape[1] // groups * prod(kernel)
    return xp.reshape(xp.permute_dims(windows, inner), (groups, rows, x.shape[0] * prod(out))), out


def _rows(xp: Any, h: Any, groups: int) -> Any:
    """An output as (groups, O/groups, N · out)."""
    order = (1, 0, *range(2, h.ndim))
    columns = h.shape[0] * prod(h.shape[2:])
    return xp.reshape(xp.permute_dims(h, order), (groups, h.shape[1] // groups, columns))


def _conv(xp: Any, x: Any, w: Any, *, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int,
          out: Sizes | None = None) -> Any:  # fmt: skip
    kernel = tuple(w.shape[2:])
    columns, out = _columns(xp, x, kernel, stride, padding, dilation, groups, out)
    made = xp.matmul(xp.reshape(w, (groups, w.shape[0] // groups, -1)), columns)
    made = xp.reshape(made, (w.shape[0], x.shape[0], *out))
    return xp.copy(xp.permute_dims(made, (1, 0, *range(2, made.ndim))))


def _conv_input(xp: Any, h: Any, w: Any, *, size: Sizes, stride: Sizes, padding: Sizes,
                dilation: Sizes, groups: int) -> Any:  # fmt: skip
    kernel, out = tuple(w.shape[2:]), tuple(h.shape[2:])
    wide = xp.reshape(w, (groups, w.shape[0] // groups, -1))
    columns = xp.matmul(xp.matrix_transpose(wide), _rows(xp, h, groups))
    channels = w.shape[1] * groups
    columns = xp.reshape(columns, (channels, *kernel, h.shape[0], *out))
    reach = [max(s + 2 * p, (o - 1) * t + d * (k - 1) + 1) for s, p, o, t, d, k in zip(
        size, padding, out, stride, dilation, kernel, strict=True)]  # fmt: skip
    total = xp.zeros((channels, h.shape[0], *reach), dtype=columns.dtype, device=h.device)
    for place in product(*map(range, kernel)):
        offset = [i * d for i, d in zip(place, dilation, strict=True)]
        whole = (slice(None), *place)
        total[window_slices(offset, out, stride)] += columns[whole]
    total = total[window_slices(padding, size, (1,) * len(size))]
    return xp.copy(xp.permute_dims(total, (1, 0, *range(2, total.ndim))))


def _conv_weight(xp: Any, x: Any, h: Any, *, kernel: Sizes, stride: Sizes, padding: Sizes,
                 dilation: Sizes, groups: int) -> Any:  # fmt: skip
    columns, _ = _columns(xp, x, kernel, stride, padding, dilation, groups, tuple(h.shape[2:]))
    made = xp.matmul(_rows(xp, h, groups), xp.matrix_transpose(columns))
    return xp.reshape(made, (h.shape[1], x.shape[1] // groups, *kernel))


def _given(stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


bilinear("_conv", _conv, node="ConvolutionBackward0",
    vjp_x=lambda F, g, w, x_shape, stride, padding, dilation, groups: F._conv_input(
        g, F.conj(w), size=tuple(x_shape[2:]), **_given(stride, padding, dilation, groups)),
    vjp_w=lambda F, g, x, w_shape, stride, padding, dilation, groups: F._conv_weight(
        F.conj(x), g, kernel=tuple(w_shape[2:]), **_given(stride, padding, dilation, groups))
        )  # fmt: skip
bilinear("_conv_input", _conv_input, node="ConvolutionBackward0",
    vjp_h=lambda F, g, w, h_shape, stride, padding, dilation, groups: F._conv(
        g, F.conj(w), out=tuple(h_shape[2:]), **_given(stride, padding, dilation, groups)),
    vjp_w=lambda F, g, h, w_shape, stride, padding, dilation, groups: F._conv_weight(
        g, F.conj(h), kernel=tuple(w_shape[2:]), **_given(stride, padding, dilation, groups))
        )  # fmt: skip
bilinear("_conv_weight", _conv_weight, node="ConvolutionBackward0",
    vjp_x=lambda F, g, h, x_shape, stride, padding, dilation, groups: F._conv_input(
        F.conj(h), g, size=tuple(x_shape[2:]), **_given(stride, padding, dilation, groups)),
    vjp_h=lambda F, g, x, h_shape, stride, padding, dilation, groups: F._conv(
        F.conj(x), g, out=tuple(h_shape[2:]), **_given(stride, padding, dilation, groups))
    )  # fmt: skip


# with a bias --------------------------------------------------------------------------------------
def _convolution(xp: Any, x: Any, weight: Any, bias: Any = None, *, stride: Sizes, padding: Sizes,
                 dilation: Sizes, groups: int, size: Sizes | None = None) -> Any:  # fmt: skip
    """``size`` is the output's, and makes it a transposed convolution."""
    settings = _given(stride, padding, dilation, groups)
    if size is None:
        made = _conv(xp, x, weight, **settings)
    else:
        made = _conv_input(xp, x, weight, size=size, **settings)
    return made if bias is None else made + xp.reshape(bias, (-1, *(1,) * (x.ndim - 2)))


def _linear_part(F: Any, x: Any, weight: Any, size: Sizes | None, settings: dict[str, Any]) -> Any:
    if size is None:
        return F._conv(x, weight, **settings)
    return F._conv_input(x, weight, size=size, **settings)


def _vjp_x(F: Any, g: Any, weight: Any, x_shape: Any, stride: Sizes, padding: Sizes,
           dilation: Sizes,
           groups: int, size: Sizes | None) -> Any:  # fmt: skip
    settings, weight = _given(stride, padding, dilation, groups), F.conj(weight)
    if size is None:
        return F._conv_input(g, weight, size=tuple(x_shape[2:]), **settings)
    return F._conv(g, weight, out=tuple(x_shape[2:]), **settings)


def _vjp_weight(F: Any, g: Any, x: Any, weight_shape: Any, stride: Sizes, padding: Sizes,
                dilation: Sizes,
                groups: int, size: Sizes | None) -> Any:  # fmt: skip
    settings = _given(stride, padding, dilation, groups) | {"kernel": tuple(weight_shape[2:])}
    return F._conv_weight(F.conj(x), g, **settings) if size is None else F._conv_weight(
        g, F.conj(x), **settings)  # fmt: skip


def _jvp(F: Any, x: Any, weight: Any, t_x: Any, t_weight: Any, t_bias: Any, stride: Sizes,
         padding: Sizes,
         dilation: Sizes, groups: int, size: Sizes | None) -> Any:  # fmt: skip
    settings = _given(stride, padding, dilation, groups)
    made = _linear_part(F, t_x, weight, size, settings) + _linear_part(
        F, x, t_weight, size, settings
    )
    return made if t_bias is None else made + F.reshape(t_bias, shape=(-1, *(1,) * (x.ndim - 2)))


_STRIDED = _given((2, 1), (1, 1), (1, 2), 2)
own("_convolution", _convolution, vjp_x=_vjp_x, vjp_weight=_vjp_weight, jvp=_jvp,
    vjp_bias=lambda F, g: F.sum(g, dim=(0, *range(2, g.ndim))), node="ConvolutionBackward0",
    samples=[(((2, 4, 5, 4), (6, 2, 2, 3), (6,)), _STRIDED),
             (((2, 4, 2, 2), (4, 3, 2, 3), (6,)), _STRIDED | {"size": (3, 4)})])  # fmt: skip


# by number of dimensions --------------------------------------------------------------------------
def tuple_of(value: int | Sequence[int], n: int) -> Sizes:
    """One number for each of ``n`` dimensions."""
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 else 1)


def _check(name: str, x: Any, weight: Any, n: int, channels: int) -> None:
    if weight.ndim != n + 2 or x.ndim not in (n + 1, n + 2) or x.shape[-n - 1] != channels:
        raise RuntimeError(
            f"{name} with weight {list(weight.shape)} needs input (N, {channels}, ...) of "
            f"{n} spatial dimensions, got {list(x.shape)}"
        )


def _batched(F: Any, x: Any, n: int, run: Any) -> Any:
    """Runs on a batch; an input without batch dimension is a batch of one."""
    return run(x) if x.ndim == n + 2 else F.squeeze(run(F.unsqueeze(x, dim=0)), dim=0)


def _conv_nd(n: int) -> Any:
    def forward(F: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                dilation: Any = 1, groups: int = 1) -> Any:  # fmt: skip
        _check(f"conv{n}d", x, weight, n, weight.shape[1] * groups)
        reach = [d * (k - 1) for d, k in zip(tuple_of(dilation, n), weight.shape[2:], strict=True)]
        if padding == "same":
            x = F.constant_pad_nd(x, pad=tuple(
                p for r in reversed(reach) for p in (r // 2, r - r // 2)))  # fmt: skip
        padding = 0 if isinstance(padding, str) else padding
        settings = _given(tuple_of(stride, n), tuple_of(padding, n), tuple_of(dilation, n), groups)
        return _batched(F, x, n, lambda v: F._convolution(v, weight, bias, **settings))

    return forward


def _conv_transpose_nd(n: int) -> Any:
    def forward(F: Any, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:  # fmt: skip
        _check(f"conv_transpose{n}d", x, weight, n, weight.shape[0])
        strides, paddings, extras, dilations = (
            tuple_of(v, n) for v in (stride, padding, output_padding, dilation))  # fmt: skip
        size = tuple(
            (i - 1) * s - 2 * p + d * (k - 1) + e + 1 for i, s, p, e, d, k in zip(
                x.shape[-n:], strides, paddings, extras, dilations, weight.shape[2:], strict=True)
        )  # fmt: skip
        settings = _given(strides, paddings, dilations, groups) | {"size": size}
        return _batched(F, x, n, lambda v: F._convolution(v, weight, bias, **settings))

    return forward


def _samples(n: int) -> list[Sample]:
    x, w = (2, 4, *(5, 4, 3)[:n]), (4, 2, *(2, 3, 2)[:n])
    return [((x, (3, 4, *w[2:]), (3,)), {}), ((x[1:], (3, 4, *w[2:])), {"padding": 1}),
            ((x, w, (4,)), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
            ((x, (3, 4, *w[2:])), {"padding": "same"})]  # fmt: skip


def _samples_transposed(n: int) -> list[Sample]:
    x, w = (2, 4, *(3, 4, 2)[:n]), (4, 3, *(2, 3, 2)[:n])
    return [((x, w, (3,)), {}), ((x[1:], w), {"stride": 2, "output_padding": 1}),
            ((x, w, (6,)), {"stride": 2, "padding": 1, "groups": 2, "dilation": 2})]  # fmt: skip


for _n in (1, 2, 3):
    composite(f"nn.functional.conv{_n}d", _conv_nd(_n), samples=_samples(_n))
    composite(f"nn.functional.conv_transpose{_n}d", _conv_transpose_nd(_n),
              samples=_samples_transposed(_n))  # fmt: skip
