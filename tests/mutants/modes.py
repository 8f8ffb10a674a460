"""Wrong engines on grad modes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, knows, mutant, several


class Mode:
    """A grad mode as it should be; mutants change what entering, leaving or decorating does."""

    def __init__(self, flag: bool, decorated: Callable[..., Any] | None = None) -> None:
        self.flag = flag
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(torch.is_grad_enabled())
        self.enter()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.leave(self.before.pop(), kind is not None)

    def enter(self) -> None:
        """Switch to the mode."""
        torch._C._set_grad_enabled(self.flag)

    def leave(self, before: bool, raised: bool) -> None:
        """Switch back, by an exception or not."""
        torch._C._set_grad_enabled(before)

    def __call__(self, function: Callable[[], Any]) -> Callable[[], Any]:
        @wraps(function)
        def call() -> Any:
            with self:
                return function()

        return call


class Moded(OverTorch):
    """Uses a class of modes for all three of them."""

    mode: type[Mode] = Mode

    def no_grad(self) -> Any:
        return self.mode(False)

    def enable_grad(self) -> Any:
        return self.mode(True)

    def set_grad_enabled(self, flag: bool) -> Any:
        return self.mode(flag)


def moded(name: str, caught_by: str, wrong: str) -> Callable[[type[Mode]], type[Mode]]:
    """Register an engine whose modes are of the class."""

    def register(mode: type[Mode]) -> type[Mode]:
        mutant(name, caught_by, wrong)(type("Moded", (Moded,), {"mode": mode}))
        return mode

    return register


@moded(
    "leaving-switches-on",
    "MOD-3 MOD-7",
    "Leaving a block switches recording on instead of back, also inside somebody's no_grad.",
)
class SwitchesOn(Mode):
    def leave(self, before: bool, raised: bool) -> None:
        torch._C._set_grad_enabled(True)


@moded(
    "leaving-inverts",
    "MOD-3 MOD-6 MOD-7",
    "Leaving a block inverts its mode, which is right unless it changed nothing.",
)
class Inverts(Mode):
    def leave(self, before: bool, raised: bool) -> None:
        torch._C._set_grad_enabled(not self.flag)


@moded(
    "exception-keeps-the-mode",
    "MOD-4 MOD-5 MOD-7",
    "A block that is left by an exception does not restore the mode: no try/finally.",
)
class KeptByException(Mode):
    def leave(self, before: bool, raised: bool) -> None:
        if not raised:
            super().leave(before, raised)


@moded(
    "exception-switches-on",
    "MOD-4",
    "A block that is left by an exception falls back to the default mode, not to that around it.",
)
class OnByException(Mode):
    def leave(self, before: bool, raised: bool) -> None:
        torch._C._set_grad_enabled(True if raised else before)


@moded(
    "enabling-cannot-undo",
    "MOD-3 MOD-5 MOD-6 MOD-7",
    "enable_grad inside no_grad is ignored: modes can only switch off.",
)
class CannotUndo(Mode):
    def enter(self) -> None:
        if not self.flag:
            super().enter()


@moded(
    "inner-block-not-left",
    "MOD-3 MOD-6",
    "Only the outermost block restores anything: nested ones are counted and not remembered.",
)
class OutermostOnly(Mode):
    depth = 0

    def enter(self) -> None:
        type(self).depth += 1
        super().enter()

    def leave(self, before: bool, raised: bool) -> None:
        type(self).depth -= 1
        if type(self).depth == 0:
            super().leave(before, raised)


@moded(
    "decorated-function-forgets-the-mode",
    "MOD-5",
    "A function decorated with a mode runs in its caller's mode.",
)
class DecoratorForgets(Mode):
    def __call__(self, function: Callable[[], Any]) -> Callable[[], Any]:
        return function


@moded(
    "decorator-stays",
    "MOD-5 MOD-7",
    "A mode used as a decorator is entered when the function is decorated and never left.",
)
class DecoratorStays(Mode):
    def __call__(self, function: Callable[[], Any]) -> Callable[[], Any]:
        self.enter()
        return function


@moded(
    "decorator-left-by-returning-only",
    "MOD-5",
    "A decorated function restores the mode when it returns and not when it raises.",
)
class DecoratorReturns(Mode):
    def __call__(self, function: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            before = torch.is_grad_enabled()
            self.enter()
            found = function()
            torch._C._set_grad_enabled(before)
            return found

        return call


@mutant(
    "decorator-inverts-the-argument",
    "MOD-6",
    "set_grad_enabled used as a decorator does the opposite of what it does as a block.",
)
class InvertedDecorator(Moded):
    def set_grad_enabled(self, flag: bool) -> Any:
        class Inverted(Mode):
            def __call__(self, function: Callable[[], Any]) -> Callable[[], Any]:
                return Mode(not flag)(function)

        return Inverted(flag)


@mutant(
    "argument-ignored",
    "MOD-6",
    "set_grad_enabled enables whatever its argument is.",
)
class ArgumentIgnored(Moded):
    def set_grad_enabled(self, flag: bool) -> Any:
        return Mode(True)


@mutant(
    "set-and-not-restored",
    "MOD-6 MOD-7",
    "set_grad_enabled sets the mode and, used as a block, does not restore it.",
)
class SetForGood(Moded):
    def set_grad_enabled(self, flag: bool) -> Any:
        class Set(Mode):
            def leave(self, before: bool, raised: bool) -> None:
                pass

        return Set(flag)


@mutant(
    "no-grad-does-nothing",
    "MOD-1 MOD-2 MOD-10 TRN-1 TRN-8",
    "no_grad is accepted and ignored.",
)
class NoGradNothing(Moded):
    def no_grad(self) -> Any:
        return Mode(True)


@mutant(
    "reductions-recorded-anyway",
    "MOD-1",
    "Reductions go through a code path that does not ask for the mode.",
)
class ReductionsRecorded(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        with torch.set_grad_enabled(op == "sum" or torch.is_grad_enabled()):
            return super().apply(op, *tensors, **params)


@mutant(
    "no-grad-hides-only",
    "MOD-1 MOD-2",
    "Under no_grad results say that they require nothing and are recorded all the same.",
)
class HidesOnly(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.off = 0
        self.hidden: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.off, self.hidden = 0, []

    def no_grad(self) -> Any:
        engine = self

        class Hiding(Mode):
            def enter(self) -> None:
                engine.off += 1

            def leave(self, before: bool, raised: bool) -> None:
                engine.off -= 1

        return Hiding(True)

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if self.off:
            self.hidden += several(found)
        return found

    def requires_grad(self, tensor: Any) -> bool:
        return super().requires_grad(tensor) and not knows(self.hidden, tensor)

    def is_leaf(self, tensor: Any) -> bool:
        return super().is_leaf(tensor) or knows(self.hidden, tensor)

    def grad_fn(self, tensor: Any) -> str | None:
        return None if knows(self.hidden, tensor) else super().grad_fn(tensor)

    def is_grad_enabled(self) -> bool:
        return not self.off


@mutant(
    "mode-is-always-on",
    "MOD-7",
    "is_grad_enabled answers the default and not the mode in force.",
)
class AlwaysOn(OverTorch):
    def is_grad_enabled(self) -> bool:
        return True


@mutant(
    "mode-known-to-blocks-only",
    "MOD-7",
    "is_grad_enabled answers for blocks and not for decorated functions.",
)
class BlocksOnly(Moded):
    decorated = 0

    def no_grad(self) -> Any:
        engine = self

        class Unseen(Mode):
            def __call__(self, function: Callable[[], Any]) -> Callable[[], Any]:
                def call() -> Any:
                    engine.decorated += 1
                    try:
                        return Mode(False)(function)()
                    finally:
                        engine.decorated -= 1

                return call

        return Unseen(False)

    def is_grad_enabled(self) -> bool:
        return bool(self.decorated) or super().is_grad_enabled()


@mutant(
    "backward-obeys-the-mode",
    "MOD-8",
    "Backward inside no_grad does nothing.",
)
class BackwardObeys(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if torch.is_grad_enabled():
            super().walk(roots, gradients, **options)


@mutant(
    "backward-refused-in-no-grad",
    "MOD-8",
    "Backward inside no_grad is refused.",
)
class BackwardRefused(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if not torch.is_grad_enabled():
            raise RuntimeError("gradients are switched off")
        super().walk(roots, gradients, **options)


@mutant(
    "no-grad-detaches-its-operands",
    "MOD-8",
    "An operation under no_grad detaches its operands for good.",
)
class DetachesOperands(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if not torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
            for tensor in tensors:
                if not tensor.is_leaf and not tensor._is_view():
                    tensor.detach_()
        return found
