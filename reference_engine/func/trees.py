"""Nested tuples, lists and dicts of tensors, taken apart and put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, NamedTuple

from reference_engine.tensor import Tensor

_MAPPINGS = (dict, OrderedDict)


class Structure(NamedTuple):
    """The shape of a tree: its type (None for a leaf), the keys or numbers of its children, and
    theirs; and how many leaves it has.
    """

    kind: Callable[..., Any] | None = None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    size: int = 1

    def build(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with these leaves."""
        remaining = iter(leaves)
        if self.kind is None:
            return next(remaining)
        parts = [child.build(remaining) for child in self.children]
        if self.kind in _MAPPINGS:
            return self.kind(zip(self.keys, parts, strict=True))
        return self.kind(*parts) if hasattr(self.kind, "_fields") else self.kind(parts)

    def __repr__(self) -> str:
        return repr(self.build(repeat("*"))).replace("'*'", "*")


def _is_container(tree: Any) -> bool:
    return type(tree) in (tuple, list, *_MAPPINGS) or hasattr(tree, "_fields")


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree, from left to right, and its structure."""
    if not _is_container(tree):
        return [tree], Structure()
    keys = tuple(tree if isinstance(tree, dict) else range(len(tree)))
    found = [flatten(tree[key]) for key in keys]
    leaves = [leaf for part, _ in found for leaf in part]
    return leaves, Structure(type(tree), keys, tuple(child for _, child in found), len(leaves))


def tensors_of(
    tree: Any, must: str, error: type[Exception] = RuntimeError, like: Structure | None = None
) -> tuple[list[Tensor], Structure]:
    """As :func:`flatten`; raises where a leaf is no tensor, saying what ``must`` be one, and
    RuntimeError where the structure is not that of ``like``.
    """
    leaves, structure = flatten(tree)
    if like is not None and structure != like:
        raise RuntimeError(f"{must} of structure {like}, got structure {structure}")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise error(f"{must}, got {type(leaf).__name__}")
    return leaves, structure


def broadcast(prefix: Any, structure: Structure) -> list[Any] | None:
    """A tree that may stop earlier than the structure, as one value for each leaf of that; None
    when it does not fit.
    """
    if not _is_container(prefix):
        return [prefix] * structure.size
    _, (kind, keys, _, _) = flatten(prefix)
    alike = kind is structure.kind or {kind, structure.kind} <= {*_MAPPINGS}
    if not alike or keys != structure.keys:
        return None
    found = [
        broadcast(prefix[key], child) for key, child in zip(keys, structure.children, strict=True)
    ]
    return None if None in found else [x for part in found for x in part or ()]
