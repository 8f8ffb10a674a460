"""What a strategy must know of an engine before it writes programs for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Capabilities, dtypes and operations of one engine, as its adapter declares them.

    operations: canonical names, or None where only trying tells. without: forms in which operations
    cannot be applied although the engine has them, each an operation and a parameter (`mul.other`,
    `sum.dim`) or an operation in place (`zero_`).
    """

    capabilities: frozenset[str]
    dtypes: tuple[str, ...] = ("float64",)
    operations: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    def __hash__(self) -> int:
        """Hash what tells most engines apart, and keeps its hash: much is cached by facts."""
        return hash(self.capabilities)

    def can(self, *capabilities: str) -> bool:
        """Whether the engine has all of these capabilities."""
        return self.capabilities.issuperset(capabilities)

    def knows(self, *operations: str) -> bool:
        """Whether the engine may have all of these operations."""
        return self.operations is None or self.operations.issuperset(operations)

    def takes(self, form: str) -> bool:
        """Whether the engine may apply an operation in this form, as `mul.other` or `zero_`."""
        return form not in self.without
