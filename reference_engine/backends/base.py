"""What the engine needs of an array library: the array API standard, and the few verbs that the
standard lacks.

A backend is also the namespace ``xp`` that forward rules receive: ``xp.sin`` is the standard's
function, ``xp.index_add`` one of the verbs below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from types import ModuleType
from typing import Any, Protocol, TypeAlias

from reference_engine.backends.dtypes import dtype, float32, unsupported

Shape: TypeAlias = "tuple[int, ...]"
Kernel: TypeAlias = "Callable[..., Any]"


class Array(Protocol):
    """A raw array: ``numpy.ndarray`` or a ``torch.Tensor`` that torch does not track."""

    @property
    def shape(self) -> Shape:
        """Dimensions."""
        ...

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        ...

    @property
    def dtype(self) -> Any:
        """The library's dtype."""
        ...

    @property
    def device(self) -> Any:
        """The library's device."""
        ...

    def __getitem__(self, index: Any, /) -> Array: ...
    def __setitem__(self, index: Any, value: Any, /) -> None: ...
    def __add__(self, other: Any, /) -> Array: ...
    def __sub__(self, other: Any, /) -> Array: ...
    def __mul__(self, other: Any, /) -> Array: ...
    def __truediv__(self, other: Any, /) -> Array: ...
    def __neg__(self) -> Array: ...


