"""Making tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from reference_engine.backends import dtypes
from reference_engine.backends.base import BACKENDS, of_array
from reference_engine.backends.device import device, get_default_device
from reference_engine.backends.dtypes import dtype, get_default_dtype, of_python
from reference_engine.modes import MODES
from reference_engine.tensor import Tensor, from_raw


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


def _inferred(array: Any) -> dtype:
    """The dtype that Python numbers take."""
    kinds = {"c": get_default_dtype().to_complex(), "f": get_default_dtype(), "b": dtypes.bool_}
    kinds |= {"i": dtypes.int64, "u": dtypes.int64}
    if array.dtype.kind not in kinds:
        raise TypeError(f"tensor data must be equally long rows of numbers, got {array.dtype}")
    return kinds[array.dtype.kind]


# of given data ------------------------------------------------------------------------------------
def tensor(data: Any, *, dtype: dtype | None = None, device: str | device | None = None,
           requires_grad: bool = False) -> Tensor:  # fmt: skip
    """A new leaf holding a copy of nested numbers, a NumPy array or a tensor.

    Python floats take the default dtype, ints int64; arrays keep theirs, and are promoted in lists.
    """
    where, kinds = _place(device), set[Any]()
    if isinstance(data, Tensor):
        where = data.device if device is None else where
        data = data._raw
    elif isinstance(data, (list, tuple)):
        data = _plain(data, kinds)
    if dtype is None and not hasattr(data, "dtype"):
        dtype = _inferred(np.asarray(data))
        if not kinds <= {bool, int, float, complex}:
            found = [of_python(kind()) if isinstance(kind, type) else kind for kind in kinds]
            dtype = reduce(dtypes.promote_types, found)
    return _made(where.backend.asarray(data, dtype, where.raw), requires_grad)


def _plain(data: Any, kinds: set[Any]) -> Any:
    """Nested sequences with the tensors in them as numbers; ``kinds`` gets what these are."""
    if isinstance(data, (list, tuple)):
        return [_plain(item, kinds) for item in data]
    array = isinstance(data, (np.ndarray, np.generic))
    kinds.add(of_array(data).dtype_of(data) if array else getattr(data, "dtype", type(data)))
    return data.tolist() if isinstance(data, Tensor) else data


def as_tensor(data: Any, dtype: dtype | None = None, device: str | device | None = None) -> Tensor:
    """``data`` as a tensor, without a copy where it already is one, or is a NumPy array."""
    where = None if device is None and isinstance(data, Tensor) else _place(device)
    if isinstance(data, np.ndarray) and _place(device).type in ("cpu", "torch"):
        data = from_numpy(data, device)
    if not isinstance(data, Tensor):
        return tensor(data, dtype=dtype, device=device)
    found: Tensor = data.to(device=where, dtype=dtype)
    return found


def from_numpy(array: Any, device: str | device | None = None) -> Tensor:
    """A tensor over a NumPy array's memory; TypeError for anything else."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy needs a numpy.ndarray, got {type(array).__name__}")
    where = _place(device)
    return from_raw(where.backend.asarray(array, device=where.raw, copy=False))


def legacy_tensor(*args: Any) -> Tensor:
    """``Tensor(data)`` and ``Tensor(2, 3)``: always of the default dtype."""
    if args and all(isinstance(n, int) for n in args):
        return empty(*args)
    if len(args) > 1:
        raise TypeError(f"Tensor takes sizes or one sequence of numbers, got {len(args)} arguments")
    return tensor(args[0] if args else [], dtype=get_default_dtype())


