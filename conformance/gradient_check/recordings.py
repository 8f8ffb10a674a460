"""One tracked call of a function, and the gradients that it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from conformance.adapters.base import Tensor
from conformance.gradient_check.arguments import Variable, flat
from conformance.gradient_check.directions import ones
from conformance.observation import Array

if TYPE_CHECKING:
    from conformance.gradient_check.targets import Target


class Recording:
    """One tracked call: its outputs, and gradients for any cotangent.

    received: the tensors that the last pull returned, one for each variable, None for no gradient;
    cotangents: the tensors that it was given, made of the numbers of `given`.
    """

    __slots__ = (
        "cotangents", "given", "leaves", "outputs", "received", "reports", "target", "tensors",
        "variables",
    )  # fmt: skip

    def __init__(
        self, target: Target, variables: Sequence[Variable], leaves: Sequence[Tensor],
        outputs: Sequence[Tensor], values: Array,
    ) -> None:  # fmt: skip
        self.target, self.leaves, self.tensors, self.outputs = target, leaves, outputs, values
        self.variables = variables
        self.reports = target.reports
        self.received: Sequence[Tensor | None] = ()
        self.cotangents: list[Tensor | None] = []
        self.given: Array | None = None

    def pull(
        self, cotangent: Array | None, arrangement: str = "plain", omit: int | None = None
    ) -> Array:
        """Return Jᵀ·cotangent as one real vector.

        None stands for undefined cotangents; omit: the number of an output to leave out.
        """
        roots, seeds = self.seeded(cotangent, arrangement, omit)
        self.received = self.target.pull(self.leaves, roots, seeds)
        return self.target.gathered(self.received, self.variables)

    def seeded(
        self, cotangent: Array | None, arrangement: str = "plain", omit: int | None = None
    ) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
        """Return the tensors to pull from and their cotangents, as `pull` describes them."""
        target = self.target
        self.given = cotangent
        seeds: list[Tensor | None] = []
        if cotangent is not None and omit is None and len(self.tensors) == 1:
            roots: Sequence[Tensor] = self.tensors
            seeds.append(target.like(roots[0], cotangent.copy(), arrangement))
        elif cotangent is None:
            roots = target.bridge.undefined(self.tensors)
            seeds.extend(target.like(t, ones(target.numbers(t)).copy(), "plain") for t in roots)
        else:
            cotangent = cotangent.copy()  # a backward may write into it
            roots, start = self.tensors, 0
            for number, tensor in enumerate(roots):
                stop = start + target.numbers(tensor)
                part = cotangent[start:stop]
                seeds.append(None if number == omit else target.like(tensor, part, arrangement))
                start = stop
        self.cotangents = seeds
        return roots, seeds

    @property
    def alarmed(self) -> bool:
        """Whether an output of integers, as LAPACK's info is one, has a number that is not 0."""
        return bool(self.reports) and any(
            bool(np.any(self.target.bridge.values(t))) for t in self.reports
        )

    def cotangents_now(self) -> Array:
        """Return the values of the cotangents that the last pull was given."""
        own = self.target.bridge.values
        values = [flat(own(c)) for c in self.cotangents if c is not None]
        if len(values) == 1:
            return values[0]
        return np.concatenate(values) if values else np.zeros(0)

    def leaves_now(self) -> list[Array]:
        """Return the values of the leaves."""
        return [flat(self.target.bridge.values(leaf)) for leaf in self.leaves]
