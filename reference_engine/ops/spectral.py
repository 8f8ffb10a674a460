"""Fourier transforms: one linear row, and compositions around it."""

from __future__ import annotations

from functools import partial
from typing import Any

from reference_engine.ops.complexes import holds_complex
from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import composite, linear, on

# rows are laid out by hand
# fmt: off

#: the transform in the other direction with the same factor: what the adjoint needs
_SWAPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _c2c(xp: Any, x: Any, *, dims: tuple[int, ...], norm: str, inverse: bool) -> Any:
    if not dims:
        return xp.copy(x)
    return (xp.fft.ifftn if inverse else xp.fft.fftn)(x, axes=dims, norm=norm)


linear("_fft_c2c", _c2c, node="FftC2CBackward0", promotion="float", fill={"x": "complex"},
       transpose=lambda F, g, dims, norm, inverse: F._fft_c2c(
           g, dims=dims, norm=_SWAPPED[norm], inverse=not inverse))


def _resized(F: Any, x: Any, dim: int, n: int | None) -> Any:
    """Cut, or padded with zeros, to ``n`` elements along ``dim``."""
    have = x.shape[dim]
    if n is None or n in (-1, have):
        return x
    if n < 1:
        raise RuntimeError(f"fft needs at least 1 element, got n={n}")
    return F.constant_pad_nd(x, pad=(*(0, 0) * (x.ndim - dim - 1), 0, n - have))


def _dims_of(x: Any, s: Any, dim: Any) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """Dimensions counted from the front, and their sizes."""
    if dim is None:
        dim = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    dims = tuple(axis(d, x.ndim) for d in ((dim,) if isinstance(dim, int) else dim))
    sizes = (None,) * len(dims) if s is None else ((s,) if isinstance(s, int) else tuple(s))
    if len(sizes) != len(dims) or len(set(dims)) != len(dims):
        raise RuntimeError(f"fft got sizes {sizes} for dimensions {dims}")
    return dims, sizes


def _transform(F: Any, x: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, kind: str
               ) -> Any:
    """The transform of a kind: in PyTorch's name without "fft", ``i`` is the inverse, ``r`` that of
    a real signal, ``h`` that of half a spectrum, whose other half is its mirror image.
    """
    norm = "backward" if norm is None else norm
    inverse, half = "i" in kind, kind in ("r", "ih")
    if norm not in _SWAPPED:
        raise RuntimeError(f"fft got norm={norm!r}; expected one of {list(_SWAPPED)}")
    if half and holds_complex(x):
        raise RuntimeError(f"this transform needs a real tensor, got {x.dtype}")
    dims, sizes = _dims_of(x, s, dim)
    x, last, n = x if x.dtype.differentiable else x * 1.0, dims[-1], sizes[-1]
    real = kind in ("ir", "h")
    if real:
        n = 2 * (x.shape[last] - 1) if n in (None, -1) else n
        if n is None or n < 1:
            raise RuntimeError(f"fft needs at least 1 element, got n={n}")
        x = _resized(F, x, last, n // 2 + 1)
        # the half that is not given adds as much to the real part
        twice = [1 if i == 0 or 2 * i == n else 2 for i in range(n // 2 + 1)]
        x = x * F.reshape(F._numbers_of(x, values=twice), shape=(-1, *(1,) * (x.ndim - last - 1)))
    for d, size in zip(dims, (*sizes[:-1], n), strict=True):
        x = _resized(F, x, d, size)
    x = x if holds_complex(x) else F.complex(x, F.zeros_like(x))
    made = F._fft_c2c(x, dims=dims, norm=norm, inverse=inverse)
    if half:
        return F.narrow(made, dim=last, start=0, length=made.shape[last] // 2 + 1)
    return F.real(made) if real else made


def _rows(kind: str) -> None:
    """The transforms of a kind in one dimension, in two and in any number."""
    name, row = f"fft.{kind}fft", {"complex": kind not in ("r", "ih")}
    composite(name, lambda F, x, n=None, dim=-1, norm=None: _transform(
        F, x, None if n is None else (n,), (dim,), norm, kind=kind), **row, samples=[on((5,)), on(
            (3, 4), n=5, dim=0, norm="ortho"), on((2, 4), n=3, norm="forward")])
    composite(f"{name}2", lambda F, x, s=None, dim=(-2, -1), norm=None: _transform(
        F, x, s, dim, norm, kind=kind), samples=[on((3, 4))], **row)
    composite(f"{name}n", partial(_transform, kind=kind), **row,
              samples=[on((3, 4)), on((2, 3, 4), s=(5, 3), dim=(0, 2))])


for _kind in ("", "i", "r", "ih", "h", "ir"):
    _rows(_kind)


def _shift(F: Any, x: Any, dim: Any = None, *, sign: int) -> Any:
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return F.roll(x, shifts=tuple(x.shape[d] // 2 * sign for d in dims), dims=tuple(dims))


for _name, _sign in (("fft.fftshift", 1), ("fft.ifftshift", -1)):
    composite(_name, partial(_shift, sign=_sign), samples=[on((5, 4)), on((5,), dim=0)])


# in windows ---------------------------------------------------------------------------------------
def _window(F: Any, x: Any, window: Any, win_length: int | None, n_fft: int) -> Any:
    """The window, ones where there is none, in the middle of ``n_fft`` elements."""
    length = n_fft if win_length is None else win_length
    ones = F.zeros_of(F.real(x.detach()), size=(length,)) + 1
    before = (n_fft - length) // 2
    return F.constant_pad_nd(ones if window is None else window,
                             pad=(before, n_fft - length - before))


def _stft(F: Any, x: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
          window: Any = None, center: bool = True, pad_mode: str = "reflect",
          normalized: bool = False, onesided: bool | None = None,
          return_complex: bool | None = None) -> Any:
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
           ) -> Any:
    """The signal whose windows, added up where they lie, have these spectra; each element over the
    sum of the squares of the windows there. A real signal is read from the first half,
    ``onesided`` or not.
    """
    steps = n_fft // 4 if hop_length is None else hop_length
    norm, shape = "ortho" if normalized else "backward", _window(F, x, window, win_length, n_fft)
    frames = (F.fft_ifft if return_complex else F.fft_irfft)(F.mT(x), n=n_fft, norm=norm) * shape
    lead, count = tuple(frames.shape[:-2]), frames.shape[-2]
    total = n_fft + steps * (count - 1)
    squares = F.expand(shape * shape, size=(1, count, n_fft))
    signal, weight = (F.fold(F.mT(F.reshape(v, shape=(-1, count, n_fft))), output_size=(1, total),
                             kernel_size=(1, n_fft), stride=(1, steps))[:, 0, 0]
                      for v in (frames, squares))
    first = n_fft // 2 if center else 0
    last = total - first if length is None else min(first + length, total)
    made = signal[..., first:last] / weight[..., first:last]
    if length is not None and last - first < length:
        made = F.constant_pad_nd(made, pad=(0, length - (last - first)))
    return F.reshape(made, shape=(*lead, made.shape[-1]))


composite("stft", _stft, samples=[on((12,), n_fft=4, return_complex=True)])
composite("istft", _istft, fill={"x": "complex"}, samples=[on((3, 5), n_fft=4)])