class Backend(ABC):
    """One array library. Subclasses are singletons, found by :func:`of_array`."""

    name: str
    array_type: type
    #: whether the arrays are batches of ``vmap``, see ``batch``
    batched = False
    #: of batches, whose arrays their items are
    inner: Backend
    #: what the library's 0-d results decay to
    scalar_types: tuple[type, ...] = ()

    @abstractmethod
    def namespace(self) -> ModuleType:
        """The array API namespace (``xp``) of the library."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.namespace(), name)
        setattr(self, name, function)
        return function

    def define(self, name: str, function: Kernel) -> None:
        """Adds a function that the library lacks, so that rules find it as ``xp.name``."""
        setattr(self, name, function)

    #: raw dtypes that are computed with in float32, as PyTorch does: sums would overflow or stand
    #: still, and ml_dtypes has few functions, and no rule for Python numbers
    narrow: Set[Any] = frozenset()

    def wide(self, run: Kernel) -> Kernel:
        """A kernel that computes in float32 where it is given a narrow dtype."""
        if not self.narrow:
            return run

        def kernel(*xs: Any, **params: Any) -> Any:
            kinds = self.narrow & {getattr(x, "dtype", None) for x in xs}
            if not kinds:
                return run(*xs, **params)
            narrow = self.engine_dtype(next(iter(kinds)))
            out = run(*(self.cast(x, float32) if is_narrow(x) else x for x in xs), **params)
            if params.get("dtype") is not None:
                return out
            if isinstance(out, tuple):
                return tuple(narrowed(x, narrow) for x in out)
            return narrowed(out, narrow)

        def is_narrow(x: Any) -> bool:
            return getattr(x, "dtype", None) in self.narrow

        def narrowed(x: Any, d: dtype) -> Any:
            if self.engine_dtype(x.dtype) is not float32:
                return x
            backend = of_array(x)  # another one's where a kernel moves its input
            return backend.cast(backend.wrap(x), d)

        return kernel

    def kernel(self, forward: str | Kernel) -> Kernel:
        """The function that computes a forward rule: one of the library's own by name, or the rule
        given ``xp``.
        """
        if isinstance(forward, str):
            function: Kernel = getattr(self, forward)
            return function
        return partial(forward, self)

    # dtypes and devices ---------------------------------------------------------------------------
    @abstractmethod
    def raw_dtype(self, d: dtype) -> Any:
        """The library's dtype for an engine dtype; TypeError when it has none."""

    def engine_dtype(self, raw: Any) -> dtype:
        """The engine dtype for one of the library's; TypeError when there is none."""
        return ENGINE_DTYPES.get(raw) or unsupported(raw)

    def dtype_of(self, x: Any) -> dtype:
        """The engine dtype of an array."""
        return self.engine_dtype(x.dtype)

    # making and reading arrays --------------------------------------------------------------------
    @abstractmethod
    def asarray(
        self, data: Any, d: dtype | None = None, device: str = "cpu", copy: bool = True
    ) -> Any:
        """An array of nested numbers, NumPy arrays or this library's arrays."""

    @abstractmethod
    def to_numpy(self, x: Any) -> Any:
        """The values as a NumPy array, sharing memory where the library can."""

    @abstractmethod
    def wrap(self, x: Any) -> Any:
        """``x`` as an array: undoes a library's habit of turning 0-d results into scalars."""

    @abstractmethod
    def cast(self, x: Any, d: dtype) -> Any:
        """``x`` in another dtype (``x`` itself when it has it); complex to real keeps the real
        part.
        """

    @abstractmethod
    def copy(self, x: Any) -> Any:
        """A contiguous copy that owns its memory."""

    @abstractmethod
    def assign(self, target: Any, value: Any) -> None:
        """Writes ``value``, broadcast and cast, into ``target``'s memory."""

    # memory ---------------------------------------------------------------------------------------
    @abstractmethod
    def strides(self, x: Any) -> tuple[int, ...]:
        """Strides in elements."""

    @abstractmethod
    def storage_offset(self, x: Any) -> int:
        """Distance of ``x``'s first element from the start of the memory it views, in elements."""

    @abstractmethod
    def view(self, x: Any, shape: Sequence[int]) -> Any:
        """``x`` in another shape over the same memory; RuntimeError when its strides do not allow
        it.
        """

    @abstractmethod
    def as_strided(self, x: Any, size: Sequence[int], stride: Sequence[int], offset: int) -> Any:
        """A view of ``x``'s memory by sizes, strides and offset in elements."""

    @abstractmethod
    def expand(self, x: Any, shape: Sequence[int]) -> Any:
        """``x`` broadcast to ``shape`` over the same memory."""

    @abstractmethod
    def matrix_diagonal(self, x: Any, offset: int) -> Any:
        """The diagonals of the last two dimensions, over the same memory."""

    @abstractmethod
    def address(self, x: Any) -> int:
        """Address of the first element."""

    @abstractmethod
    def may_overlap(self, x: Any, y: Any) -> bool:
        """False where two arrays surely have no element in common."""

    # verbs of rules -------------------------------------------------------------------------------
    @abstractmethod
    def check_places(self, index: Any, size: int, what: str) -> None:
        """IndexError for an index that is none of ``size`` places, where to ask does not wait for a
        device.
        """

    def sum_to_size(self, x: Any, size: Shape) -> Any:
        """Sums the dimensions along which ``size`` was broadcast to ``x.shape``."""
        if tuple(x.shape) == tuple(size):
            return x
        lead = x.ndim - len(size)
        inner = (d for d, n in enumerate(size, lead) if n == 1 and x.shape[d] != 1)
        axes = (*range(lead), *inner)
        summed = self.wrap(self.sum(x, axis=axes, keepdims=True)) if axes else x
        return summed.reshape(tuple(size))

    @abstractmethod
    def index_put(self, x: Any, index: Any, values: Any, accumulate: bool) -> Any:
        """A copy of ``x`` with ``x[index]`` set to, or with repeated indices added up, increased by
        ``values``.
        """

    @abstractmethod
    def scatter_add(self, x: Any, dim: int, index: Any, source: Any) -> Any:
        """A copy of ``x`` with ``source`` added at ``index`` along ``dim`` (same number of
        dimensions).
        """

    @abstractmethod
    def sliding_windows(
        self, x: Any, size: Sequence[int], step: Sequence[int], dilation: Sequence[int]
    ) -> Any:
        """All windows over the last ``len(size)`` dimensions, as a view.

        Shape ``(*batch, *positions)`` grows to ``(*batch, *positions, *size)``.
        """

    @abstractmethod
    def random(self, kind: str, shape: Shape, d: dtype, device: str) -> Any:
        """Random numbers from the seeded generator: ``kind`` is ``"uniform"`` (in [0, 1)) or
        ``"normal"``.
        """

    @abstractmethod
    def permutation(self, n: int, device: str) -> Any:
        """A random permutation of ``range(n)``."""

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Restarts the generator."""

    @abstractmethod
    def rng_state(self) -> Any:
        """What ``set_rng_state`` needs to have the generator draw the same numbers again."""

    @abstractmethod
    def set_rng_state(self, state: Any) -> None:
        """Puts the generator back to where it was."""


BACKENDS: dict[type, Backend] = {}
#: whose a raw dtype is, and what the engine calls it
OF_DTYPE: dict[object, Backend] = {}
ENGINE_DTYPES: dict[object, dtype] = {}
#: raw dtypes of all backends: those that may carry gradients, the complex ones among them, and
#: those that NumPy and torch combine with Python numbers as the engine does
DIFFERENTIABLE: set[object] = set()
COMPLEX: set[object] = set()
NATIVE_FLOATING: set[object] = set()


def register(backend: Backend, dtypes: Iterable[dtype]) -> None:
    """Makes a backend known, with the dtypes that its library has of its own."""
    BACKENDS[backend.array_type] = backend
    for d in dtypes:
        raw = backend.raw_dtype(d)
        OF_DTYPE[raw], ENGINE_DTYPES[raw] = backend, d
        if d.differentiable:
            DIFFERENTIABLE.add(raw)
            (COMPLEX if d.is_complex else NATIVE_FLOATING).add(raw)


def of_array(x: Any) -> Backend:
    """The backend of a raw array, or of a NumPy scalar that an operation decayed to."""
    found = BACKENDS.get(type(x))
    if found is None:
        found = next(
            b for t, b in BACKENDS.items() if isinstance(x, b.scalar_types) or t is type(x)
        )
    return found


def rng_states() -> dict[Backend, Any]:
    """The states of all random generators, for :func:`set_rng_states`."""
    return {backend: backend.rng_state() for backend in BACKENDS.values() if not backend.batched}


def set_rng_states(states: Mapping[Backend, Any]) -> None:
    """Has random generators draw the same numbers again."""
    for backend, state in states.items():
        backend.set_rng_state(state)
