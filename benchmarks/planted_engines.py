"""Engines with one planted bug each, which two to four steps together bring out.

`STEPS` says how many, leaves and observations left out.
"""

from __future__ import annotations

from typing import Any

from conformance.adapters.reference import ReferenceEngine
from conformance.catalogue import OPERATIONS

Tensor = Any
UNARY = {name for name, row in OPERATIONS.items() if row.family == "unary"}


class _Planted(ReferenceEngine):
    """Remembers, from one reset to the next, which step made which tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.name = f"planted-{type(self).__name__}"
        self.made: list[tuple[Tensor, str, tuple[Tensor, ...]]] = []
        self.leaves: list[Tensor] = []

    def reset(self) -> None:
        super().reset()
        self.made, self.leaves = [], []

    def origin(self, tensor: Tensor) -> tuple[str, tuple[Tensor, ...]]:
        """Return the operation that made a tensor, and its operands."""
        return next(((op, args) for made, op, args in self.made if made is tensor), ("", ()))

    def tensor(self, array: Any, requires_grad: bool = False) -> Tensor:
        made = super().tensor(array, requires_grad)
        self.leaves.append(made)
        return made

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        self.made.append((result, op, tensors))
        return result


class SineOfTanh(_Planted):
    """A sine of a hyperbolic tangent is off by a half."""

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        wrong = op == "sin" and self.origin(tensors[0])[0] == "tanh"
        result = super().apply(op, *tensors, **params)
        return super().apply("add", result, other=0.5) if wrong else result


class SecondBackwardReplaces(_Planted):
    """A second backward replaces gradients instead of adding to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ran = False

    def reset(self) -> None:
        super().reset()
        self.ran = False

    def backward(self, tensor: Tensor, *arguments: Any, **options: Any) -> None:
        if self.ran:
            for leaf in self.leaves:
                leaf.grad = None
        self.ran = True
        super().backward(tensor, *arguments, **options)


class WriteThroughViewUncounted(_Planted):
    """A write through a view is not counted, so that no stale value is noticed."""

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        view = target._base is not None
        super().apply_(op, self.data(target) if view else target, *tensors, **params)


class HookOnProductIgnored(_Planted):
    """What a hook on a product returns is not used."""

    def register_hook(self, tensor: Tensor, hook: Any) -> Any:
        if self.origin(tensor)[0] != "mul":
            return super().register_hook(tensor, hook)

        def deaf(gradient: Tensor) -> None:
            hook(gradient)

        return super().register_hook(tensor, deaf)


class DetachedViewCopies(_Planted):
    """Detaching a view copies it, so that writes into one do not show in the other."""

    def detach(self, tensor: Tensor) -> Tensor:
        view = tensor._base is not None
        return super().tensor(self.numpy(tensor)) if view else super().detach(tensor)


class WrongGradientOfChain(_Planted):
    """The gradient of an elementwise function of a sum of a product is off by one."""

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        if op not in UNARY or self.origin(tensors[0])[0] not in ("add", "sub"):
            return result
        (_, operands) = self.origin(tensors[0])
        if "mul" not in [self.origin(operand)[0] for operand in operands]:
            return result
        zero = super().apply("sub", tensors[0], self.detach(tensors[0]))
        return super().apply("add", result, zero)


STEPS: dict[type[ReferenceEngine], int] = {
    SineOfTanh: 2,
    SecondBackwardReplaces: 2,
    WriteThroughViewUncounted: 2,
    HookOnProductIgnored: 3,
    DetachedViewCopies: 3,
    WrongGradientOfChain: 4,
}
