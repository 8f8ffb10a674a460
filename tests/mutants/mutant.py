"""The record of a mutant, a deliberately wrong engine, and the two ways in which one is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from conformance.adapters.base import Engine
from conformance.adapters.reference import ReferenceEngine
from conformance.adapters.torch_engine import TorchEngine


@dataclass(frozen=True)
class Mutant:
    """A wrong engine.

    wrong: one sentence, what is wrong and where such a bug is met. caught_by: ids of the clauses
    that must be violated, each by itself. made: a context in which the engine exists; a patch of
    the reference engine is undone when it is left.
    """

    name: str
    wrong: str
    caught_by: tuple[str, ...]
    made: Callable[[], AbstractContextManager[Engine]]


MUTANTS: dict[str, Mutant] = {}
"""Every mutant by name; importing the files of a topic adds to it."""


def mutant(
    name: str, caught_by: str, wrong: str
) -> Callable[[Callable[[], Engine]], Callable[[], Engine]]:
    """Register what makes an adapter, mostly a subclass of `OverTorch`, as a mutant."""

    def register(make: Callable[[], Engine]) -> Callable[[], Engine]:
        @contextmanager
        def made() -> Iterator[Engine]:
            yield make()

        _add(Mutant(name, wrong, tuple(caught_by.split()), made))
        return make

    return register


def patch(
    place: str, name: str, caught_by: str, wrong: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function that takes the place of one function of the reference engine.

    place: `module:function` or `module:Class.method`, where the engine looks it up. The function is
    given the original first, then the arguments.
    """

    def register(replacement: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def made() -> Iterator[Engine]:
            with replaced(place, replacement):
                engine = ReferenceEngine()
                engine.name = "mutant"
                yield engine

        _add(Mutant(name, wrong, tuple(caught_by.split()), made))
        return replacement

    return register


def _add(row: Mutant) -> None:
    if row.name in MUTANTS:
        raise ValueError(f"two mutants are called {row.name!r}")
    MUTANTS[row.name] = row


@contextmanager
def replaced(place: str, replacement: Callable[..., Any]) -> Iterator[None]:
    """Put `replacement` at `place` for as long as the context lasts."""
    module, _, path = place.partition(":")
    *above, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in above:
        owner = getattr(owner, part)
    if attribute not in vars(owner):
        raise LookupError(f"{place} is gone; move the mutant to where the engine does this now")
    original = vars(owner)[attribute]

    def stand_in(*args: Any, **params: Any) -> Any:
        return replacement(original, *args, **params)

    setattr(owner, attribute, stand_in)
    try:
        yield
    finally:
        setattr(owner, attribute, original)


class OverTorch(TorchEngine):
    """The torch adapter under another name, so that PyTorch itself judges it.

    leaves: every tensor that the program made itself, in order. results: what operations returned.
    Both spellings of backward come to `walk`, so that a mutant has one place to be wrong in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = "mutant"
        self.leaves: list[Any] = []
        self.results: list[Any] = []

    def reset(self) -> None:
        """Forget the tensors of the last program."""
        super().reset()
        self.leaves, self.results = [], []

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        """Make a leaf and remember it."""
        made = super().tensor(array, requires_grad)
        self.leaves.append(made)
        return made

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        """Apply an operation and remember what it returns."""
        found = super().apply(op, *tensors, **params)
        self.results.extend(several(found))
        return found

    def backward(
        self,
        tensor: Any,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Walk from one root."""
        self.walk(
            [tensor], [gradient],
            retain_graph=retain_graph, create_graph=create_graph, inputs=inputs,
        )  # fmt: skip

    def backward_many(
        self,
        tensors: Any,
        gradients: Any,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Walk from several roots."""
        self.walk(
            list(tensors), list(gradients),
            retain_graph=retain_graph, create_graph=create_graph, inputs=inputs,
        )  # fmt: skip

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        """Run backward."""
        self.module.autograd.backward(roots, gradients, **options)

    def upstream(self, roots: list[Any]) -> list[Any]:
        """Return the leaves from which the roots were computed."""
        nodes = [root.grad_fn for root in roots]
        found = [root for root in roots if root.grad_fn is None]
        seen = set()
        while nodes:
            node = nodes.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if hasattr(node, "variable"):
                found.append(node.variable)
            nodes.extend(parent for parent, _ in node.next_functions)
        return found


def several(found: Any) -> list[Any]:
    """Return the results of an operation as a list."""
    return list(found) if isinstance(found, (tuple, list)) else [found]


def knows(tensors: list[Any], tensor: Any) -> bool:
    """Tell whether `tensor` itself, not one equal to it, is among `tensors`."""
    return any(other is tensor for other in tensors)


def bent(tensor: Any, bend: Callable[[Any], Any]) -> Any:
    """Return an alias of `tensor` through which gradients pass changed by `bend`."""
    if not (torch.is_grad_enabled() and tensor.requires_grad):
        return tensor
    alias = tensor.view_as(tensor)
    alias.register_hook(bend)
    return alias
