"""Making tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference_engine.backends import dtypes
from reference_engine.backends.base import Backend, of_array
from reference_engine.backends.device import device, get_default_device
from reference_engine.backends.dtypes import dtype
from reference_engine.modes import MODES
from reference_engine.tensor import Tensor, from_raw


def _drawn(backend: Backend, kind: str, *about: Any) -> Any:
    """Random numbers, inside ``vmap`` as it asks for: one array, or one for each entry."""
    if MODES.vmaps:
        from reference_engine.backends.batch import drawn

        return drawn(backend.random, kind, *about)
    return backend.random(kind, *about)


def _place(where: str | device | None) -> device:
    return get_default_device() if where is None else device(where)


def _made(raw: Any, requires_grad: bool) -> Tensor:
    made = from_raw(raw)
    if not requires_grad:
        return made
    transforms, MODES.transforms = MODES.transforms, ()  # where requires_grad_ may not be called
    try:
        return made.requires_grad_()
    finally:
        MODES.transforms = transforms


def tensor(
    data: Any,
    *,
    dtype: dtype | None = None,
    device: str | device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A new leaf holding a copy of nested numbers, a NumPy array or a tensor.

    Python floats take the default dtype, ints int64; arrays keep theirs.
    """
    where = _place(device)
    if isinstance(data, Tensor):
        where = data.device if device is None else where
        data = data._raw
    elif isinstance(data, (list, tuple)):
        data = _plain(data)
    if dtype is None and not hasattr(data, "dtype"):
        dtype = _inferred(np.asarray(data))
    return _made(where.backend.asarray(data, dtype, where.raw), requires_grad)


def _plain(data: Any) -> Any:
    """Nested sequences with the tensors in them as numbers."""
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data.detach().cpu().numpy() if isinstance(data, Tensor) else data


def _inferred(array: Any) -> dtype:
    """The dtype that Python numbers take."""
    if array.dtype.kind == "c":
        return dtypes.get_default_dtype().to_complex()
    if array.dtype.kind in "iu":
        return dtypes.int64
    if array.dtype.kind == "b":
        return dtypes.bool_
    if array.dtype.kind == "f":
        return dtypes.get_default_dtype()
    raise TypeError(f"tensor data must be numbers in equally long rows, got dtype {array.dtype}")


