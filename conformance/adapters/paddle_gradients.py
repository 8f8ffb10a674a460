"""How Paddle is asked for gradients, and on what of it another convention is documented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.adapters.base import Tensor
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import Unsupported

Row = Sequence[Any]
"""Tensors, some of which may be None."""


class PaddleGradients(TorchLikeEngine):
    """The part of the adapter that is about gradients."""

    _gradients: dict[int, Tensor]
    _spoilt = False

    def backward(  # type: ignore[override]  # there is neither create_graph nor inputs
        self, tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool = False
    ) -> None:
        """Call `tensor.backward`."""
        self._sound()
        if tensor.stop_gradient:
            self.departs("untracked_roots")
        if gradient is None and (tensor.size != 1 or tensor.is_complex()):
            self.departs("implicit_cotangent")
        tensor.backward(gradient, retain_graph)

    def backward_many(  # type: ignore[override]
        self, tensors: Sequence[Tensor], gradients: Sequence[Any], retain_graph: bool = False
    ) -> None:
        """Call `paddle.autograd.backward`."""
        self._sound()
        self._distinct(tensors)
        if any(tensor.stop_gradient for tensor in tensors):
            self.departs("untracked_roots")
        if any(g is None and t.size != 1 for t, g in zip(tensors, gradients, strict=True)):
            self.departs("implicit_cotangent")
        self.module.autograd.backward(list(tensors), list(gradients), retain_graph)

    def grad_of(
        self, outputs: Row, inputs: Row, grad_outputs: Row | None = None,
        retain_graph: bool | None = None, create_graph: bool = False, allow_unused: bool = False,
    ) -> Row:  # fmt: skip
        """Call `paddle.grad`."""
        self._distinct(outputs)
        self._distinct(inputs)
        if allow_unused and any(tensor.stop_gradient for tensor in (*outputs, *inputs)):
            self.departs("none_for_untracked")
        seeds = None if grad_outputs is None else list(grad_outputs)
        if seeds is None and any(output.size != 1 for output in outputs):
            self.departs("implicit_cotangent")
        for output, seed in zip(outputs, seeds or (), strict=False):
            self._spoilt |= seed is not None and seed.size > output.size
        self._sound()
        options = {"create_graph": create_graph, "allow_unused": allow_unused}
        grad: Any = self.module.grad
        try:
            return list(grad(list(outputs), list(inputs), seeds, retain_graph, **options))
        except RuntimeError as error:
            raise absent(error) from error

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Assign `tensor.grad`."""
        super().set_grad(tensor, gradient)
        if gradient is not None:
            fits = (gradient.shape, gradient.dtype) == (tensor.shape, tensor.dtype)
            self._spoilt |= not fits

    def _sound(self) -> None:
        """Refuse what would write outside of its memory and spoil the programs that follow."""
        if self._spoilt:
            raise Unsupported("paddle writes outside of its memory here (paddle-17, paddle-18)")

    def _distinct(self, tensors: Row) -> None:
        if len({id(tensor) for tensor in tensors}) < len(tensors):
            self.departs("unique_tensors")

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return `tensor.grad`."""
        found = tensor.grad
        self._gradients[id(found)] = found
        return found

    def requires_grad(self, tensor: Tensor) -> bool:
        """Return the opposite of `stop_gradient`."""
        if id(tensor) in self._gradients:
            self.departs("tracked_gradients")
        return not tensor.stop_gradient

    def set_requires_grad(self, tensor: Tensor, flag: bool) -> None:
        """Assign `stop_gradient`."""
        if not flag and not tensor.is_leaf:
            self.departs("stops_intermediates")
        tensor.stop_gradient = not flag

    def retain_grad(self, tensor: Tensor) -> None:
        """Call `tensor.retain_grads()`."""
        if tensor.stop_gradient:
            self.departs("retain_is_no_op")
        tensor.retain_grads()


def absent(error: RuntimeError) -> Exception:
    """Return `Unsupported` where the error names what an operation has not.

    That is a second derivative, or a kernel for a dtype.
    """
    said = str(error)
    lacking = "doesn't have any grad op" in said or "is not registered. Selected wrong" in said
    return Unsupported(said) if lacking else error
