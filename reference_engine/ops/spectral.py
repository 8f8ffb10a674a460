"""Fourier transforms: one linear row, and compositions around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference_engine.ops.complexes import holds_complex
from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import Sample, composite, linear

#: the transform in the other direction with the same factor: what the adjoint needs
_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}
_LINE: list[Sample] = [(((5,),), {}), (((3, 4),), {"n": 5, "dim": 0, "norm": "ortho"}),
                       (((2, 4),), {"n": 3, "norm": "forward"})]  # fmt: skip
_GRID: list[Sample] = [(((3, 4),), {}), (((2, 3, 4),), {"s": (5, 3), "dim": (0, 2)})]


def _c2c(xp: Any, x: Any, *, dims: tuple[int, ...], norm: str, inverse: bool) -> Any:
    if not dims:
        return xp.copy(x)
    return (xp.fft.ifftn if inverse else xp.fft.fftn)(x, axes=dims, norm=norm)


linear("_fft_c2c", _c2c, node="FftC2CBackward0", promotion="float", fill={"x": "complex"},
       transpose=lambda F, g, dims, norm, inverse: F._fft_c2c(
           g, dims=dims, norm=_SWAPPED[norm], inverse=not inverse))  # fmt: skip


def _transform(F: Any, x: Any, dims: Sequence[int], norm: str | None, inverse: bool) -> Any:
    norm = "backward" if norm is None else norm
    if norm not in _SWAPPED:
        raise RuntimeError(f"fft got norm={norm!r}; expected one of {list(_SWAPPED)}")
    x = x if holds_complex(x) else F.complex(x, F.zeros_like(x))
    return F._fft_c2c(x, dims=tuple(dims), norm=norm, inverse=inverse)


def _resized(F: Any, x: Any, dim: int, n: int | None) -> Any:
    """Cut, or padded with zeros, to ``n`` elements along ``dim``."""
    have = x.shape[dim]
    if n is None or n in (-1, have):
        return x
    if n < 1:
        raise RuntimeError(f"fft needs at least 1 element, got n={n}")
    pad = [0, 0] * (x.ndim - dim)
    pad[-1] = n - have
    return F.constant_pad_nd(x, pad=tuple(pad))


def _floating(x: Any) -> Any:
    return x if x.dtype.differentiable else x * 1.0


def _dims_of(x: Any, s: Any, dim: Any) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """Dimensions counted from the front, and their sizes."""
    if dim is None:
        dim = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    dims = tuple(axis(d, x.ndim) for d in ((dim,) if isinstance(dim, int) else dim))
    sizes = (None,) * len(dims) if s is None else ((s,) if isinstance(s, int) else tuple(s))
    if len(sizes) != len(dims) or len(set(dims)) != len(dims):
        raise RuntimeError(f"fft got sizes {sizes} for dimensions {dims}")
    return dims, sizes


def _full(inverse: bool) -> Any:
    def transform(F: Any, x: Any, s: Any, dim: Any, norm: Any) -> Any:
        dims, sizes = _dims_of(x, s, dim)
        x = _floating(x)
        for d, n in zip(dims, sizes, strict=True):
            x = _resized(F, x, d, n)
        return _transform(F, x, dims, norm, inverse)

    return transform


def _half(inverse: bool) -> Any:
    """Of a real signal: the half of the spectrum that says all, along the last of the dims."""

    def transform(F: Any, x: Any, s: Any, dim: Any, norm: Any) -> Any:
        if holds_complex(x):
            raise RuntimeError(f"this transform needs a real tensor, got {x.dtype}")
        made = _full(inverse)(F, x, s, dim, norm)
        last = _dims_of(x, s, dim)[0][-1]
        return F.narrow(made, dim=last, start=0, length=made.shape[last] // 2 + 1)

    return transform


def _real(inverse: bool) -> Any:
    """The real signal whose spectrum's half is given: both halves add to twice the real part."""

    def transform(F: Any, x: Any, s: Any, dim: Any, norm: Any) -> Any:
        dims, sizes = _dims_of(x, s, dim)
        x, last = _floating(x), dims[-1]
        n = 2 * (x.shape[last] - 1) if sizes[-1] in (None, -1) else sizes[-1]
        if n is None or n < 1:
            raise RuntimeError(f"fft needs at least 1 element, got n={n}")
        for d, size in zip(dims[:-1], sizes[:-1], strict=True):
            x = _resized(F, x, d, size)
        x = _resized(F, x, last, n // 2 + 1)
        twice = [2.0] * (n // 2 + 1)
        twice[0] = 1.0
        if n % 2 == 0:
            twice[-1] = 1.0
        x = F._scale_along(x, dim=last, factors=tuple(twice))
        x = _resized(F, x, last, n)
        return F.real(_transform(F, x, dims, norm, inverse))

    return transform


def _line(transform: Any) -> Any:
    return lambda F, x, n=None, dim=-1, norm=None: transform(F, x, None if n is None else (n,),
                                                             (dim,), norm)  # fmt: skip


def _rows(stem: str, transform: Any, fill: dict[str, str]) -> None:
    """``fft.<stem>`` in one dimension, in two and in any number."""
    row: dict[str, Any] = {"methods": (), "fill": fill}
    row["complex"] = stem not in ("rfft", "ihfft")
    composite(f"fft.{stem}", _line(transform), samples=_LINE, **row)
    composite(f"fft.{stem}2", lambda F, x, s=None, dim=(-2, -1), norm=None: transform(
        F, x, s, dim, norm), samples=_GRID[:1], **row)  # fmt: skip
    composite(f"fft.{stem}n", lambda F, x, s=None, dim=None, norm=None: transform(
        F, x, s, dim, norm), samples=_GRID, **row)  # fmt: skip


_rows("fft", _full(inverse=False), {})
_rows("ifft", _full(inverse=True), {})
_rows("rfft", _half(inverse=False), {})
_rows("ihfft", _half(inverse=True), {})
_rows("hfft", _real(inverse=False), {})
_rows("irfft", _real(inverse=True), {})


def _shift(F: Any, x: Any, dim: Any, back: bool) -> Any:
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    shifts = tuple(x.shape[d] // 2 * (-1 if back else 1) for d in dims)
    return F.roll(x, shifts=shifts, dims=tuple(dims))


composite("fft.fftshift", lambda F, x, dim=None: _shift(F, x, dim, False), methods=(),
          samples=[(((5, 4),), {}), (((5,),), {"dim": 0})])  # fmt: skip
composite("fft.ifftshift", lambda F, x, dim=None: _shift(F, x, dim, True), methods=(),
          samples=[(((5, 4),), {}), (((5,),), {"dim": 0})])  # fmt: skip


# in windows ---------------------------------------------------------------------------------------
def _window(F: Any, x: Any, window: Any, win_length: int | None, n_fft: int) -> Any:
    """The window, ones where there is none, in the middle of ``n_fft`` elements."""
    length = n_fft if win_length is None else win_length
    ones = F.zeros_of(F.real(x.detach()), size=(length,)) + 1
    before = (n_fft - length) // 2
    return F.constant_pad_nd(ones if window is None else window,
                             pad=(before, n_fft - length - before))  # fmt: skip


def _stft(F: Any, x: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
          window: Any = None, center: bool = True, pad_mode: str = "reflect",
          normalized: bool = False, onesided: bool | None = None,
          return_complex: bool | None = None) -> Any:  # fmt: skip
    """The spectra of windows ``hop_length`` apart: (…, frequencies, windows)."""
    if center:
        lead = F.reshape(x, shape=(1, -1, x.shape[-1]))
        lead = F.pad(lead, pad=(n_fft // 2, n_fft // 2), mode=pad_mode)
        x = F.reshape(lead, shape=(*x.shape[:-1], lead.shape[-1]))
    steps = n_fft // 4 if hop_length is None else hop_length
    frames = F.unfold(x, dimension=-1, size=n_fft, step=steps)
    frames = frames * _window(F, x, window, win_length, n_fft)
    half = not holds_complex(frames) if onesided is None else onesided
    norm = "ortho" if normalized else "backward"
    made = F.mT((F.fft_rfft if half else F.fft_fft)(frames, norm=norm))
    return F.view_as_real(made) if return_complex is False else made


def _istft(F: Any, x: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
           window: Any = None, center: bool = True, normalized: bool = False,
           onesided: bool | None = None, length: int | None = None, return_complex: bool = False
           ) -> Any:  # fmt: skip
    """The signal whose windows, added up where they lie, have these spectra; each element over the
    sum of the squares of the windows there.
    """
    steps = n_fft // 4 if hop_length is None else hop_length
    del onesided  # a real signal is read from the first half either way
    norm, shape = "ortho" if normalized else "backward", _window(F, x, window, win_length, n_fft)
    frames = (F.fft_ifft if return_complex else F.fft_irfft)(F.mT(x), n=n_fft, norm=norm) * shape
    lead, count = tuple(frames.shape[:-2]), frames.shape[-2]
    total = n_fft + steps * (count - 1)
    squares = F.expand(shape * shape, size=(1, count, n_fft))
    signal, weight = (F.fold(F.mT(F.reshape(v, shape=(-1, count, n_fft))), output_size=(1, total),
                             kernel_size=(1, n_fft), stride=(1, steps))[:, 0, 0]
                      for v in (frames, squares))  # fmt: skip
    first = n_fft // 2 if center else 0
    last = total - first if length is None else min(first + length, total)
    made = F.narrow(signal, dim=-1, start=first, length=last - first) / F.narrow(
        weight, dim=-1, start=first, length=last - first)  # fmt: skip
    if length is not None and last - first < length:
        made = F.constant_pad_nd(made, pad=(0, length - (last - first)))
    return F.reshape(made, shape=(*lead, made.shape[-1]))


composite("stft", _stft, samples=[(((12,),), {"n_fft": 4, "return_complex": True})])
composite("istft", _istft, fill={"x": "complex"}, samples=[(((3, 5),), {"n_fft": 4})])
