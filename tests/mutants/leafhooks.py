"""Wrong engines on hooks that run once a leaf has its gradient."""

from __future__ import annotations

from typing import Any

from tests.mutants.mutant import OverTorch, mutant


class Handle:
    """Removes nothing."""

    def remove(self) -> None:
        """Do nothing."""


class Posting(OverTorch):
    """Calls the hooks on accumulated gradients itself, at the end of backward."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.waiting = []

    def register_post_accumulate_hook(self, leaf: Any, hook: Any) -> Any:
        self.waiting.append((leaf, hook))
        return Handle()

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        for leaf, hook in self.waiting:
            hook(leaf)


@mutant(
    "leaf-hooks-called-in-every-backward",
    "HOOK-11 HOOK-14",
    "A hook on an accumulated gradient is called in every backward pass, of whatever graph.",
)
class EveryBackward(Posting):
    pass


@mutant(
    "leaf-hooks-see-a-copy",
    "HOOK-12",
    "What a hook does to an accumulated gradient is undone after it.",
)
class SeeACopy(OverTorch):
    def register_post_accumulate_hook(self, leaf: Any, hook: Any) -> Any:
        def restored(tensor: Any) -> None:
            gradient = tensor.grad
            hook(tensor)
            tensor.grad = gradient

        return super().register_post_accumulate_hook(leaf, restored)


@mutant(
    "leaf-hooks-called-first",
    "HOOK-11 HOOK-13",
    "A hook on an accumulated gradient is called before anything is added to it.",
)
class CalledFirst(OverTorch):
    def register_post_accumulate_hook(self, leaf: Any, hook: Any) -> Any:
        def early(gradient: Any) -> None:
            hook(leaf)

        return leaf.register_hook(early)


@mutant(
    "leaf-hooks-for-asked-gradients",
    "HOOK-15",
    "Gradients asked for as a result call the hooks on accumulated gradients.",
)
class ForAsked(OverTorch):
    def register_post_accumulate_hook(self, leaf: Any, hook: Any) -> Any:
        leaf.register_hook(lambda gradient: hook(leaf))
        return Handle()
