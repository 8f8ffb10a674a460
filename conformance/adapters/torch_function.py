"""What the gradient checker asks of a module with PyTorch's names, PyTorch's own included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.adapters.base import Tensor
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.observation import Array

SENTINEL = 1.2345e6
"""What lies between the elements of a strided tensor: a wrong stride reads it and shows."""
WIDEST = {name: np.dtype(name) for name in ("float64", "complex128")}


class TorchLikeFunctions:
    """Tensors in, gradients out, for functions written against one module.

    kinds: the types of tensors. arrangements: how a tensor's memory may be laid out here, beside
    `plain`. share: makes a tensor of an array's memory, None where the module has no such thing.
    double: the dtype of double precision. undefines: whether there are undefined gradients.
    """

    def __init__(self, engine: TorchLikeEngine) -> None:
        self.engine, self.module = engine, engine.module
        self.kinds: tuple[type, ...] = (self.module.Tensor,)
        self.share: Callable[[Array], Tensor] | None = None
        self._run: Any = None
        if getattr(self.module, "_C", None) is not None and engine.device is None:
            self.share = self.module.from_numpy  # only PyTorch's shares NumPy's memory
            variable = getattr(self.module.autograd, "Variable", None)
            runner = getattr(variable, "_execution_engine", None)
            self._run = getattr(runner, "run_backward", None)
        self._floats = {
            getattr(self.module, name, None): name
            for name in "float64 float32 float16 bfloat16 complex128 complex64".split()
        }
        self._bfloat16 = getattr(self.module, "bfloat16", "absent")
        self.double = self.module.float64
        self._duals = getattr(getattr(self.module, "autograd", None), "forward_ad", None)
        self._near: tuple[Callable[..., Any], ...] | None = None
        self._dense = getattr(self.module, "strided", None)
        self._undefined = getattr(
            getattr(getattr(self.module, "_C", None), "_functions", None), "UndefinedGrad", None
        )
        self.undefines = self._undefined is not None
        self.arrangements = frozenset({"strided", "expanded"})

    def is_tensor(self, value: object) -> bool:
        """Tell whether `value` is a tensor of the module."""
        return isinstance(value, self.kinds)

    def is_double(self, tensor: Tensor) -> bool:
        """Tell whether the dtype is float64."""
        return tensor.dtype is self.double

    def is_differentiable(self, tensor: Tensor) -> bool:
        """Tell whether the tensor's dtype is one of floats, and its memory is dense."""
        return tensor.dtype in self._floats and self._dense in (None, getattr(tensor, "layout", 0))

    def alike(self, one: Tensor, other: Tensor) -> bool:
        """Tell whether dtype and device of two tensors are certainly the same."""
        known = self.share is not None and one.dtype is other.dtype
        return known and one.is_cpu and bool(other.is_cpu)

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the shape."""
        return tuple(tensor.shape)

    def dtype_name(self, tensor: Tensor) -> str:
        """Return NumPy's name of the tensor's dtype."""
        return self._floats.get(tensor.dtype) or str(tensor.dtype).split(".")[-1]

    def requires_grad(self, tensor: Tensor) -> bool:
        """Return `tensor.requires_grad`."""
        return bool(tensor.requires_grad)

    def tracked(self, tensor: Tensor) -> Tensor:
        """Return the tensor, or a leaf of its values where it does not require grad."""
        return tensor if tensor.requires_grad else tensor.detach().requires_grad_()

    def leaf(self, array: Array, dtype: str, tracked: bool, arrangement: str = "plain") -> Tensor:
        """Make a tensor of these values, in `dtype`, laid out as asked.

        Plain tensors may share the memory of `array`. `strided`: every other element of memory, the
        dimensions in reverse. `expanded`: one element seen at every position.
        """
        if arrangement == "plain":
            tensor = self.share(array) if self.share is not None else self.engine.tensor(array)
            if tensor.dtype is not self.double or dtype != "float64":
                tensor = self._tensor(array, dtype)
        elif arrangement == "strided":
            buffer = np.empty((*array.shape[::-1], 2), array.dtype)
            buffer.fill(SENTINEL)
            view = buffer[..., 0].transpose()
            view[...] = array
            if self.share is not None and array.dtype is WIDEST.get(dtype):
                tensor = self.share(view)
            else:
                memory = self._tensor(buffer, dtype)[..., 0]
                tensor = memory.permute(*range(array.ndim - 1, -1, -1)) if array.ndim else memory
        elif arrangement == "expanded" and array.size:
            if self.share is not None and array.dtype is WIDEST.get(dtype):
                still = (0,) * array.ndim
                tensor = self.share(np.ndarray(array.shape, array.dtype, array, strides=still))
            else:
                tensor = self._tensor(array.reshape(-1)[:1].reshape(()), dtype).expand(array.shape)
        else:
            tensor = self._tensor(array, dtype)
        return tensor.requires_grad_() if tracked else tensor

    def _tensor(self, array: Array, dtype: str) -> Tensor:
        tensor = self.share(array) if self.share is not None else self.engine.tensor(array)
        if tensor.dtype is self.double and dtype == "float64":
            return tensor
        wanted = getattr(self.module, dtype)
        return tensor if tensor.dtype == wanted else tensor.to(wanted)

    def values(self, tensor: Tensor) -> Array:
        """Return the values in float64 or complex128; may share the tensor's memory."""
        if tensor.dtype is self.double and self.share is not None:
            try:
                shared: Array = tensor.numpy() if not tensor.requires_grad else tensor.data.numpy()
                return shared
            except RuntimeError:  # lazily negated, or a zero that has no memory
                pass
        if tensor.dtype is self._bfloat16:
            tensor = tensor.detach().to(self.module.float32)
        array = self.engine.numpy(tensor)
        wide = np.complex128 if array.dtype.kind == "c" else np.float64
        return array if array.dtype == wide else array.astype(wide)

    def constant(self, tensor: Tensor, dtype: str | None) -> Tensor:
        """Return `tensor` cut off from any graph, in `dtype` where one is given."""
        cut = tensor.detach()
        return cut if dtype is None else cut.to(getattr(self.module, dtype))

    def pull(
        self,
        outputs: Sequence[Tensor],
        leaves: Sequence[Tensor],
        cotangents: Sequence[Tensor | None],
        create_graph: bool = False,
    ) -> Sequence[Tensor | None]:
        """Return the gradients of the leaves; the graph is kept."""
        roots, seeds, near = [], [], self._run is not None and not create_graph
        for output, cotangent in zip(outputs, cotangents, strict=True):
            if cotangent is not None and output.requires_grad:
                roots.append(output)
                seeds.append(cotangent)
                near = near and output.is_cpu
        if not roots:
            return [None] * len(leaves)
        if near:  # what grad calls, its own checks left out, and what devices' threads need
            found: Sequence[Tensor | None] = self._run(
                tuple(roots), tuple(seeds), True, False, tuple(leaves), True, accumulate_grad=False
            )
            return found
        return self.engine.grad_of(
            roots, leaves, seeds,
            retain_graph=True, create_graph=create_graph, allow_unused=True,
        )  # fmt: skip

    def operations(self, tensors: Sequence[Tensor]) -> frozenset[str]:
        """Return the names of the nodes behind tensors, where the module shows them."""
        names: set[str] = set()
        seen: set[object] = set()
        waiting = [getattr(tensor, "grad_fn", None) for tensor in tensors]
        while waiting:
            node = waiting.pop()
            name = getattr(node, "name", None)
            if callable(name) and node not in seen:
                seen.add(node)
                names.add(name())
                waiting.extend(parent for parent, _ in getattr(node, "next_functions", ()))
        return frozenset(names)

    def is_final(self, tensors: Sequence[Tensor]) -> bool:
        """Tell whether a function behind tensors is marked as differentiable once only."""
        marks = {"torch::autograd::Error", "torch::autograd::NotImplemented"}
        return not marks.isdisjoint(self.operations(tensors))

    def is_contiguous(self, tensor: Tensor) -> bool:
        """Tell whether the elements lie row by row in memory; true where that is unknown."""
        known = getattr(tensor, "is_contiguous", None)
        return known is None or bool(known())

    @property
    def pushes(self) -> bool:
        """Whether the module has forward mode."""
        return hasattr(self._duals, "dual_level")

    def push(
        self, function: Callable[..., Sequence[Tensor]], tensors: Sequence[Tensor],
        tangents: Sequence[Tensor],
    ) -> list[Tensor | None]:  # fmt: skip
        """Return the derivative of each output of `function` along the tangents, None for zero."""
        duals: Any = self._duals
        near = self._near
        if near is None:  # the first call of make_dual registers what some operations need
            with duals.dual_level():
                made = [duals.make_dual(x, t) for x, t in zip(tensors, tangents, strict=True)]
                self._near = self._behind()
                return [duals.unpack_dual(output).tangent for output in function(*made)]
        enter, make, unpack, leave = near
        level = duals._current_level = enter()
        try:
            pairs = zip(tensors, tangents, strict=True)
            made = [make(x, tangent, level=level) for x, tangent in pairs]
            return [unpack(output, level=level)[1] for output in function(*made)]
        finally:
            leave(level)
            duals._current_level = level - 1

    def _behind(self) -> tuple[Callable[..., Any], ...] | None:
        """Return what dual_level, make_dual and unpack_dual call, their own checks left out."""
        inner, made = getattr(self.module, "_C", None), getattr(self.module, "_VF", None)
        found: tuple[Any, ...] = (
            getattr(inner, "_enter_dual_level", None), getattr(made, "_make_dual", None),
            getattr(made, "_unpack_dual", None), getattr(inner, "_exit_dual_level", None),
        )  # fmt: skip
        return found if all(found) and hasattr(self._duals, "_current_level") else None

    def undefined(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors, no gradient reaching what is behind them; none if impossible."""
        return list(map(self._undefined(), tensors)) if self._undefined is not None else []

    def random_state(self) -> object:
        """Return the state of the module's generator, or None where it has no such thing."""
        get = getattr(self.module, "get_rng_state", None)
        return None if get is None else get()

    def same_state(self, state: Any) -> bool:
        """Tell whether the generator is still in that state."""
        if state is None:
            return True
        return bool(self.module.equal(state, self.module.get_rng_state()))

    def restore(self, state: object) -> None:
        """Put the generator into a state that `random_state` returned."""
        if state is not None:
            self.module.set_rng_state(state)

    def call_module(
        self, module: Callable[..., Any], parameters: dict[str, Tensor], arguments: Sequence[Any]
    ) -> object:
        """Call a module on other parameters than its own."""
        functional_call = getattr(getattr(self.module, "func", None), "functional_call", None)
        if functional_call is not None:
            return functional_call(module, parameters, tuple(arguments))
        for name, tensor in parameters.items():
            owner: Any = module
            *path, last = name.split(".")
            for part in path:
                owner = getattr(owner, part)
            held = getattr(owner, "_parameters", None)
            if isinstance(held, dict):
                held[last] = tensor
            else:
                setattr(owner, last, tensor)
        return module(*arguments)
