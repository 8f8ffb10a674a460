"""PaddlePaddle: an eager tape whose API is close to PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from conformance.adapters.base import Engine, Tensor
from conformance.adapters.paddle_table import CONVENTIONS, LACKS, Row, paddle_table, without_rule
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import Unsupported
from conformance.observation import Array


class PaddleEngine(TorchLikeEngine):
    """PaddlePaddle on the CPU. `stop_gradient` is the opposite of requires_grad."""

    dtypes = ("float64", "float32", "complex128", "complex64", "int64", "int32", "bool")
    conventions = CONVENTIONS
    threads = False  # its documentation does not say that there may be several

    def __init__(self) -> None:
        paddle: Any = import_module("paddle")
        paddle.device.set_device("cpu")
        super().__init__(paddle, name="paddle", dtypes=self.dtypes)
        self.prelude = ""  # scripts call the adapter, not PyTorch's names
        self._gradients: dict[int, Tensor] = {}
        self.table = paddle_table(paddle)
        self.operations = frozenset(self.table) | {"zero", "copy"}

    def lacks(self) -> Sequence[str]:
        """Return what PyTorch has and Paddle has not, or spells in ways that are not told here."""
        return LACKS

    def reset(self) -> None:
        """Enable gradients, and forget those of the program before."""
        super().reset()
        self._gradients.clear()

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a tensor of a copy, in its dtype."""
        dtype, stop = array.dtype.name, not requires_grad
        return self.module.to_tensor(array.copy(), dtype, stop_gradient=stop)

    apply = Engine.apply

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        """Call the method `op_`, which takes no bare numbers."""
        if id(target) in self._gradients:
            self.departs("tracked_gradients")
        function = getattr(target, f"{op}_", None)
        if function is None:
            raise Unsupported(f"{self.name} has no {op} in place")
        alpha = {"alpha": params.pop("alpha")} if "alpha" in params else {}
        numbers = [self.module.to_tensor(number, target.dtype) for number in params.values()]
        function(*tensors, *numbers, **alpha)

    def backward(  # type: ignore[override]  # there is neither create_graph nor inputs
        self, tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool = False
    ) -> None:
        """Call `tensor.backward`."""
        if gradient is None and (tensor.size != 1 or tensor.is_complex()):
            self.departs("implicit_cotangent")
        tensor.backward(gradient, retain_graph)

    def backward_many(  # type: ignore[override]
        self, tensors: Sequence[Tensor], gradients: Sequence[Any], retain_graph: bool = False
    ) -> None:
        """Call `paddle.autograd.backward`."""
        self.module.autograd.backward(list(tensors), list(gradients), retain_graph)

    def grad_of(
        self, outputs: Row, inputs: Row, grad_outputs: Row | None = None,
        retain_graph: bool | None = None, create_graph: bool = False, allow_unused: bool = False,
    ) -> Row:  # fmt: skip
        """Call `paddle.grad`."""
        seeds = None if grad_outputs is None else list(grad_outputs)
        if seeds is None and any(output.size != 1 for output in outputs):
            self.departs("implicit_cotangent")
        options = {"create_graph": create_graph, "allow_unused": allow_unused}
        grad: Any = self.module.grad
        try:
            return list(grad(list(outputs), list(inputs), seeds, retain_graph, **options))
        except RuntimeError as error:
            raise without_rule(error) from error

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

    def grad_fn(self, tensor: Tensor) -> str | None:
        """Return the name of the node; a leaf has one too, which PyTorch calls AccumulateGrad."""
        return None if tensor.is_leaf else super().grad_fn(tensor)

    def retain_grad(self, tensor: Tensor) -> None:
        """Call `tensor.retain_grads()`."""
        tensor.retain_grads()

    def version_of(self, tensor: Tensor) -> int:
        """Return `tensor.inplace_version`."""
        return int(tensor.inplace_version)
