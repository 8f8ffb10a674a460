"""Wrong engines on hooks."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.asking import Asking
from tests.mutants.mutant import OverTorch, knows, mutant


@mutant(
    "hook-result-dropped",
    "COT-16 HOOK-2",
    "What a hook returns is thrown away: gradient clipping by hooks has no effect.",
)
class HookDropped(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        def heard(g: Any) -> None:
            hook(g)

        return super().register_hook(tensor, heard)


@mutant(
    "hook-result-for-the-leaf-only",
    "COT-16",
    "What a hook on an intermediate returns does not reach what the tensor was computed from.",
)
class HookLeafOnly(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        def heard(g: Any) -> Any:
            found = hook(g)
            return found if tensor.is_leaf else None

        return super().register_hook(tensor, heard)


@mutant(
    "hook-sees-each-use",
    "COT-16",
    "A hook is called for every use of its tensor with the part of the gradient that comes from"
    " it.",
)
class HookPerUse(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.hooked: list[tuple[Any, Any]] = []

    def reset(self) -> None:
        super().reset()
        self.hooked = []

    def register_hook(self, tensor: Any, hook: Any) -> Any:
        self.hooked.append((tensor, hook))
        return super().register_hook(tensor, lambda g: None)

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        return super().apply(op, *map(self.used, tensors), **params)

    def used(self, tensor: Any) -> Any:
        for hooked, hook in self.hooked:
            if hooked is tensor and torch.is_grad_enabled():
                alias = tensor.view_as(tensor)
                alias.register_hook(hook)
                return alias
        return tensor


@mutant(
    "removed-hook-still-heard",
    "COT-16",
    "Removing a hook is without effect.",
)
class HookStays(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        super().register_hook(tensor, hook)
        return super().register_hook(tensor, lambda g: None)


class Handle:
    """Removes a hook, once or more often."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self.hooks, self.hook = hooks, hook

    def remove(self) -> None:
        if self.hook in self.hooks:
            self.hooks.remove(self.hook)


class Hooking(Asking):
    """Keeps the hooks of each tensor by itself, and has one place where they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.hooked: list[tuple[Any, list[Any]]] = []
        self.reached: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.hooked = []

    def register_hook(self, tensor: Any, hook: Any) -> Any:
        hooks = self.hooks_of(tensor)
        if hooks is None:
            hooks = []
            self.listen(tensor)
            self.hooked.append((tensor, hooks))
        hooks.append(hook)
        return Handle(hooks, hook)

    def listen(self, tensor: Any) -> Any:
        """Let the gradient of a tensor pass through `called`; return the handle."""
        return super().register_hook(tensor, lambda g: self.called(tensor, g))

    def hooks_of(self, tensor: Any) -> list[Any] | None:
        """Return the hooks of a tensor, or None where it has had none."""
        return next((hooks for known, hooks in self.hooked if known is tensor), None)

    def called(self, tensor: Any, g: Any) -> Any:
        """Call the hooks of a tensor; return its gradient after them."""
        for hook in list(self.hooks_of(tensor) or ()):
            found = hook(g)
            g = g if found is None else found
        return g


@mutant(
    "hook-sees-the-sum",
    "HOOK-1 HOOK-5",
    "A hook on a leaf is called after accumulation, with all that the leaf has got so far.",
)
class HookSum(Hooking):
    def called(self, tensor: Any, g: Any) -> Any:
        before = tensor.grad if tensor.is_leaf else None
        if before is None:
            return super().called(tensor, g)
        return super().called(tensor, g + before) - before


@mutant(
    "hooks-called-backwards",
    "HOOK-3",
    "The hook that was registered last is called first.",
)
class HooksBackwards(Hooking):
    def called(self, tensor: Any, g: Any) -> Any:
        hooks = self.hooks_of(tensor) or []
        for hook in hooks[::-1]:
            found = hook(g)
            g = g if found is None else found
        return g


@mutant(
    "hooks-see-the-original",
    "HOOK-3",
    "Every hook of a tensor sees the gradient as it came, and the last answer counts.",
)
class HooksOriginal(Hooking):
    def called(self, tensor: Any, g: Any) -> Any:
        answers = [hook(g) for hook in self.hooks_of(tensor) or ()]
        given = [answer for answer in answers if answer is not None]
        return given[-1] if given else g


@mutant(
    "removing-one-hook-removes-all",
    "HOOK-4",
    "Removing a hook clears the list that it stood in.",
)
class AllRemoved(Hooking):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        handle = super().register_hook(tensor, hook)
        handle.remove = lambda: self.hooks_of(tensor).clear()  # type: ignore[union-attr]
        return handle


@mutant(
    "hook-serves-once",
    "HOOK-5 HOOK-1",
    "A hook is forgotten once it was called.",
)
class ServesOnce(Hooking):
    def called(self, tensor: Any, g: Any) -> Any:
        g = super().called(tensor, g)
        hooks = self.hooks_of(tensor)
        assert hooks is not None
        hooks.clear()
        return g


@mutant(
    "hooks-called-with-zeros",
    "HOOK-5 PATH-7",
    "Hooks of tensors that backward does not reach are called with zeros.",
)
class CalledWithZeros(Hooking):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        self.reached = []
        super().walk(roots, gradients, **options)
        for tensor, hooks in self.hooked:
            if not knows(self.reached, tensor):
                for hook in hooks:
                    hook(torch.zeros_like(tensor))

    def called(self, tensor: Any, g: Any) -> Any:
        self.reached.append(tensor)
        return super().called(tensor, g)


@mutant(
    "untracked-tensor-takes-hooks",
    "HOOK-6",
    "A hook on a tensor that will never get a gradient is accepted.",
)
class UntrackedHooked(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        return super().register_hook(tensor, hook) if tensor.requires_grad else Handle([], hook)


@mutant(
    "looking-hook-stops-the-gradient",
    "HOOK-7",
    "What a hook returns replaces the gradient, nothing included: a hook that looks leaves zeros.",
)
class LookingStops(Hooking):
    def called(self, tensor: Any, g: Any) -> Any:
        for hook in list(self.hooks_of(tensor) or ()):
            found = hook(g)
            g = torch.zeros_like(g) if found is None else found
        return g


@mutant(
    "asking-calls-no-hooks",
    "HOOK-8 HOOK-10",
    "autograd.grad walks without calling hooks.",
)
class AskingUnheard(Hooking):
    asking = False

    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        self.asking = True
        try:
            return super().answer(outputs, inputs, seeds, unused, options)
        finally:
            self.asking = False

    def called(self, tensor: Any, g: Any) -> Any:
        return g if self.asking else super().called(tensor, g)


@mutant(
    "hooks-follow-the-name",
    "HOOK-9",
    "A hook moves to the new history of a tensor that is written in place.",
)
class HooksFollow(Hooking):
    def __init__(self) -> None:
        super().__init__()
        self.ears: list[tuple[Any, Any]] = []

    def listen(self, tensor: Any) -> Any:
        self.ears.append((tensor, super().listen(tensor)))

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().apply_(op, target, *tensors, **params)
        for tensor, ear in list(self.ears):
            if tensor is target:
                ear.remove()
                self.ears = [other for other in self.ears if other[1] is not ear]
                self.listen(target)


@mutant(
    "hook-result-is-a-constant",
    "HOOK-10",
    "What a hook returns is cut from the graph of the gradient.",
)
class HookConstant(Hooking):
    def called(self, tensor: Any, g: Any) -> Any:
        found = super().called(tensor, g)
        return found if found is g else found.detach() + 0 * g
