"""What the checker asks of engines that are known by their adapter only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, FunctionalEngine, TapeEngine, Tensor
from conformance.adapters.torch_function import TorchLikeFunctions
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import UsageError
from conformance.observation import Array


class TapeFunctions:
    """Functions of a tape's tensors, through `backward` and `grad` or through `grad_of`."""

    arrangements: frozenset[str] = frozenset()
    pushes = undefines = False
    share = None
    double: object = None

    def __init__(self, engine: Engine) -> None:
        self.engine: Any = engine
        self.kinds = (type(engine.tensor(np.zeros(1, engine.dtypes[0]))), np.ndarray)

    def is_tensor(self, value: object) -> bool:
        """Tell whether `value` is a tensor of the engine, or an array that can become one."""
        return isinstance(value, self.kinds)

    def is_differentiable(self, tensor: Tensor) -> bool:
        """Tell whether the dtype is one of floats."""
        return self._array(tensor).dtype.kind in "fc"

    def is_double(self, tensor: Tensor) -> bool:
        """Tell whether the dtype is float64."""
        return bool(self._array(tensor).dtype == np.float64)

    def alike(self, one: Tensor, other: Tensor) -> bool:
        """Return false: dtypes and devices have to be looked at."""
        del one, other
        return False

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the shape."""
        return self._array(tensor).shape

    def dtype_name(self, tensor: Tensor) -> str:
        """Return the name of the dtype."""
        return str(self._array(tensor).dtype.name)

    def _array(self, tensor: Tensor) -> Array:
        is_array = isinstance(tensor, np.ndarray)
        return tensor if is_array else np.asarray(self.engine.numpy(tensor))

    def requires_grad(self, tensor: Tensor) -> bool:
        """Tell whether the engine tracks the tensor; false where it cannot say."""
        if isinstance(tensor, np.ndarray) or "requires_grad" not in self.engine.capabilities:
            return False
        return bool(self.engine.requires_grad(tensor))

    def tracked(self, tensor: Tensor) -> Tensor:
        """Return the tensor, or a leaf of its values where it is not tracked."""
        if self.requires_grad(tensor):
            return tensor
        return self.engine.tensor(np.array(self._array(tensor)), True)

    def leaf(self, array: Array, dtype: str, tracked: bool, arrangement: str = "plain") -> Tensor:
        """Make a leaf; an engine known by its adapter only has one layout of memory."""
        del arrangement
        return self.engine.tensor(np.array(array, dtype=dtype), tracked)

    def values(self, tensor: Tensor) -> Array:
        """Return the values in float64 or complex128."""
        array = np.asarray(self.engine.numpy(tensor))
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)

    def constant(self, tensor: Tensor, dtype: str | None) -> Tensor:
        """Return a tensor of the same values."""
        array = self._array(tensor)
        return self.engine.tensor(np.array(array, dtype=dtype or array.dtype))

    def pull(
        self, outputs: Sequence[Tensor], leaves: Sequence[Tensor],
        cotangents: Sequence[Tensor | None], create_graph: bool = False,
    ) -> Sequence[Tensor | None]:  # fmt: skip
        """Return the gradients of the leaves."""
        engine = self.engine
        pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if c is not None]
        roots, seeds = [o for o, _ in pairs], [c for _, c in pairs]
        capabilities = engine.capabilities
        if "grad_of" in capabilities:
            options: dict[str, bool] = {}
            if "grad_of.retain_graph" in capabilities:
                options["retain_graph"] = True
            if "grad_of.allow_unused" in capabilities:
                options["allow_unused"] = True
            if create_graph:
                options["create_graph"] = True
            found: Sequence[Tensor | None] = engine.grad_of(roots, leaves, seeds, **options)
            return found
        if create_graph:
            raise UsageError(
                f"order=2 needs grad_of with create_graph, which {engine.name} does not offer; use"
                " order=1"
            )
        before = [engine.grad(leaf) for leaf in leaves]
        held = [None if g is None else self.values(g).copy() for g in before]
        keep = {"retain_graph": True} if "backward.retain_graph" in capabilities else {}
        for root, seed in pairs:
            engine.backward(root, seed, **keep)
        gradients: list[Tensor | None] = []
        for leaf, earlier in zip(leaves, held, strict=True):
            after = engine.grad(leaf)
            if after is None or earlier is None or not engine.accumulates:
                gradients.append(after)
            else:
                gradients.append(engine.tensor(self.values(after) - earlier))
        return gradients

    def push(
        self, function: Callable[..., Sequence[Tensor]], tensors: Sequence[Tensor],
        tangents: Sequence[Tensor],
    ) -> list[Tensor | None]:  # fmt: skip
        """Return the derivatives along the tangents."""
        return list(self.engine.jvp(function, tensors, tangents)[1])

    def operations(self, tensors: Sequence[Tensor]) -> frozenset[str]:
        """Return the empty set: what a backward consists of is the engine's secret."""
        del tensors
        return frozenset()

    def is_final(self, tensors: Sequence[Tensor]) -> bool:
        """Return false: no engine but PyTorch marks what is differentiable once only."""
        del tensors
        return False

    def is_contiguous(self, tensor: Tensor) -> bool:
        """Return true: an engine known by its adapter only has one layout of memory."""
        del tensor
        return True

    def undefined(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return no tensors: only PyTorch has undefined gradients that can be made on purpose."""
        del tensors
        return []

    def random_state(self) -> object:
        """Return None: the engine's generator is unknown."""
        return None

    def same_state(self, state: object) -> bool:
        """Return true: nothing is known of the engine's generator."""
        del state
        return True

    def restore(self, state: object) -> None:
        """Do nothing."""

    def call_module(
        self, module: Callable[..., Any], parameters: dict[str, Tensor], arguments: Sequence[Any]
    ) -> object:
        """Refuse: what a module is, only engines with PyTorch's names agree on."""
        del parameters, arguments
        raise UsageError(
            f"{type(module).__name__} is a module; expected a function of tensors, because"
            f" {self.engine.name} has no modules that the checker knows"
        )


Bridge = TorchLikeFunctions | TapeFunctions
_torch_like = cache(TorchLikeFunctions)


def bridge_to(engine: Engine) -> Bridge:
    """Return the way to call functions on tensors of the engine."""
    if isinstance(engine, TorchLikeEngine):
        return _torch_like(engine)
    if not isinstance(engine, (TapeEngine, FunctionalEngine)):
        raise UsageError(
            f"{engine.name or type(engine).__name__} is neither a TapeEngine nor a"
            " FunctionalEngine; the gradient checker needs backward or vjp"
        )
    return TapeFunctions(engine)