# of a rule ----------------------------------------------------------------------------------------
def _factory(name: str, build: Callable[..., Any], about: str) -> Callable[..., Tensor]:
    """``build(where, dtype, ...)`` as a function that takes dtype=, device= and requires_grad=."""

    def make(*args: Any, dtype: dtype | None = None, device: str | device | None = None,
             requires_grad: bool = False, **named: Any) -> Tensor:  # fmt: skip
        return _made(build(_place(device), dtype, *args, **named), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = about
    return make


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return tuple(int(n) for n in size)


def _filled(verb: str) -> Callable[..., Any]:
    def build(at: device, d: dtype | None, *size: Any, **value: Any) -> Any:
        raw = at.backend.raw_dtype(d or get_default_dtype())
        return getattr(at.backend, verb)(_shape(size), **value, dtype=raw, device=at.raw)

    return build


def _drawn(kind: str) -> Callable[..., Any]:
    """Random numbers, inside ``vmap`` as it asks for: one array, or one for each entry."""

    def build(at: device, d: dtype | None, *size: Any) -> Any:
        about = kind, _shape(size), d or get_default_dtype(), at.raw
        if MODES.vmaps:
            from reference_engine.backends.batch import drawn

            return drawn(at.backend.random, *about)
        return at.backend.random(*about)

    return build


def _full(at: device, d: dtype | None, size: Sequence[int], fill_value: Any) -> Any:
    if isinstance(fill_value, Tensor):
        if fill_value.ndim or fill_value.requires_grad:
            raise TypeError("full needs a number; this Tensor has dimensions or requires grad")
        fill_value = fill_value.item()
    return _filled("full")(at, d or dtypes.of_python(fill_value), size, fill_value=fill_value)


def _of_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(at: device, d: dtype | None, *args: Any, **named: Any) -> Any:
        numbers = function(*args, **named)
        return at.backend.asarray(numbers, d or _inferred(numbers), at.raw)

    return build


def _randint(at: device, d: dtype | None, low: int, high: int | None = None,
             size: Sequence[int] = ()) -> Any:  # fmt: skip
    if high is None:
        low, high = 0, low
    uniform = _drawn("uniform")(at, dtypes.float64, size)
    backend = of_array(uniform)
    return backend.cast(backend.floor(uniform * (high - low)) + low, d or dtypes.int64)


_ALL = [
    zeros := _factory("zeros", _filled("zeros"), "A tensor of zeros of the given sizes."),
    ones := _factory("ones", _filled("ones"), "A tensor of ones of the given sizes."),
    empty := _factory("empty", _filled("empty"), "A tensor of whatever the memory held."),
    full := _factory("full", _full, "A tensor of one number, or one that a 0-d tensor holds."),
    rand := _factory("rand", _drawn("uniform"), "Uniform random numbers in [0, 1)."),
    randn := _factory("randn", _drawn("normal"), "Standard normal random numbers."),
    _factory("randint", _randint, "Random integers in [low, high); randint(high) starts at 0."),
    _factory("randperm", lambda at, d, n: at.backend.permutation(n, at.raw),
             "A random permutation of 0 … n − 1."),
    _factory("arange", _of_numpy(lambda start, end=None, step=1: np.arange(
                 0 if end is None else start, start if end is None else end, step)),
             "start, start + step, … up to, without, end; int64 of ints."),
    _factory("linspace", _of_numpy(lambda start, end, steps: np.linspace(start, end, steps)),
             "So many evenly spaced numbers from start to end, both included."),
    _factory("eye", _of_numpy(lambda n, m=None: np.eye(n, m)),
             "The identity matrix, or an n × m matrix with ones on its diagonal."),
]  # fmt: skip


def _as(factory: Callable[..., Tensor], like: bool) -> Callable[..., Tensor]:
    """``ones`` → ``ones_like``: the size, dtype and device of another tensor unless given.
    ``Tensor.new_ones`` takes the size.
    """

    def make(input: Tensor, *args: Any, **options: Any) -> Tensor:
        given = {name: value for name, value in options.items() if value is not None}
        size = (tuple(input.shape),) if like else ()
        made = factory(*size, *args, **{"dtype": input.dtype, "device": input.device, **given})
        if not of_array(input._raw).batched:
            return made
        # a batch for a batch, each entry with memory of its own
        from reference_engine.ops.batching import levels_of, lift

        batched: Tensor = lift(made, levels_of(input)).clone()
        return batched

    name = factory.__name__ + "_like" if like else "new_" + factory.__name__
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{factory.__name__} of another tensor's dtype and device."
    return make


def normal(mean: Any, std: Any = 1.0, size: Any = None, **options: Any) -> Tensor:
    """Normal random numbers around ``mean``, which gradients reach, as they reach ``std``: tensors
    that broadcast, or numbers with a ``size``.

    RuntimeError for a negative ``std``, NotImplementedError for tensors of integers.
    """
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if any(not x.dtype.differentiable for x in tensors):
        raise NotImplementedError("normal is not implemented for integers; convert mean and std")
    negative = std < 0
    if bool(negative.any()) if isinstance(std, Tensor) else negative:
        raise RuntimeError(f"normal got std={std}; expected standard deviations of 0 or more")
    if not tensors:
        requires_grad = options.pop("requires_grad", False)
        return (randn(size, **options) * std + mean).requires_grad_(requires_grad)  # type: ignore[no-any-return]
    draw: Any = FACTORIES["randn_like"]
    noise = draw(reduce(operator.add, tensors).detach())
    return noise * std + mean  # type: ignore[no-any-return]


_LIKE = [_as(factory, like=True) for factory in (empty, full, ones, rand, randn, zeros)]
FACTORIES = {f.__name__: f for f in (as_tensor, normal, *_ALL, *_LIKE)}
#: Tensor's methods
NEW = {f.__name__: f for f in (_as(factory, like=False) for factory in (empty, full, ones, zeros))}


def manual_seed(seed: int) -> None:
    """Restarts the random generators of all backends (the numbers are not PyTorch's)."""
    for backend in BACKENDS.values():
        backend.seed(seed)