def as_tensor(data: Any, dtype: dtype | None = None, device: str | device | None = None) -> Tensor:
    """``data`` as a tensor, without a copy where it already is one, or is a NumPy array."""
    if isinstance(data, Tensor):
        same = (dtype is None or data.dtype is dtype) and (
            device is None or data.device == _place(device)
        )
        return data if same else data.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray) and _place(device).type in ("cpu", "torch"):
        found = from_numpy(data, device)
        return found if dtype is None or found.dtype is dtype else found.to(dtype)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(array: Any, device: str | device | None = None) -> Tensor:
    """A tensor over a NumPy array's memory; TypeError for anything else."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy needs a numpy.ndarray, got {type(array).__name__}")
    where = _place(device)
    return from_raw(where.backend.asarray(array, device=where.raw, copy=False))


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return tuple(int(n) for n in size)


def _factory(name: str, build: Callable[..., Any], about: str) -> Callable[..., Tensor]:
    """A factory that takes sizes, and dtype=, device=, requires_grad=."""

    def make(
        *size: Any,
        dtype: dtype | None = None,
        device: str | device | None = None,
        requires_grad: bool = False,
    ) -> Tensor:
        where = _place(device)
        kind = dtypes.get_default_dtype() if dtype is None else dtype
        return _made(build(where.backend, _shape(size), kind, where.raw), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = about
    return make


zeros = _factory(
    "zeros",
    lambda b, shape, d, where: b.zeros(shape, dtype=b.raw_dtype(d), device=where),
    "A tensor of zeros of the given sizes.",
)
ones = _factory(
    "ones",
    lambda b, shape, d, where: b.ones(shape, dtype=b.raw_dtype(d), device=where),
    "A tensor of ones of the given sizes.",
)
empty = _factory(
    "empty",
    lambda b, shape, d, where: b.empty(shape, dtype=b.raw_dtype(d), device=where),
    "A tensor of the given sizes whose values are whatever the memory held.",
)
rand = _factory(
    "rand",
    lambda b, shape, d, where: _drawn(b, "uniform", shape, d, where),
    "Uniform random numbers in [0, 1).",
)
randn = _factory(
    "randn",
    lambda b, shape, d, where: _drawn(b, "normal", shape, d, where),
    "Standard normal random numbers.",
)


def full(
    size: Sequence[int],
    fill_value: complex | Tensor,
    *,
    dtype: dtype | None = None,
    device: str | device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of one value, a number or a 0-d tensor that requires no grad (else TypeError)."""
    if isinstance(fill_value, Tensor):
        if fill_value.ndim or fill_value.requires_grad:
            raise TypeError("full needs a number; this Tensor has dimensions or requires grad")
        return full(
            size, fill_value.item(), dtype=dtype, device=device, requires_grad=requires_grad
        )
    where = _place(device)
    kind = dtypes.of_python(fill_value) if dtype is None else dtype
    raw = where.backend.full(
        _shape((size,)), fill_value, dtype=where.backend.raw_dtype(kind), device=where.raw
    )
    return _made(raw, requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: dtype | None = None,
    device: str | device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``start, start + step, …`` up to, without, ``end``; int64 when all three are ints."""
    if end is None:
        start, end = 0, start
    kind = dtype
    if kind is None:
        ints = all(isinstance(n, int) for n in (start, end, step))
        kind = dtypes.int64 if ints else dtypes.get_default_dtype()
    return _from_numpy_values(np.arange(start, end, step), kind, device, requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: dtype | None = None,
    device: str | device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included."""
    kind = dtype or dtypes.get_default_dtype()
    return _from_numpy_values(np.linspace(start, end, steps), kind, device, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: dtype | None = None,
    device: str | device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The identity matrix, or an n × m matrix with ones on its diagonal."""
    return _from_numpy_values(
        np.eye(n, m), dtype or dtypes.get_default_dtype(), device, requires_grad
    )


def randint(
    low: int,
    high: int | None = None,
    size: Sequence[int] = (),
    *,
    dtype: dtype = dtypes.int64,
    device: str | device | None = None,
) -> Tensor:
    """Uniform random integers in [low, high); ``randint(high, size=…)`` starts at 0."""
    if high is None:
        low, high = 0, low
    where = _place(device)
    uniform = _drawn(where.backend, "uniform", _shape((size,)), dtypes.float64, where.raw)
    backend = of_array(uniform)
    return from_raw(backend.cast(backend.floor(uniform * (high - low)) + low, dtype))


def randperm(n: int, *, device: str | device | None = None) -> Tensor:
    """A random permutation of 0 … n − 1."""
    where = _place(device)
    return from_raw(where.backend.permutation(n, where.raw))


def manual_seed(seed: int) -> None:
    """Restarts the random generators of all backends (the numbers are not PyTorch's)."""
    from reference_engine.backends.base import BACKENDS

    for backend in BACKENDS.values():
        backend.seed(seed)


def _from_numpy_values(
    array: Any, kind: dtype, where: str | device | None, requires_grad: bool
) -> Tensor:
    place = _place(where)
    return _made(place.backend.asarray(array, kind, place.raw), requires_grad)


def like(factory: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``ones`` → ``ones_like``: the size, dtype and device of another tensor unless given."""

    def make(input: Tensor, **options: Any) -> Tensor:
        options = {"dtype": input.dtype, "device": input.device, **_given(options)}
        return _batched_like(input, factory(tuple(input.shape), **options))

    make.__name__ = make.__qualname__ = factory.__name__ + "_like"
    make.__doc__ = f"{factory.__name__} of the size, dtype and device of ``input``."
    return make


def new(factory: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``ones`` → ``Tensor.new_ones``: the dtype and device of another tensor unless given."""

    def make(self: Tensor, *size: Any, **options: Any) -> Tensor:
        options = {"dtype": self.dtype, "device": self.device, **_given(options)}
        return _batched_like(self, factory(*size, **options))

    make.__name__ = make.__qualname__ = "new_" + factory.__name__
    make.__doc__ = f"{factory.__name__} of this tensor's dtype and device."
    return make


def _batched_like(x: Tensor, made: Tensor) -> Tensor:
    """What a factory made for a tensor: a batch, each entry with memory of its own, for a batch."""
    if not of_array(x._raw).batched:
        return made
    from reference_engine.ops.batching import levels_of, lift

    batched: Tensor = lift(made, levels_of(x)).clone()
    return batched


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def full_like(input: Tensor, fill_value: complex, **options: Any) -> Tensor:
    """A tensor of one value, of the size, dtype and device of ``input``."""
    options = {"dtype": input.dtype, "device": input.device, **_given(options)}
    return _batched_like(input, full(tuple(input.shape), fill_value, **options))


_ALL: list[Callable[..., Tensor]] = [
    arange, as_tensor, empty, eye, full, full_like, linspace, rand, randint, randn, randperm,
    *(like(f) for f in (empty, ones, rand, randn, zeros)),
]  # fmt: skip
FACTORIES = {f.__name__: f for f in _ALL}


def legacy_tensor(*args: Any) -> Tensor:
    """``Tensor(data)`` and ``Tensor(2, 3)``: always of the default dtype."""
    if args and all(isinstance(n, int) for n in args):
        return empty(*args)
    if len(args) > 1:
        raise TypeError(f"Tensor takes sizes or one sequence of numbers, got {len(args)} arguments")
    return tensor(args[0] if args else [], dtype=dtypes.get_default_dtype())
