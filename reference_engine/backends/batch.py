"""Batches: arrays of ``vmap``, each of which stands for many arrays of one shape and dtype.

A batch looks like one of its items (``shape``, ``dtype``) and every function of it is computed item
by item. Its ``level`` tells the nested ``vmap`` calls apart: the batch of the innermost is on the
outside, and its items may be batches of the others.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial, partialmethod, reduce
from types import ModuleType
from typing import Any, NoReturn

from reference_engine.backends.base import BACKENDS, Backend, Kernel, of_array
from reference_engine.modes import MODES


class Batch:
    """Arrays of one shape and dtype. Without entries, ``size`` 0, there is one item all the same,
    which tells both.
    """

    __slots__ = ("__weakref__", "items", "level", "size")
    # NumPy leaves operators with an array on their left to the batch
    __array_ufunc__ = None

    def __init__(self, level: int, items: tuple[Any, ...], size: int) -> None:
        self.level, self.items, self.size = level, items, size

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.items[0], name)
        if name in ("shape", "ndim", "dtype", "device"):
            return found
        if callable(found):
            return partial(each, lambda x, *args, **named: getattr(x, name)(*args, **named), self)
        return each(lambda x: getattr(x, name), self)

    def __bool__(self) -> NoReturn:
        raise RuntimeError(
            "vmap got a function whose control flow depends on the values of a batched tensor; "
            "compute both ways and choose with where()"
        )

    def item(self) -> NoReturn:
        """Raises RuntimeError, as ``tolist``: a batched tensor has no one value."""
        raise RuntimeError(
            "a tensor that is batched by vmap has no one value that Python or NumPy could have; "
            "return the tensor from the function instead"
        )

    tolist = __array__ = item


def each(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function of arrays gives for each item of the batches among its arguments."""
    level = max((x.level for x in batches((args, kwargs))), default=None)
    if level is None:
        return function(*args, **kwargs)
    first = next(x for x in batches((args, kwargs)) if x.level == level)
    backend = _innermost(first)
    same = MODES.vmaps and MODES.vmaps[-1].randomness == "same"
    before = backend.rng_state() if same else None
    results = []
    for i in range(len(first.items)):
        if same:
            backend.set_rng_state(before)
        results.append(each(function, *_at(args, level, i), **_at(kwargs, level, i)))
    return _joined(level, results, first.size)


def batches(value: Any) -> Iterator[Batch]:
    """The batches in nested tuples, lists and dicts."""
    if isinstance(value, Batch):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from batches(part)


def _at(value: Any, level: int, i: int) -> Any:
    """``value`` with item ``i`` in place of each batch of a level."""
    if isinstance(value, Batch) and value.level == level:
        return value.items[i]
    if isinstance(value, dict):
        return {name: _at(part, level, i) for name, part in value.items()}
    return type(value)(_at(v, level, i) for v in value) if type(value) in (tuple, list) else value


def _joined(level: int, results: list[Any], size: int) -> Any:
    """The results for the items of a batch, as one."""
    first = results[0]
    if isinstance(first, (tuple, list)):
        return tuple(_joined(level, list(column), size) for column in zip(*results, strict=True))
    if not hasattr(first, "dtype"):
        return first
    return batch(level, [of_array(x).wrap(x) for x in results], size)


def batch(level: int, items: Sequence[Any], size: int) -> Any:
    """A batch of arrays, which may be batches of other levels.

    RuntimeError when their shapes differ: their number of elements depended on their values.
    """
    inner = max((x.level for x in items if isinstance(x, Batch)), default=-1)
    if inner > level:
        other = next(x for x in items if isinstance(x, Batch) and x.level == inner)
        parts = [batch(level, _at(list(items), inner, j), size) for j in range(len(other.items))]
        return batch(inner, parts, other.size)
    if len({tuple(x.shape) for x in items}) > 1:
        raise RuntimeError(
            f"vmap got results of shapes {sorted({tuple(x.shape) for x in items})}, where all must "
            "be alike; use operations whose result's shape does not depend on values"
        )
    made: Batch = _batched(_innermost(items[0])).array_type(level, tuple(items), size)
    return made


def lifted(x: Any, levels: Mapping[int, int]) -> Any:
    """An array as a batch at all of these levels (level → size), of which it may have some."""
    for level, size in sorted(levels.items()):
        if all(found.level != level for found in nested(x)):
            x = batch(level, [x] * max(size, 1), size)
    return x


def nested(x: Any) -> Iterator[Batch]:
    """An array's batches, from the outermost."""
    while isinstance(x, Batch):
        yield x
        x = x.items[0]


def unstacked(x: Any, dim: int, level: int, size: int) -> Any:
    """The batch of the slices of an array along a dimension, over the same memory."""
    if size:
        places = [(*(slice(None),) * dim, i, ...) for i in range(size)]
        return batch(level, [x[at] for at in places], size)
    shape = (*x.shape[:dim], *x.shape[dim + 1 :])
    return batch(level, [of_array(x).zeros(shape, dtype=x.dtype, device=x.device)], 0)


