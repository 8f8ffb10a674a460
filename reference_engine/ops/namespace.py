"""The two namespaces that derivative rules are called with.

The same rule, ``lambda F, g, x: g * F.cos(x)``, computes numbers when ``F`` works on raw arrays,
and builds a graph of the derivative when ``F`` works on tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from reference_engine.backends.base import BACKENDS, Backend, Shape, of_array
from reference_engine.backends.memory_format import arranged_like
from reference_engine.graph import Node
from reference_engine.inplace import add_raw
from reference_engine.modes import MODES
from reference_engine.ops.call import function_of
from reference_engine.ops.opdef import ALIASES, INTERNAL, REGISTRY, OpDef
from reference_engine.tensor import Tensor, from_raw


def lookup(name: str) -> OpDef:
    """The row of a name as rules write it: ``sin``, ``conv2d``, ``linalg_inv``, or an alias.

    Raises AttributeError when there is no such row.
    """
    for candidate in (name, "nn.functional." + name, name.replace("_", ".", 1)):
        found = REGISTRY.get(ALIASES.get(candidate, candidate)) or INTERNAL.get(candidate)
        if found is not None:
            return found
    raise AttributeError(f"no operation is called {name!r}; see reference_engine.ops.table.TABLE")


class RawNamespace:
    """Operations on one backend's raw arrays. Parameters are passed by name."""

    creates_graph = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.array_type = backend.array_type
        self.batched = backend.batched
        self.clone = backend.copy

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = lookup(name)
        if op.kind == "composite":
            assert callable(op.forward)
            function: Callable[..., Any] = partial(op.forward, self)
        else:
            function = self.backend.kernel(op.forward)
            function = function if op.view else self.backend.wide(function)
        setattr(self, name, function)
        return function

    def zeros(self, shape: Shape, dtype: Any, like: Sequence[Any]) -> Any:
        """A zero array of a raw dtype on the device of the first defined cotangent of ``like``."""
        device = next(g.device for g in like if g is not None)
        return self.backend.zeros(shape, dtype=dtype, device=device)

    def add(self, a: Any, b: Any) -> Any:
        """The sum of two cotangents."""
        total = a + b
        return total if type(total) is self.array_type else self.backend.wrap(total)

    def fit(self, g: Any, shape: Shape, dtype: Any, node: Node) -> Any:
        """A cotangent as its edge wants it: broadcast dimensions summed, dtype cast."""
        backend = self.backend
        g = backend.wrap(g)
        if g.shape != shape:
            check_expandable(shape, tuple(g.shape), node)
            g = backend.sum_to_size(g, shape)
        return (
            g if dtype is None or g.dtype == dtype else backend.cast(g, backend.engine_dtype(dtype))
        )

    def accumulate(self, leaf: Tensor, g: Any) -> None:
        """Adds a raw cotangent to ``leaf.grad``, in place when there already is one."""
        _accumulate(leaf, g)

    def retain(self, tensor: Tensor, g: Any) -> None:
        """Fills ``.grad`` of a non-leaf."""
        rare = tensor._extras()
        raw = self.backend.copy(g) if rare.grad is None else rare.grad._raw + g
        rare.grad = from_raw(self.backend.wrap(raw))

    def write(self, part: Any, g: Any, node: Node) -> None:
        """Writes a cotangent into part of another, zeros for an undefined one."""
        fitted = 0 if g is None else self.fit(g, part.shape, part.dtype, node)
        self.backend.assign(part, fitted)

    def to_tensor(self, g: Any) -> Tensor:
        """A cotangent as hooks see it."""
        return from_raw(of_array(g).wrap(g))

    def from_tensor(self, tensor: Tensor) -> Any:
        """A cotangent that a hook returned."""
        return tensor._raw


class TensorNamespace:
    """Operations on tensors: what a rule computes becomes part of a graph."""

    creates_graph = True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = function_of(lookup(name))
        setattr(self, name, function)
        return function

    def zeros(self, shape: Shape, dtype: Any, like: Sequence[Any]) -> Tensor:
        """A zero tensor of a raw dtype on the device of the first defined cotangent of ``like``."""
        raw = next(g._raw for g in like if g is not None)
        return from_raw(of_array(raw).zeros(shape, dtype=dtype, device=raw.device))

    def fit(self, g: Tensor, shape: Shape, dtype: Any, node: Node) -> Tensor:
        """A cotangent as its edge wants it: broadcast dimensions summed, dtype cast."""
        if g.shape != shape:
            check_expandable(shape, g.shape, node)
            g = self.sum_to_size(g, size=tuple(shape))
        wanted = g.dtype if dtype is None else of_array(g._raw).engine_dtype(dtype)
        return g if g.dtype is wanted else self._to_copy(g, dtype=wanted)

    def accumulate(self, leaf: Tensor, g: Tensor) -> None:
        """Adds a cotangent to ``leaf.grad`` out of place, so that the sum is part of the graph."""
        if not MODES.grad:  # a run in a level of forward mode: .grad gets no tangent, as in PyTorch
            _accumulate(leaf, g._raw)
            return
        rare = leaf._extras()
        rare.grad = self.clone(g) if rare.grad is None else self.add(rare.grad, g)

    def retain(self, tensor: Tensor, g: Tensor) -> None:
        """Fills ``.grad`` of a non-leaf."""
        self.accumulate(tensor, g)

    def write(self, part: Tensor, g: Tensor | None, node: Node) -> None:  # noqa: ARG002
        """Writes a cotangent into part of another, zeros for an undefined one."""
        part.zero_() if g is None else part.copy_(g)

    def to_tensor(self, g: Tensor) -> Tensor:
        """A cotangent as hooks see it."""
        return g

    def from_tensor(self, tensor: Tensor) -> Tensor:
        """A cotangent that a hook returned."""
        return tensor


TENSORS = TensorNamespace()


def check_expandable(shape: Shape, grown: Shape, node: Node) -> None:
    """RuntimeError unless a cotangent of shape ``grown`` is a broadcast of ``shape``."""
    tail = grown[len(grown) - len(shape) :]
    if len(grown) < len(shape) or any(m not in (1, n) for m, n in zip(shape, tail, strict=True)):
        raise RuntimeError(
            f"{node.name()} returned a gradient of shape {list(grown)} for an input of shape "
            f"{list(shape)}"
        )


def _accumulate(leaf: Tensor, g: Any) -> None:
    rare = leaf._extras()
    if rare.grad is None:
        # what arrives may be shared with other leaves, or with the caller's gradient=
        backend, raw = of_array(g), leaf._raw
        plain = g.ndim < 2 or g.shape != raw.shape
        rare.grad = from_raw(backend.copy(g) if plain else arranged_like(backend, g, raw))
    else:
        add_raw(rare.grad, g)


_raw_namespaces: dict[type, RawNamespace] = {}


def raw_namespace(array_type: type) -> RawNamespace:
    """The namespace for raw arrays of a type."""
    found = _raw_namespaces.get(array_type)
    if found is None:
        found = _raw_namespaces[array_type] = RawNamespace(BACKENDS[array_type])
    return found
