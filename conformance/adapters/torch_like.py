"""Engines whose Python API is PyTorch's: one adapter for all of them, over the module alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import ModuleType, SimpleNamespace
from typing import Any

from conformance.adapters.base import Hook, TapeEngine, Tensor
from conformance.adapters.torch_custom import function_of
from conformance.custom import Rule
from conformance.errors import Unsupported
from conformance.observation import Array

TAKES_A_SEQUENCE = frozenset(
    "cat concat concatenate stack hstack vstack dstack column_stack row_stack".split()
)
"""Operations whose tensors PyTorch takes as one list."""

_NEEDS_OF_MODULE = (
    "no_grad enable_grad set_grad_enabled inference_mode is_grad_enabled"  # names of the module
).split()
_NEEDS_OF_TENSOR = {  # capability: attribute of the Tensor class
    "grad": "grad",
    "set_grad": "grad",
    "backward": "backward",
    "requires_grad": "requires_grad",
    "set_requires_grad": "requires_grad_",
    "is_leaf": "is_leaf",
    "grad_fn": "grad_fn",
    "detach": "detach",
    "detach_": "detach_",
    "data": "data",
    "retain_grad": "retain_grad",
    "register_hook": "register_hook",
    "register_post_accumulate_hook": "register_post_accumulate_grad_hook",
    "version": "_version",
}


_FAMILIES = ("nn.functional", "linalg", "special", "fft")
_EMPTY = SimpleNamespace()


def _operations(module: Any) -> frozenset[str]:
    """Return the public callables that may be operations, by the names that programs use.

    An operation that exists in place only counts by the same name without its underscore. Families
    are loaded where the module loads them on demand, so that the answer is always the same; other
    names are looked up in the modules' own dictionaries, which loads nothing.
    """
    spaces = [("", module), *(("", base) for base in module.Tensor.__mro__)]
    for family in _FAMILIES:
        space = module
        for part in family.split("."):
            space = getattr(space, part, _EMPTY)
        spaces.append((f"{family}.", space))
    return frozenset(
        prefix + name.removesuffix("_")
        for prefix, space in spaces
        for name, value in vars(space).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("_")
    )


class TorchLikeEngine(TapeEngine):
    """The adapter of a module with PyTorch's names.

    Operations are looked up by their path on `module` (`nn.functional.conv2d`), then as methods of
    `module.Tensor`; what the module lacks is no capability. device: passed to `module.tensor`,
    where given. dtypes: the NumPy dtypes to run in, the preferred one first. prelude: the line that
    makes the module available as `torch` in a reproduction script.
    """

    threads = True
    dtypes: tuple[str, ...] = ("float64", "float32", "complex128", "complex64", "int64", "bool")

    def __init__(
        self,
        module: ModuleType,
        *,
        name: str | None = None,
        version: str | None = None,
        device: str | None = None,
        dtypes: Sequence[str] | None = None,
    ) -> None:
        self.module: Any = module
        self.name = name or module.__name__
        self.version = version or str(getattr(module, "__version__", "unknown"))
        self.device = device
        if dtypes is not None:
            self.dtypes = tuple(dtypes)
        self.prelude = f"import {module.__name__} as torch"
        self._creation = {} if device is None else {"device": device}
        self._resolved: dict[str, Callable[..., Any]] = {}
        self._functions: dict[object, Any] = {}
        self.operations = _operations(module)

    def lacks(self) -> Sequence[str]:
        """Return the capabilities for which the module has no name."""
        module, tensor = self.module, self.module.Tensor
        missing = [name for name in _NEEDS_OF_MODULE if not hasattr(module, name)]
        missing += [name for name, attr in _NEEDS_OF_TENSOR.items() if not hasattr(tensor, attr)]
        autograd = getattr(module, "autograd", None)
        missing += [] if hasattr(autograd, "grad") else ["grad_of"]
        missing += [] if hasattr(autograd, "backward") else ["backward_many"]
        forward = getattr(autograd, "forward_ad", None)
        missing += [] if hasattr(getattr(module, "func", None), "jvp") else ["jvp"]
        missing += [] if hasattr(forward, "make_dual") else ["make_dual", "custom_function.jvp"]
        missing += [] if hasattr(autograd, "Function") else ["custom_function"]
        graph = getattr(autograd, "graph", None)
        missing += [] if hasattr(graph, "saved_tensors_hooks") else ["saved_tensors_hooks"]
        return missing

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a leaf of the dtype of `array`, from a copy of it."""
        return self.module.tensor(array, requires_grad=requires_grad, **self._creation)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values of `tensor`; may share its memory."""
        detached = tensor.detach()
        array: Array = (detached if self.device is None else detached.cpu()).numpy()
        return array

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Call the module's function, or else the tensor method, of that name."""
        function = self._resolved.get(op) or self._resolve(op)
        if params and "dtype" in params and isinstance(params["dtype"], str):
            params["dtype"] = getattr(self.module, params["dtype"])
        if not tensors:
            params = {**self._creation, **params}
        try:
            if op in TAKES_A_SEQUENCE:
                return function(list(tensors), **params)
            if op == "einsum":
                return function(params["equation"], *tensors)
            return function(*tensors, **params)
        except NotImplementedError as error:
            # what PyTorch says of an operation without a forward rule, or without a kernel
            if "forward AD" in str(error) or "not implemented for" in str(error):
                raise Unsupported(f"{self.name}: {op}: {str(error).splitlines()[0]}") from error
            raise

    def _resolve(self, op: str) -> Callable[..., Any]:
        found: Any = self.module
        for part in op.split("."):
            found = getattr(found, part, None)
        if not callable(found) or isinstance(found, type):
            found = getattr(self.module.Tensor, op, None)
        if not callable(found):
            raise Unsupported(f"{self.name} has no operation {op}")
        resolved: Callable[..., Any] = found
        self._resolved[op] = resolved
        return resolved

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        """Call the method `op_` of `target`, or the module's function of that name."""
        key = op + "_"
        function = self._resolved.get(key)
        if function is None:
            function = getattr(self.module.Tensor, key, None)
            self._resolved[key] = function if callable(function) else self._resolve(key)
            function = self._resolved[key]
        function(target, *tensors, **params)

    def backward(
        self,
        tensor: Tensor,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Call `tensor.backward`."""
        tensor.backward(gradient, retain_graph, create_graph, inputs)

    def backward_many(
        self,
        tensors: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Call `autograd.backward` on several roots."""
        self.module.autograd.backward(
            list(tensors),
            list(gradients),
            retain_graph=retain_graph,
            create_graph=create_graph,
            inputs=inputs,
        )

    def grad_of(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        grad_outputs: Sequence[Tensor | None] | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        allow_unused: bool = False,
    ) -> Sequence[Tensor | None]:
        """Call `autograd.grad`."""
        found: Sequence[Tensor | None] = self.module.autograd.grad(
            outputs,
            inputs,
            grad_outputs=grad_outputs,
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=allow_unused,
        )
        return found

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return `tensor.grad`."""
        return tensor.grad

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Assign `tensor.grad`."""
        tensor.grad = gradient

    def requires_grad(self, tensor: Tensor) -> bool:
        """Return `tensor.requires_grad`."""
        return bool(tensor.requires_grad)

    def set_requires_grad(self, tensor: Tensor, flag: bool) -> None:
        """Call `tensor.requires_grad_`."""
        tensor.requires_grad_(flag)

    def is_leaf(self, tensor: Tensor) -> bool:
        """Return `tensor.is_leaf`."""
        return bool(tensor.is_leaf)

    def grad_fn(self, tensor: Tensor) -> str | None:
        """Return the name of `tensor.grad_fn`."""
        node = tensor.grad_fn
        return None if node is None else str(node.name())

    def detach(self, tensor: Tensor) -> Tensor:
        """Return `tensor.detach()`."""
        return tensor.detach()

    def detach_(self, tensor: Tensor) -> None:
        """Call `tensor.detach_()`."""
        tensor.detach_()

    def data(self, tensor: Tensor) -> Tensor:
        """Return `tensor.data`."""
        return tensor.data

    def retain_grad(self, tensor: Tensor) -> None:
        """Call `tensor.retain_grad()`."""
        tensor.retain_grad()

    def register_hook(self, tensor: Tensor, hook: Hook) -> Any:
        """Return the handle of `tensor.register_hook(hook)`."""
        return tensor.register_hook(hook)

    def register_post_accumulate_hook(self, leaf: Tensor, hook: Callable[[Tensor], None]) -> Any:
        """Return the handle of `leaf.register_post_accumulate_grad_hook(hook)`."""
        return leaf.register_post_accumulate_grad_hook(hook)

    def custom_function(
        self,
        rule: Rule,
        *tensors: Tensor,
        dirty: bool = False,
        non_differentiable: Sequence[int] = (),
        materialize: bool = True,
        once_differentiable: bool = False,
        jvp: bool = True,
        needs: bool = True,
        logs: bool = True,
    ) -> tuple[Tensor, ...]:
        """Call a subclass of `autograd.Function` that does what `rule` says."""
        del jvp, needs, logs  # to be named is to be offered; `rule` does the rest
        key = (dirty, tuple(non_differentiable), materialize, once_differentiable)
        made = self._functions.get(key)
        if made is None:
            marks = {"dirty": dirty, "constant": non_differentiable, "materialize": materialize}
            made = self._functions[key] = function_of(self, marks, once_differentiable)
        made.rule = rule
        found = made.apply(*tensors)
        return found if isinstance(found, tuple) else (found,)

    def saved_tensors_hooks(
        self, pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]
    ) -> AbstractContextManager[Any]:
        """Return `autograd.graph.saved_tensors_hooks(pack, unpack)`."""
        manager: AbstractContextManager[Any]
        manager = self.module.autograd.graph.saved_tensors_hooks(pack, unpack)
        return manager

    def forward_ad(self) -> AbstractContextManager[Any]:
        """Return `autograd.forward_ad.dual_level()`."""
        manager: AbstractContextManager[Any] = self.module.autograd.forward_ad.dual_level()
        return manager

    def make_dual(self, tensor: Tensor, tangent: Tensor) -> Tensor:
        """Return `autograd.forward_ad.make_dual(tensor, tangent)`."""
        return self.module.autograd.forward_ad.make_dual(tensor, tangent)

    def tangent_of(self, tensor: Tensor) -> Tensor | None:
        """Return the tangent of `autograd.forward_ad.unpack_dual(tensor)`."""
        return self.module.autograd.forward_ad.unpack_dual(tensor).tangent

    def version_of(self, tensor: Tensor) -> int:
        """Return `tensor._version`."""
        return int(tensor._version)

    def no_grad(self) -> AbstractContextManager[Any]:
        """Return `module.no_grad()`."""
        manager: AbstractContextManager[Any] = self.module.no_grad()
        return manager

    def enable_grad(self) -> AbstractContextManager[Any]:
        """Return `module.enable_grad()`."""
        manager: AbstractContextManager[Any] = self.module.enable_grad()
        return manager

    def set_grad_enabled(self, flag: bool) -> AbstractContextManager[Any]:
        """Return `module.set_grad_enabled(flag)`."""
        manager: AbstractContextManager[Any] = self.module.set_grad_enabled(flag)
        return manager

    def inference_mode(self, flag: bool = True) -> AbstractContextManager[Any]:
        """Return `module.inference_mode(flag)`."""
        manager: AbstractContextManager[Any] = self.module.inference_mode(flag)
        return manager

    def is_grad_enabled(self) -> bool:
        """Return `module.is_grad_enabled()`."""
        return bool(self.module.is_grad_enabled())

    def jvp(
        self,
        fn: Callable[..., Sequence[Tensor]],
        primals: Sequence[Tensor],
        tangents: Sequence[Tensor],
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `module.func.jvp`: the results of `fn` and their derivatives along `tangents`."""
        found: tuple[Sequence[Tensor], Sequence[Tensor]] = self.module.func.jvp(
            fn, tuple(primals), tuple(tangents)
        )
        return found

    def reset(self) -> None:
        """Enable gradients."""
        enabled = getattr(self.module, "is_grad_enabled", None)
        if enabled is not None and enabled():
            return
        set_grad_enabled = getattr(self.module, "set_grad_enabled", None)
        if set_grad_enabled is not None:
            set_grad_enabled(True)
