"""Wrong engines on retained and freed graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch

from tests.mutants.asking import Asking
from tests.mutants.mutant import OverTorch, knows, mutant, patch


@mutant(
    "never-freed",
    "RET-1 RET-4 RET-5 RET-10",
    "Graphs are kept whatever retain_graph says; memory grows and reused graphs go unnoticed.",
)
class NeverFreed(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **{**options, "retain_graph": True})


@mutant(
    "retain-graph-ignored",
    "RET-2 RET-3 ACC-12",
    "Graphs are freed whatever retain_graph says.",
)
class RetainIgnored(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **{**options, "retain_graph": False})


@mutant(
    "retain-graph-sticks",
    "RET-5",
    "A graph that was retained once is never freed again.",
)
class RetainSticks(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.retained: list[Any] = []

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if options["retain_graph"]:
            self.retained += roots
        keep = options["retain_graph"] or any(knows(self.retained, root) for root in roots)
        super().walk(roots, gradients, **{**options, "retain_graph": keep})


@patch(
    "reference_engine.graph:OpNode.release",
    "leaf-part-not-freed",
    "RET-1 RET-4 RET-5",
    "Operations on leaves keep their saved values when a graph is freed, so that short graphs"
    " can be"
    " walked again.",
)
def leaf_part_kept(original: Callable[..., Any], self: Any) -> None:
    from reference_engine.graph import AccumulateGrad

    if not any(isinstance(parent, AccumulateGrad) for parent in self.next):
        original(self)


@patch(
    "reference_engine.graph:OpNode.release",
    "only-leaf-part-freed",
    "RET-1",
    "Only operations on leaves are freed: the walk is refused at its end, when gradients of other"
    " leaves were written already.",
)
def only_leaf_part_freed(original: Callable[..., Any], self: Any) -> None:
    from reference_engine.graph import AccumulateGrad

    if all(isinstance(parent, AccumulateGrad) for parent in self.next):
        original(self)


@patch(
    "reference_engine.graph:OpNode.release",
    "products-not-freed",
    "RET-1 RET-4",
    "Operations of two operands are not freed, only functions of one: the branch for pairs"
    " forgets.",
)
def pairs_kept(original: Callable[..., Any], self: Any) -> None:
    if len(self.next) == 1:
        original(self)


@patch(
    "reference_engine.graph:OpNode.run",
    "freed-operations-skipped",
    "RET-1 RET-4 RET-5",
    "Operations whose saved values are gone are skipped: the walk ends early and raises nothing.",
)
def freed_skipped(original: Callable[..., Any], self: Any, *args: Any, **options: Any) -> Any:
    if self._saved is None:
        return [None] * len(self.next)
    return original(self, *args, **options)


_VISITED: WeakSet[Any] = WeakSet()


@patch(
    "reference_engine.graph:OpNode.run",
    "visited-marks-stay",
    "RET-2 RET-3 RET-7",
    "The marks of the last walk are not cleared: an operation hands its gradient on once in its"
    " life.",
)
def visited_once(original: Callable[..., Any], self: Any, *args: Any, **options: Any) -> Any:
    if self in _VISITED and self._saved is not None:
        return [None] * len(self.next)
    _VISITED.add(self)
    return original(self, *args, **options)


class Repeated(OverTorch):
    """Counts how often each root was walked from."""

    def __init__(self) -> None:
        super().__init__()
        self.walked: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.walked = []

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        again = any(knows(self.walked, root) for root in roots)
        self.walked += roots
        self.repeat(again, roots, gradients, options)

    def repeat(self, again: bool, roots: list[Any], gradients: list[Any], options: Any) -> None:
        """Walk, `again` or for the first time."""
        super().walk(roots, gradients, **options)


@mutant(
    "second-walk-starts-from-the-first",
    "RET-2 RET-7",
    "The cotangents of the first walk are left in the buffers, so that the second one starts from"
    " twice the seed.",
)
class LeftOver(Repeated):
    def repeat(self, again: bool, roots: list[Any], gradients: list[Any], options: Any) -> None:
        if again:
            gradients = [
                2 * (torch.ones_like(y) if v is None else v)
                for y, v in zip(roots, gradients, strict=True)
            ]
        super().repeat(again, roots, gradients, options)


@mutant(
    "third-walk-refused",
    "RET-2",
    "A retained graph survives one more backward and no other.",
)
class ThirdRefused(Repeated):
    def repeat(self, again: bool, roots: list[Any], gradients: list[Any], options: Any) -> None:
        keep = options["retain_graph"] and not again
        super().repeat(again, roots, gradients, {**options, "retain_graph": keep})


@mutant(
    "every-second-walk-refused",
    "RET-7",
    "A second backward from the same root is refused also where no operation saved anything.",
)
class SecondRefused(Repeated):
    def repeat(self, again: bool, roots: list[Any], gradients: list[Any], options: Any) -> None:
        if again and not options["retain_graph"]:
            raise RuntimeError("this root was walked from before")
        super().repeat(again, roots, gradients, options)


@mutant(
    "second-walk-without-retaining-ignored",
    "RET-1 RET-5",
    "A second backward from the same root returns in silence.",
)
class SecondIgnored(Repeated):
    def repeat(self, again: bool, roots: list[Any], gradients: list[Any], options: Any) -> None:
        if not again or options["retain_graph"]:
            super().repeat(again, roots, gradients, options)


@mutant(
    "one-tape-for-all",
    "RET-6",
    "Backward spends the one tape on which everything was recorded, other losses' graphs too.",
)
class OneTape(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if any(root.grad_fn is not None and not knows(self.results, root) for root in roots):
            raise RuntimeError("the tape was spent")
        super().walk(roots, gradients, **options)
        if not options["retain_graph"]:
            self.results = []


@mutant(
    "leaf-freed-with-its-graph",
    "RET-6",
    "A leaf's node is freed with the first graph that it ends: graphs recorded before that give it"
    " nothing any more.",
)
class LeafFreed(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.spent: list[tuple[Any, list[Any]]] = []

    def reset(self) -> None:
        super().reset()
        self.spent = []

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        gone = [x for x, known in self.spent if any(knows(known, root) for root in roots)]
        kept = [(x, x.grad) for x in gone if x.grad is not None]
        copies = [(x, g.clone()) for x, g in kept]
        super().walk(roots, gradients, **options)
        for x, g in copies:
            x.grad = g
        if not options["retain_graph"]:
            others = [t for t in self.results if not knows(roots, t)]
            self.spent += [(x, others) for x in self.upstream(roots)]


@mutant(
    "freeing-clears-values",
    "RET-8",
    "Freeing a graph hands the memory of intermediate results back, which somebody still holds.",
)
class FreeingClears(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        if not options["retain_graph"]:
            for tensor in self.results:
                if tensor.requires_grad and not knows(roots, tensor):
                    tensor.data.zero_()


@mutant(
    "root-becomes-its-gradient",
    "RET-8",
    "The root's memory is used for its cotangent: a loss that is printed after backward reads 1.",
)
class RootOverwritten(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        for root in roots:
            if not root.is_leaf:
                root.data.fill_(1.0)


@mutant(
    "asking-frees",
    "RET-9",
    "autograd.grad frees the graph whatever retain_graph says.",
)
class AskingFrees(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        options = {**options, "retain_graph": False}
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "asking-retains",
    "RET-11",
    "autograd.grad never frees the graph.",
)
class AskingRetains(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        options = {**options, "retain_graph": True}
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "refused-walk-leaves-recording-off",
    "RET-10",
    "Backward switches recording off while it runs, and an error leaves it so.",
)
class RecordingOff(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        try:
            super().walk(roots, gradients, **options)
        except RuntimeError:
            torch.set_grad_enabled(False)
            raise


@mutant(
    "refused-walk-leaves-a-lock",
    "RET-10",
    "A flag says that backward is running; an error leaves it set and every later one is refused.",
)
class Locked(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.running = False

    def reset(self) -> None:
        super().reset()
        self.running = False

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if self.running:
            raise RuntimeError("backward is running")
        self.running = True
        super().walk(roots, gradients, **options)
        self.running = False


@mutant(
    "refused-walk-is-made-up-for",
    "RET-10",
    "The seed of a refused backward stays in the queue and is added to the next one.",
)
class MadeUpFor(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.owed = 0

    def reset(self) -> None:
        super().reset()
        self.owed = 0

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        seeds = [
            (1 + self.owed) * (torch.ones_like(y) if v is None and y.numel() == 1 else v)
            if self.owed else v
            for y, v in zip(roots, gradients, strict=True)
        ]  # fmt: skip
        try:
            super().walk(roots, seeds, **options)
            self.owed = 0
        except RuntimeError:
            self.owed += 1
            raise
