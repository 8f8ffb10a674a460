"""The tensor: a raw array, its storage's version counter, and its place in the graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any
from weakref import ref

from reference_engine.backends.base import ENGINE_DTYPES, Array
from reference_engine.backends.device import device, device_of
from reference_engine.backends.dtypes import dtype, unsupported
from reference_engine.graph import NO_EDGE, AccumulateGrad, Edge, Node
from reference_engine.hooks import RemovableHandle
from reference_engine.modes import MODES, refuse_in_transform
from reference_engine.rare import NOTHING, Rare
from reference_engine.storage import Detached, InferenceStorage, Storage, new_storage

_new = object.__new__


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple that knows its number of elements."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return prod(self)

    def __repr__(self) -> str:
        return f"Size({list(self)})"


class Tensor:
    """An array that remembers how it was computed.

    ``_tracked`` False means that no gradient is needed; True that one is, or for a view that one
    may be. ``_grad_fn`` and ``_nr`` are the edge of a non-leaf that is not a view; leaves and views
    keep theirs in ``_rare`` (see :meth:`_edge`). ``__dict__`` holds a user's own attributes.
    """

    __slots__ = (
        "__dict__", "__weakref__", "_grad_fn", "_nr", "_rare", "_raw", "_storage", "_tracked",
    )  # fmt: skip

    _raw: Any
    _storage: Storage
    _grad_fn: Node | None
    _nr: int
    _tracked: bool
    _rare: Rare

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        """``Tensor(data)`` makes a float tensor of ``data``, ``Tensor(2, 3)`` one of that shape."""
        from reference_engine.ops.creation import legacy_tensor

        return legacy_tensor(*args, **kwargs)

    # place in the graph ---------------------------------------------------------------------------
    def _edge(self) -> Edge:
        """The node and output number that computed this tensor; its accumulator for a leaf."""
        if not self._tracked:
            return NO_EDGE
        if self._grad_fn is not None:
            return self._grad_fn, self._nr
        view = self._rare.view
        if view is not None:
            if view.grad_fn is not None and view.version == self._storage.version:
                return view.grad_fn, view.nr  # up to date, as nearly always
            edge = NO_EDGE
            if view.grad_fn is not None or view.base._tracked:
                from reference_engine.views import view_edge

                edge = view_edge(self, view)
            if edge[0] is not None or not view.requires_grad:
                return edge
        rare = self._extras()
        found = rare.accumulator and rare.accumulator()
        if found is None:
            found = AccumulateGrad(self)
            rare.accumulator = ref(found)
        return found, 0

    def _noted(self) -> Edge:
        """The edge of a non-leaf as it was last made: a view's may be out of date."""
        view = self._rare.view
        return (self._grad_fn, self._nr) if view is None else (view.grad_fn, view.nr)

    def _extras(self) -> Rare:
        if self._rare is NOTHING:
            self._rare = Rare()
        return self._rare

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this tensor; None for a leaf."""
        if self._grad_fn is not None or self._rare.view is None:
            return self._grad_fn
        node = self._edge()[0]
        return None if isinstance(node, AccumulateGrad) else node

    @property
    def output_nr(self) -> int:
        """Which output of ``grad_fn`` this tensor is."""
        return 0 if self.grad_fn is None else self._edge()[1]

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation computed it."""
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients with respect to this tensor, or through it, are wanted."""
        if not self._tracked:
            return False
        view = self._rare.view
        if view is None or view.requires_grad or view.grad_fn is not None:
            return True
        # as in PyTorch, also when the view was made in no_grad and gets no gradient itself
        return view.base.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Starts or stops recording on a leaf; returns it.

        RuntimeError for a non-leaf, an integer or inference tensor, and in func transforms.
        """
        refuse_in_transform("requires_grad_")
        if requires_grad and self._tracked and self._noted()[0] is not None:
            return self
        if not self.is_leaf:
            raise RuntimeError(
                "requires_grad can be switched off on leaves only, and this tensor was computed by "
                f"{self.grad_fn}; use detach()"
            )
        if requires_grad and not self.dtype.differentiable:
            raise RuntimeError(
                f"only floating and complex tensors can require grad, got dtype {self.dtype}"
            )
        if requires_grad and self.is_inference() and not MODES.inference:
            raise RuntimeError(
                "an inference tensor cannot be made to require grad outside inference_mode; "
                "use its clone()"
            )
        view = self._rare.view
        if view is not None:
            view.requires_grad = requires_grad
        self._tracked = requires_grad or view is not None
        return self

    # gradient -------------------------------------------------------------------------------------
    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient of a leaf, or of a non-leaf asked to ``retain_grad``."""
        found = self._rare.grad
        if found is None and self._tracked and self._noted()[0] and not self.retains_grad:
            warnings.warn(
                "the .grad of a non-leaf tensor is not filled by backward; call retain_grad() on "
                "it first, or read the leaf's",
                UserWarning,
                stacklevel=2,
            )
        return found

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
            if value is self:
                raise RuntimeError("a tensor cannot be its own grad; assign a clone()")
            kind = self.grad_dtype if self.is_leaf else self.dtype
            for what, mine in (("dtype", kind), ("device", self.device), ("shape", self.shape)):
                theirs = getattr(value, what)
                if mine is not None and mine != theirs:
                    raise RuntimeError(
                        f"grad has {what} {theirs}, but its tensor needs {what} {mine}"
                    )
        self._extras().grad = value

    @grad.deleter
    def grad(self) -> None:
        self._extras().grad = None

    @property
    def grad_dtype(self) -> dtype | None:
        """The dtype that a leaf's ``.grad`` must have, its own unless set; None for any.

        RuntimeError for a non-leaf, and when it is set to another than a ``.grad`` has already.
        """
        if not self.is_leaf:
            raise RuntimeError("grad_dtype is a property of leaves; this tensor was computed")
        found = self._rare.grad_dtype
        return self.dtype if found == "own" else found

    @grad_dtype.setter
    def grad_dtype(self, value: dtype | None) -> None:
        _, rare = self.grad_dtype, self._extras()  # the first raises for a non-leaf
        if not (value is None or isinstance(value, dtype)):
            raise RuntimeError(f"grad_dtype must be a dtype or None, got {value!r}")
        if rare.grad is not None and value is not None and rare.grad.dtype is not value:
            raise RuntimeError(
                f"grad_dtype cannot become {value} while .grad has {rare.grad.dtype}; set .grad to "
                "None first"
            )
        rare.grad_dtype = value
        accumulator = rare.accumulator and rare.accumulator()
        if accumulator is not None:
            accumulator.describe()

    def retain_grad(self) -> None:
        """Makes backward fill ``.grad`` of this non-leaf; RuntimeError if it requires no grad."""
        refuse_in_transform("retain_grad")
        if not self.requires_grad:
            raise RuntimeError(
                "retain_grad needs a tensor that requires grad, and this one does not"
            )
        node, nr = self._edge()
        if node is not None and not isinstance(node, AccumulateGrad):
            node.attached().retained[nr] = ref(self)

    @property
    def retains_grad(self) -> bool:
        """Whether ``retain_grad`` was called on this non-leaf."""
        node, nr = self._noted()
        held = {} if node is None or node.hooks is None else node.hooks.retained
        return nr in held and held[nr]() is self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls ``hook(grad)`` whenever the gradient with respect to this tensor is computed.

        What it returns, if anything, replaces the gradient. RuntimeError if no gradient is needed.
        """
        if not self.requires_grad:
            raise RuntimeError("a hook needs a tensor that requires grad, and this one does not")
        node, nr = self._edge()
        # no gradient reaches a view made in no_grad
        hooks = self._extras().hooks if node is None else node.output_hooks(nr)
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls ``hook(leaf)`` whenever backward has added to this leaf's ``.grad``.

        RuntimeError unless it is a leaf that requires grad.
        """
        if not self.requires_grad or not self.is_leaf:
            raise RuntimeError(
                "a post-accumulate hook needs a leaf that requires grad; on other tensors use "
                "register_hook()"
            )
        return RemovableHandle(self._extras().accumulated, hook)

    def _run_post_accumulate_hooks(self) -> None:
        for hook in list(self._rare.accumulated.values()):
            result = hook(self)
            if result is not None and result is not self:  # as in PyTorch
                raise (RuntimeError if isinstance(result, Tensor) else TypeError)(
                    f"a post-accumulate hook must return None, got {result!r}; it may assign .grad"
                )

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | Tensor | None = None,
    ) -> None:
        """Adds the gradients of this tensor to the leaves' ``.grad``; see ``autograd.backward``."""
        from reference_engine.backward import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    # leaving the graph ----------------------------------------------------------------------------
    def detach(self) -> Tensor:
        """A leaf over the same memory and version counter, outside the graph."""
        return from_raw(self._raw, self._storage)

    def detach_(self) -> Tensor:
        """Takes this tensor itself out of the graph; RuntimeError for a view."""
        if self._rare.view is not None:
            raise RuntimeError("a view cannot be detached in place; use detach()")
        node, nr = self._grad_fn, self._nr
        if node is not None:
            if not self.is_inference():
                self._storage.version = Detached(self._storage.version, self._raw, node, nr)
            if node.hooks is not None and node.hooks.output.get(nr):
                self._extras().hooks = node.hooks.output[nr]  # they stay, for when it is a leaf
        self._grad_fn, self._nr, self._tracked = None, 0, False
        if self._rare.tangents:
            self._rare.tangents = {}
        return self

    @property
    def data(self) -> Tensor:
        """The same memory with a version counter of its own: writes through it go unnoticed."""
        ordinary = MODES.inference and not self.is_inference()
        return from_raw(self._raw, new_storage() if ordinary else None)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, got {type(value).__name__}")
        if value.dtype.category != self.dtype.category:
            raise RuntimeError(
                f"data of dtype {value.dtype} on {value.device} cannot replace that of a tensor of "
                f"dtype {self.dtype} on {self.device}"
            )
        fits = value.shape == self.shape and value.dtype is self.dtype
        self._raw = value._raw
        if self._rare.accumulator is not None and not fits:
            self._rare.accumulator = None  # the leaf's node describes what it was

    @property
    def _version(self) -> int:
        return int(self._storage.version)

    @property
    def _base(self) -> Tensor | None:
        return None if self._rare.view is None else self._rare.view.base

    def _is_view(self) -> bool:
        return self._rare.view is not None

    def is_inference(self) -> bool:
        """Whether it was made in inference mode."""
        return isinstance(self._storage, InferenceStorage)

    # what it is -----------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """Its dimensions."""
        return Size(self._raw.shape)

    @property
    def dtype(self) -> dtype:
        """Its element type."""
        return ENGINE_DTYPES.get(self._raw.dtype) or unsupported(self._raw.dtype)

    @property
    def device(self) -> device:
        """Where its memory is."""
        return device_of(self._raw)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return int(self._raw.ndim)

    if TYPE_CHECKING:
        # methods and operators are made from the table of operations, see ops/methods.py

        def __getattr__(self, name: str) -> Callable[..., Any]: ...
        def _binary(self, other: object) -> Tensor: ...

        __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __matmul__ = __getitem__ = _binary

        def __neg__(self) -> Tensor: ...
        def __setitem__(self, index: object, value: object) -> None: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def __len__(self) -> int: ...


def from_raw(raw: Any, storage: Storage | None = None, cls: type[Tensor] = Tensor) -> Tensor:
    """A tensor outside the graph over a raw array; over new memory unless a storage is given."""
    made = _new(cls)
    made._raw = raw
    made._storage = MODES.storage() if storage is None else storage
    made._grad_fn = None
    made._nr = 0
    made._tracked = False
    made._rare = NOTHING
    return made


def from_graph(raw: Array, storage: Storage, node: Node | None, nr: int) -> Tensor:
    """A tensor over a saved raw array that is output ``nr`` of ``node``."""
    made = from_raw(raw, storage)
    made._grad_fn = node
    made._nr = nr
    made._tracked = node is not None
    return made


__all__ = ["Size", "Tensor", "from_graph", "from_raw"]
