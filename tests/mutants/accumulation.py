"""Wrong engines on accumulation: what backward does to the gradients that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutants.mutant import OverTorch, knows, mutant, patch


@patch(
    "reference_engine.ops.namespace:_accumulate",
    "overwritten",
    "ACC-1 ACC-2 ACC-3 ACC-5 ACC-6 ACC-9 COT-7 RET-2 RET-3 TRN-3 TRN-7",
    "Backward assigns a leaf's gradient instead of adding to it, the commonest difference between"
    " small engines and PyTorch.",
)
def overwritten(original: Callable[..., Any], self: Any, g: Any) -> None:
    self._extras().grad = None
    original(self, g)


@patch(
    "reference_engine.ops.namespace:_accumulate",
    "stored-without-a-copy",
    "ACC-8 COT-13",
    "The first gradient is stored without a copy, so that leaves share one buffer with each other"
    " and with the caller's cotangent.",
)
def stored_without_copy(original: Callable[..., Any], self: Any, g: Any) -> None:
    from reference_engine.tensor import from_raw

    if self._extras().grad is None:
        self._extras().grad = from_raw(g)
    else:
        original(self, g)


@patch(
    "reference_engine.ops.namespace:RawNamespace.add",
    "summed-into-the-first",
    "COT-13",
    "Contributions are summed in place into the first that arrived, which may be the caller's"
    " cotangent.",
)
def summed_in_place(original: Callable[..., Any], self: Any, a: Any, b: Any) -> Any:
    if not getattr(a, "shape", ()) or not a.flags.writeable:
        return original(self, a, b)
    a += b
    return a


class Counting(OverTorch):
    """Sees the gradients of every leaf before and after each walk."""

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        before = [(leaf, leaf.grad) for leaf in self.leaves]
        for leaf, _ in before:
            leaf.grad = None
        try:
            super().walk(roots, gradients, **options)
        finally:
            for leaf, old in before:
                leaf.grad = self.joined(leaf, old, leaf.grad)

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        """Return the gradient after a walk that brought `new`; None where it brought nothing."""
        if old is None or new is None:
            return old if new is None else new
        return old.add_(new)


@mutant(
    "averaged",
    "ACC-1 ACC-6 RET-6",
    "The gradient after k passes is the mean of them, as where a data-parallel wrapper divides.",
)
class Averaged(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.passes: list[list[Any]] = []

    def reset(self) -> None:
        super().reset()
        self.passes = []

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        if new is None:
            return old
        entry = next((e for e in self.passes if e[0] is leaf), None)
        if entry is None:
            entry = [leaf, 0]
            self.passes.append(entry)
        entry[1] += 1
        return new if old is None else old + (new - old) / entry[1]


@mutant(
    "third-pass-lost",
    "ACC-6 RET-2 RET-6",
    "Two passes are added and every later one is dropped: a buffer for the present and the last"
    " gradient only.",
)
class ThirdLost(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.passes: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.passes = []

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        if new is not None:
            self.passes.append(leaf)
        late = sum(other is leaf for other in self.passes) > 2
        return old if late else super().joined(leaf, old, new)


@mutant(
    "assigned-gradient-replaced",
    "ACC-5",
    "A gradient that the user assigned is replaced, one that backward made is added to.",
)
class AssignedReplaced(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.assigned: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.assigned = []

    def set_grad(self, tensor: Any, gradient: Any) -> None:
        super().set_grad(tensor, gradient)
        self.assigned.append(tensor.grad)

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        if new is not None and knows(self.assigned, old):
            return new
        return super().joined(leaf, old, new)


@mutant(
    "gradient-read-as-a-copy",
    "ACC-3 ACC-8",
    "grad hands out a copy of a hidden buffer, so that zeroing it in place is without effect.",
)
class ReadAsCopy(OverTorch):
    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return None if found is None else found.clone()


@mutant(
    "cleared-gradient-comes-back",
    "ACC-4",
    "Setting a gradient to None hides it; the next backward adds to the old one.",
)
class ComesBack(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.hidden: list[tuple[Any, Any]] = []

    def reset(self) -> None:
        super().reset()
        self.hidden = []

    def set_grad(self, tensor: Any, gradient: Any) -> None:
        if gradient is None and tensor.grad is not None:
            self.hidden.append((tensor, tensor.grad))
        super().set_grad(tensor, gradient)

    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        kept = [g for tensor, g in self.hidden if tensor is leaf]
        if kept and old is None and new is not None:
            old = kept[-1]
        return super().joined(leaf, old, new)


@mutant(
    "cleared-gradient-is-zeros",
    "ACC-4",
    "Setting a gradient to None fills it with zeros, so that momentum and weight decay go on.",
)
class ClearedToZeros(OverTorch):
    def set_grad(self, tensor: Any, gradient: Any) -> None:
        if gradient is None and tensor.grad is not None:
            tensor.grad.zero_()
        else:
            super().set_grad(tensor, gradient)


@mutant(
    "backward-clears-first",
    "ACC-7 ACC-1",
    "Backward begins by clearing the gradients of all leaves, those that it will not reach too.",
)
class ClearsFirst(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for leaf in self.leaves:
            leaf.grad = None
        super().walk(roots, gradients, **options)


@mutant(
    "unreached-gradients-decay",
    "ACC-7",
    "A backward that does not reach a leaf zeroes the gradient that the leaf has: buffers are"
    " cleared lazily at the next step.",
)
class UnreachedDecay(Counting):
    def joined(self, leaf: Any, old: Any, new: Any) -> Any:
        if old is not None and new is None:
            return old.zero_()
        return super().joined(leaf, old, new)


@mutant(
    "leaf-as-root-ignored",
    "ACC-9",
    "Backward from a leaf returns at once, as there is no operation to walk.",
)
class LeafRootIgnored(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if not all(root.is_leaf and root.requires_grad for root in roots):
            super().walk(roots, gradients, **options)


@mutant(
    "leaf-as-root-replaced",
    "ACC-9",
    "Backward from a leaf assigns the cotangent where it should add it.",
)
class LeafRootReplaced(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for root in roots:
            if root.is_leaf:
                root.grad = None
        super().walk(roots, gradients, **options)


@mutant(
    "gradients-are-tracked",
    "ACC-10",
    "Backward always records itself, so that gradients require gradients and keep graphs alive.",
)
class GradientsTracked(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        options["retain_graph"] = bool(options["retain_graph"])
        super().walk(roots, gradients, **{**options, "create_graph": True})


@mutant(
    "inputs-ignored",
    "ACC-11",
    "backward(inputs=) accumulates into every leaf that it reaches.",
)
class InputsIgnored(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **{**options, "inputs": None})


@mutant(
    "inputs-clear-the-others",
    "ACC-11",
    "backward(inputs=) drops the gradients that other leaves already have.",
)
class InputsClearOthers(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        if options["inputs"] is not None:
            for leaf in self.leaves:
                if not knows(list(options["inputs"]), leaf):
                    leaf.grad = None


@mutant(
    "inputs-replace",
    "ACC-1",
    "backward(inputs=) assigns the gradients that it was asked for instead of adding them.",
)
class InputsReplace(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for leaf in options["inputs"] or ():
            leaf.grad = None
        super().walk(roots, gradients, **options)
