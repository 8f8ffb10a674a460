"""Nested tuples, lists and dicts of tensors, taken apart and put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reference_engine.tensor import Tensor

_MAPPINGS = (dict, OrderedDict)
_CONTAINERS = (tuple, list, *_MAPPINGS)


class Structure(NamedTuple):
    """The shape of a tree: its type (None for a leaf), the keys of a dict, and its children's."""

    kind: Callable[..., Any] | None = None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()

    def build(self, leaves: Sequence[Any]) -> Any:
        """The tree of this structure with these leaves."""
        remaining = iter(leaves)
        return self._build(lambda: next(remaining))

    def _build(self, leaf: Callable[[], Any]) -> Any:
        if self.kind is None:
            return leaf()
        parts = [child._build(leaf) for child in self.children]
        if self.kind in _MAPPINGS:
            return self.kind(zip(self.keys, parts, strict=True))
        return self.kind(*parts) if hasattr(self.kind, "_fields") else self.kind(parts)

    def __repr__(self) -> str:
        return repr(self._build(lambda: _STAR))


class _Star:
    def __repr__(self) -> str:
        return "*"


_STAR = _Star()


def _is_container(tree: Any) -> bool:
    return type(tree) in _CONTAINERS or hasattr(tree, "_fields")


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree, from left to right, and its structure."""
    if not _is_container(tree):
        return [tree], Structure()
    keys = tuple(tree) if isinstance(tree, dict) else ()
    found = [flatten(part) for part in (tree.values() if keys or isinstance(tree, dict) else tree)]
    leaves = [leaf for part, _ in found for leaf in part]
    return leaves, Structure(type(tree), keys, tuple(structure for _, structure in found))


def broadcast(prefix: Any, structure: Structure) -> list[Any] | None:
    """A tree that may stop earlier than the structure, as one value for each leaf of that; None
    when it does not fit.
    """
    if not _is_container(prefix):
        return [prefix] * _count(structure)
    _, (kind, keys, _) = flatten(prefix)
    alike = kind is structure.kind or {kind, structure.kind} <= {*_MAPPINGS}
    if not alike or keys != structure.keys or len(prefix) != len(structure.children):
        return None
    parts = prefix.values() if isinstance(prefix, dict) else prefix
    found = [broadcast(part, child) for part, child in zip(parts, structure.children, strict=True)]
    return None if None in found else [x for part in found for x in part or ()]


def _count(structure: Structure) -> int:
    return 1 if structure.kind is None else sum(map(_count, structure.children))


def check_tensors(leaves: Sequence[Any], message: str, error: type[Exception]) -> None:
    """Raises unless all leaves are tensors."""
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise error(f"{message}, got {type(leaf).__name__}")
