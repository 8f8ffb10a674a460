"""PaddlePaddle: an eager tape whose API is close to PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from conformance.adapters.base import Engine, Tensor
from conformance.adapters.paddle_conventions import CONVENTIONS, LACKS
from conformance.adapters.paddle_gradients import PaddleGradients, absent
from conformance.adapters.paddle_table import LOSSES, paddle_table
from conformance.errors import Unsupported
from conformance.observation import Array


class PaddleEngine(PaddleGradients):
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
        self._spoilt = False

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a tensor of a copy, in its dtype."""
        dtype, stop = array.dtype.name, not requires_grad
        return self.module.to_tensor(array.copy(), dtype, stop_gradient=stop)

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Call the function of the table."""
        if op in LOSSES and not all(tensor.stop_gradient for tensor in tensors[1:]):
            self.departs("constant_labels")
        try:
            return Engine.apply(self, op, *tensors, **params)
        except RuntimeError as error:
            raise absent(error) from error

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        """Call the method `op_`, which takes no bare numbers; a copy is `paddle.assign`."""
        if id(target) in self._gradients:
            self.departs("tracked_gradients")
        if op == "copy":
            if (tensors[0].shape, tensors[0].dtype) != (target.shape, target.dtype):
                self.departs("assign_replaces")
            self.module.assign(tensors[0], target)
            return
        function = getattr(target, f"{op}_", None)
        if function is None:
            raise Unsupported(f"{self.name} has no {op} in place")
        alpha = {"alpha": params.pop("alpha")} if "alpha" in params else {}
        numbers = [self._number(number, target) for number in params.values()]
        function(*tensors, *numbers, **alpha)

    def _number(self, number: Any, target: Tensor) -> Tensor:
        """Make a tensor of a number: of the target's dtype, where that can hold it."""
        fraction = isinstance(number, float) and not target.is_floating_point()
        dtype = None if fraction or isinstance(number, complex) else target.dtype
        return self.module.to_tensor(number, dtype)

    def grad_fn(self, tensor: Tensor) -> str | None:
        """Return the name of the node; a leaf has one too, which PyTorch calls AccumulateGrad."""
        return None if tensor.is_leaf else super().grad_fn(tensor)

    def version_of(self, tensor: Tensor) -> int:
        """Return `tensor.inplace_version`."""
        return int(tensor.inplace_version)
