"""Wrong engines in several threads."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant


def elsewhere() -> bool:
    """Tell whether this is another thread than the main one."""
    return threading.current_thread() is not threading.main_thread()


@mutant(
    "one-mode-for-all-threads",
    "THR-1 THR-2",
    "The grad mode is a variable of the process.",
)
class OneMode(OverTorch):
    enabled = True

    @contextmanager
    def set_grad_enabled(self, flag: bool) -> Any:
        before, self.enabled = self.enabled, flag
        try:
            with super().set_grad_enabled(flag):
                yield
        finally:
            self.enabled = before

    def no_grad(self) -> Any:
        return self.set_grad_enabled(False)

    def enable_grad(self) -> Any:
        return self.set_grad_enabled(True)

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        with torch.set_grad_enabled(self.enabled):
            return super().apply(op, *tensors, **params)


class Walking(OverTorch):
    """Knows in which thread each result was made."""

    def __init__(self) -> None:
        super().__init__()
        self.makers: list[tuple[Any, int]] = []

    def reset(self) -> None:
        super().reset()
        self.makers = []

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        self.makers.append((found, threading.get_ident()))
        return found

    def foreign(self, roots: list[Any]) -> bool:
        """Tell whether a root was made in another thread than this one."""
        here = threading.get_ident()
        return any(made is root and ident != here for made, ident in self.makers for root in roots)


@mutant(
    "a-tape-for-each-thread",
    "THR-3",
    "Backward finds nothing to do for a root that another thread recorded.",
)
class TapePerThread(Walking):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if not self.foreign(roots):
            super().walk(roots, gradients, **options)


@mutant(
    "gradients-start-anew-in-threads",
    "THR-4",
    "Backward in a thread of its own overwrites the gradients that are there.",
)
class StartAnew(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for leaf in self.upstream(roots) if elsewhere() else ():
            leaf.grad = None
        super().walk(roots, gradients, **options)


@mutant(
    "graphs-not-freed-by-threads",
    "THR-5",
    "Backward in a thread of its own frees nothing.",
)
class NotFreed(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if elsewhere():
            options["retain_graph"] = True
        super().walk(roots, gradients, **options)


@mutant(
    "writes-of-threads-not-counted",
    "THR-6",
    "Writes in place are counted in the thread that recorded, and in no other.",
)
class NotCounted(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().apply_(op, target.data if elsewhere() else target, *tensors, **params)


@mutant(
    "hooks-of-the-main-thread-only",
    "THR-7",
    "Hooks are not called where backward runs in another thread.",
)
class HooksOfMain(OverTorch):
    @wraps(OverTorch.backward)
    def backward(self, *given: Any, **options: Any) -> None:
        self.away = elsewhere()
        super().backward(*given, **options)

    def register_hook(self, tensor: Any, hook: Any) -> Any:
        return super().register_hook(tensor, lambda g: None if self.away else hook(g))


@mutant(
    "saved-tensor-hooks-for-all-threads",
    "THR-8",
    "Hooks for saved tensors are a list of the process.",
)
class HooksForAll(OverTorch):
    pair: Any = None

    @contextmanager
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        self.pair = pack, unpack
        with super().saved_tensors_hooks(pack, unpack):
            yield
        self.pair = None

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if self.pair is None:
            return super().apply(op, *tensors, **params)
        with super().saved_tensors_hooks(*self.pair):
            return super().apply(op, *tensors, **params)


@mutant(
    "errors-of-threads-lost",
    "THR-9",
    "What a backward in another thread raises is printed and forgotten.",
)
class ErrorsLost(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        try:
            super().walk(roots, gradients, **options)
        except RuntimeError:
            if not elsewhere():
                raise


@mutant(
    "gradients-of-threads-are-constants",
    "THR-10",
    "A gradient that was computed in another thread has no graph.",
)
class ThreadConstants(OverTorch):
    @wraps(OverTorch.grad_of)
    def grad_of(self, *given: Any, **options: Any) -> Any:
        found = super().grad_of(*given, **options)
        return [g.detach() if elsewhere() and g is not None else g for g in found]