def stacked(x: Any, dim: int, level: int, size: int) -> Any:
    """The items of a batch of this level along a new dimension; copies of what is none."""
    if isinstance(x, Batch) and x.level != level:
        return batch(x.level, [stacked(item, dim, level, size) for item in x.items], x.size)
    items = list(x.items) if isinstance(x, Batch) else [x] * max(size, 1)
    made = each(lambda *items: of_array(items[0]).stack(list(items), axis=dim), *items)
    first: Any = (*(slice(None),) * dim, slice(0, 0))
    return made if size else made[first]


def summed(x: Any, level: int, size: int) -> Any:
    """The sum of the items of a batch of this level; of as many copies of what is none."""
    if isinstance(x, Batch) and x.level != level:
        return batch(x.level, [summed(item, level, size) for item in x.items], x.size)
    if not isinstance(x, Batch) or not size:
        return (x.items[0] if isinstance(x, Batch) else x) * size
    return reduce(operator.add, x.items)


def drawn(draw: Callable[..., Any], *args: Any, within: int | None = None) -> Any:
    """Random numbers, one array or one for each entry as the ``vmap`` calls going on ask for."""
    calls = MODES.vmaps[:within]
    if not calls or calls[-1].randomness != "different":
        return draw(*args)
    size: int = calls[-1].size
    items = [drawn(draw, *args, within=len(calls) - 1) for _ in range(max(size, 1))]
    return batch(calls[-1].level, items, size)


def _innermost(x: Any) -> Backend:
    """The backend of the arrays that a batch consists of in the end."""
    while isinstance(x, Batch):
        x = x.items[0]
    return of_array(x)


def _of_items(name: str) -> Any:
    """A backend's verb, for each item."""

    def verb(self: BatchBackend, *args: Any, **kwargs: Any) -> Any:
        return each(getattr(self.inner, name), *args, **kwargs)

    return verb


class BatchBackend(Backend):
    """Batches of another backend's arrays."""

    batched = True

    def __init__(self, inner: Backend) -> None:
        self.inner, self.name = inner, inner.name
        self.array_type = type("Batch", (Batch,), {"__slots__": ()})
        BACKENDS[self.array_type] = self

    def namespace(self) -> ModuleType:
        """The namespace of the arrays that are in the batches."""
        return self.inner.namespace()

    def __getattr__(self, name: str) -> Any:
        return partial(each, getattr(self.inner, name))

    def kernel(self, forward: str | Kernel) -> Kernel:
        """As ever, for each item; kernels that are about batches take them as they are."""
        if not isinstance(forward, str) and getattr(forward, "takes_batches", False):
            return partial(forward, self)
        return partial(each, self.inner.kernel(forward))

    def to_numpy(self, x: Any) -> Any:
        """The NumPy array of an array that is no batch; RuntimeError for one that is."""
        return x.item() if isinstance(x, Batch) else self.inner.to_numpy(x)

    raw_dtype = _of_items("raw_dtype")
    engine_dtype = _of_items("engine_dtype")
    asarray = _of_items("asarray")
    wrap = _of_items("wrap")
    cast = _of_items("cast")
    copy = _of_items("copy")
    assign = _of_items("assign")
    strides = _of_items("strides")
    storage_offset = _of_items("storage_offset")
    view = _of_items("view")
    as_strided = _of_items("as_strided")
    expand = _of_items("expand")
    matrix_diagonal = _of_items("matrix_diagonal")
    address = _of_items("address")
    may_overlap = _of_items("may_overlap")
    check_places = _of_items("check_places")
    index_put = _of_items("index_put")
    scatter_add = _of_items("scatter_add")
    sliding_windows = _of_items("sliding_windows")
    random = _of_items("random")
    permutation = _of_items("permutation")
    rng_state = _of_items("rng_state")
    set_rng_state = _of_items("set_rng_state")

    def seed(self, seed: int) -> None:
        """Nothing: the arrays' own backend has the generator."""


@cache
def _batched(backend: Backend) -> BatchBackend:
    """The backend of the batches of a backend's arrays."""
    return BatchBackend(backend)


_REFLECTED = ("add", "sub", "mul", "truediv", "pow", "matmul", "mod", "floordiv", "and", "or")
_OTHERS = ("neg", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge", "getitem", "setitem")


def _install_operators() -> None:
    for name in (*_REFLECTED, *_OTHERS):
        of_two = getattr(operator, name + ("_" if name in ("and", "or") else ""))
        setattr(Batch, f"__{name}__", partialmethod(_operate, of_two))
        if name in _REFLECTED:
            setattr(Batch, f"__r{name}__", partialmethod(_operate_reflected, of_two))


def _operate(self: Batch, function: Kernel, *others: Any) -> Any:
    return each(function, self, *others)


def _operate_reflected(self: Batch, function: Kernel, other: Any) -> Any:
    return each(function, other, self)


_install_operators()
