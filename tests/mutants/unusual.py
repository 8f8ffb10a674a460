"""Right engines that do things in another way than PyTorch: no clause may blame them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from conformance import TapeEngine
from conformance.adapters.torch_engine import TorchEngine
from tests.mutants.accumulation import Counting
from tests.mutants.asking import Asking
from tests.mutants.mutant import OverTorch


class Unwatched(OverTorch):
    """Has no word on lifetimes: what these engines stand on keeps every tensor."""

    def lacks(self) -> Any:
        return (*super().lacks(), "watch")


class Unposted(Unwatched):
    """Has no hooks on accumulated gradients, since it accumulates by itself."""

    def lacks(self) -> Any:
        return (*super().lacks(), "register_post_accumulate_hook")


class Copying(Unwatched):
    """Shares no memory: views and detached tensors are copies, and nothing is written in place."""

    def lacks(self) -> Any:
        return (*super().lacks(), "apply_", "detach_", "data", "version", "grad_fn")

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        return tuple(t.clone() for t in found) if isinstance(found, tuple) else found.clone()

    def detach(self, tensor: Any) -> Any:
        return tensor.detach().clone()

    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return None if found is None else found.clone()


class FreshGradients(Unposted, Counting):
    """Accumulates out of place, and makes a new object each time that a gradient is read."""

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        return old + new if old is not None and new is not None else super().joined(leaf, old, new)

    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return found if found is None or found.requires_grad else found.detach()


class Later:
    """A tensor that is computed when somebody looks at it; its shape and dtype are known before."""

    def __init__(self, make: Callable[[], Any], tracked: bool, outline: Any) -> None:
        self.make, self.tracked, self.outline = make, tracked, outline
        self.value: Any = None

    def now(self) -> Any:
        if self.value is None:
            self.value = self.make()
        return self.value


def ready(tensor: Any) -> Later:
    """Return a tensor that is there already."""
    return Later(lambda: tensor, tensor.requires_grad, tensor.detach().to("meta"))


class Deferring(TapeEngine):
    """Computes nothing before a value is read or backward is called."""

    name = "deferring"
    dtypes = ("float64", "float32", "complex128", "int64", "bool")

    def __init__(self) -> None:
        self.torch = TorchEngine()
        self.operations = self.torch.operations

    def reset(self) -> None:
        self.torch.reset()

    def tensor(self, array: Any, requires_grad: bool = False) -> Later:
        return ready(self.torch.tensor(np.array(array), requires_grad))

    def numpy(self, tensor: Later) -> Any:
        return self.torch.numpy(tensor.now())

    def apply(self, op: str, *tensors: Later, **params: Any) -> Any:
        enabled = torch.is_grad_enabled()
        tracked = enabled and any(t.tracked for t in tensors)
        outline = self.torch.apply(op, *(t.outline for t in tensors), **params)

        def make() -> Any:
            with torch.set_grad_enabled(enabled):
                return self.torch.apply(op, *(t.now() for t in tensors), **params)

        if not isinstance(outline, tuple):
            return Later(make, tracked and outline.is_floating_point(), outline)
        whole = Later(make, tracked, None)
        return tuple(
            Later(lambda place=place: whole.now()[place], tracked, part)
            for place, part in enumerate(outline)
        )

    def backward(
        self,
        tensor: Later,
        gradient: Later | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        seed = None if gradient is None else gradient.now()
        self.torch.backward(tensor.now(), seed, retain_graph, create_graph)

    def grad(self, tensor: Later) -> Later | None:
        found = self.torch.grad(tensor.now())
        if found is None:
            return None
        return ready(found.clone())

    def set_grad(self, tensor: Later, gradient: Later | None) -> None:
        self.torch.set_grad(tensor.now(), None if gradient is None else gradient.now().clone())

    def requires_grad(self, tensor: Later) -> bool:
        return tensor.tracked

    def detach(self, tensor: Later) -> Later:
        return Later(lambda: tensor.now().detach(), False, tensor.outline)

    def no_grad(self) -> Any:
        return self.torch.no_grad()

    def enable_grad(self) -> Any:
        return self.torch.enable_grad()

    def set_grad_enabled(self, flag: bool) -> Any:
        return self.torch.set_grad_enabled(flag)

    def is_grad_enabled(self) -> bool:
        return self.torch.is_grad_enabled()


class Keeping(Unwatched, Asking):
    """Frees no graph, and says so."""

    frees_graph = False

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **{**options, "retain_graph": True})

    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        options = {**options, "retain_graph": True}
        return super().answer(outputs, inputs, seeds, unused, options)


class Assigning(Unposted, Counting):
    """Assigns gradients where PyTorch adds them, and says so."""

    accumulates = False

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        return old if new is None else new


class Single(Unwatched):
    """Computes in single precision before all."""

    dtypes = ("float32", "float64", "complex64", "int64", "bool")


class Half(Unwatched):
    """Computes in half precision only."""

    dtypes = ("float16", "int64", "bool")


class Refused(Exception):
    """What `Speaking` raises, whatever PyTorch raises."""


class Speaking(Unwatched):
    """Refuses by an exception of its own, whose text names addresses and is different each time."""

    count = 0

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        try:
            super().walk(roots, gradients, **options)
        except RuntimeError as error:
            Speaking.count += 1
            raise Refused(f"{Speaking.count} at {id(roots):#x}: no") from error


UNUSUAL = (Copying, FreshGradients, Deferring, Keeping, Assigning, Single, Half, Speaking)
