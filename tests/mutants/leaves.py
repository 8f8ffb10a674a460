"""Wrong engines on leaf gradients: who gets one, and whether all of it arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.mutants.mutant import OverTorch, knows, mutant, patch, several


@patch(
    "reference_engine.ops.namespace:RawNamespace.add",
    "last-path-wins",
    "LEAF-2 LEAF-6 TRN-6",
    "A contribution that arrives at a node overwrites those before it: micrograd's first bug, right"
    " on every chain and wrong on every residual connection.",
)
def last_path_wins(original: Callable[..., Any], self: Any, a: Any, b: Any) -> Any:
    return b


@mutant(
    "operand-given-twice-counts-once",
    "LEAF-2 ACC-1 COT-5 RET-2",
    "Where one operation uses the same tensor twice its gradients are kept in a table by tensor, so"
    " that one of the two is lost.",
)
class GivenTwice(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        given = [t.detach() if knows(list(tensors[:i]), t) else t for i, t in enumerate(tensors)]
        return super().apply(op, *given, **params)


Fit = Callable[..., Any]


def unreduced(
    name: str, wrong: str, change: Callable[[Any, tuple[int, ...]], Any], caught_by: str = "LEAF-3"
) -> None:
    """Register an engine that brings a gradient back to the shape of a broadcast operand wrongly.

    change: maps the gradient and the due shape to a gradient, or to None where it changes nothing.
    """

    def fit(original: Fit, self: Any, g: Any, shape: Any, dtype: Any, node: Any) -> Any:
        found = change(g, tuple(shape)) if tuple(g.shape) != tuple(shape) else None
        return original(self, g, shape, dtype, node) if found is None else found

    patch("reference_engine.ops.namespace:RawNamespace.fit", name, caught_by, wrong)(fit)


def _first(g: Any, shape: tuple[int, ...]) -> Any:
    while g.ndim > len(shape):
        g = g[0]
    return g[tuple(slice(0, 1) if n == 1 else slice(None) for n in shape)]


unreduced(
    "broadcast-gradient-not-summed",
    "The gradient of a broadcast operand keeps the shape of the result, as in autograd engines"
    " written for scalars and moved to arrays.",
    lambda g, shape: g,
)
unreduced(
    "broadcast-gradient-of-first-row",
    "Of a broadcast operand's gradient the first row is taken instead of the sum of all rows.",
    lambda g, shape: None if g.size == 0 else _first(g, shape),
)
unreduced(
    "broadcast-gradient-averaged-on-kept-axes",
    "Axes of length one are averaged and missing axes summed: two code paths, one of them wrong.",
    lambda g, shape: None if g.ndim != len(shape) or g.size == 0 else _mean(g, shape),
)
unreduced(
    "broadcast-gradient-of-a-scalar",
    "An operand without axes gets the first element's gradient instead of the sum over all.",
    lambda g, shape: np.asarray(g).ravel()[0].reshape(()) if shape == () and g.size else None,
)
unreduced(
    "broadcast-gradient-over-nothing",
    "An operand that was broadcast over an axis of length zero gets NaN, the mean of nothing,"
    " instead of zeros.",
    lambda g, shape: np.full(shape, np.nan) if g.size == 0 else None,
)


def _mean(g: Any, shape: tuple[int, ...]) -> Any:
    axes = tuple(i for i, n in enumerate(shape) if n == 1)
    return np.mean(g, axis=axes, keepdims=True)


@mutant(
    "constants-are-tracked",
    "LEAF-4 LEAF-8 LEAF-12",
    "Every floating-point tensor is tracked whatever was asked, so that inputs and frozen"
    " parameters"
    " get gradients.",
)
class ConstantsTracked(OverTorch):
    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return super().tensor(array, requires_grad or array.dtype.kind in "fc")


@mutant(
    "constants-stop-their-neighbours",
    "LEAF-4 LEAF-8 LEAF-12",
    "A result is tracked only where all operands are: one frozen operand ends the flow.",
)
class AllOperands(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        tracked = all(t.requires_grad for t in tensors)
        with torch.set_grad_enabled(tracked and torch.is_grad_enabled()):
            return super().apply(op, *tensors, **params)


@mutant(
    "first-operand-decides",
    "LEAF-8",
    "Only the first operand is asked whether a result is tracked, as by a method that looks at"
    " self.",
)
class FirstOperand(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        tracked = any(t.requires_grad for t in tensors[:1])
        with torch.set_grad_enabled(tracked and torch.is_grad_enabled()):
            return super().apply(op, *tensors, **params)


@mutant(
    "intermediates-keep-gradients",
    "LEAF-5",
    "Every result keeps its gradient after backward, which multiplies the memory of training.",
)
class KeepsAll(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        for result in several(found):
            if result.requires_grad:
                result.retain_grad()
        return found


@mutant(
    "root-keeps-gradient",
    "LEAF-5",
    "The seed of backward is written to the root's own gradient and left there.",
)
class RootKeeps(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for root in roots:
            if root.requires_grad:
                root.retain_grad()
        super().walk(roots, gradients, **options)


@mutant(
    "untracked-tensor-retains",
    "LEAF-17",
    "retain_grad is accepted in silence on a tensor that will never get a gradient.",
)
class UntrackedRetains(OverTorch):
    def retain_grad(self, tensor: Any) -> None:
        if tensor.requires_grad:
            super().retain_grad(tensor)


@mutant(
    "zeros-for-unused",
    "LEAF-7 ACC-11 COT-12",
    "After backward every leaf without a gradient is given zeros, as engines do that allocate"
    " gradients up front.",
)
class ZerosForUnused(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        for leaf in self.leaves:
            if leaf.requires_grad and leaf.grad is None:
                leaf.grad = torch.zeros_like(leaf)


@mutant(
    "zeros-for-bystanders",
    "LEAF-7 COT-12",
    "The walk visits the whole tape: leaves of operations beside the root's history get zeros,"
    " those"
    " that no operation used get nothing.",
)
class ZerosForBystanders(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        for leaf in self.upstream([t for t in self.results if t.requires_grad]):
            if leaf.grad is None:
                leaf.grad = torch.zeros_like(leaf)


def dtype_kept(original: Fit, self: Any, g: Any, shape: Any, dtype: Any, node: Any) -> Any:
    return original(self, g, shape, g.dtype, node)


patch(
    "reference_engine.ops.namespace:RawNamespace.fit",
    "gradient-in-the-result's-dtype",
    "LEAF-16 COT-15",
    "A gradient is not cast to its operand's dtype where operands of two precisions meet.",
)(dtype_kept)


@mutant(
    "gradients-in-double",
    "LEAF-16",
    "Gradients are kept in float64 whatever their leaf's dtype is.",
)
class GradientsInDouble(OverTorch):
    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return None if found is None else found.double()
