"""The scope of one run of a program: what its names are bound to, and what its hooks logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.leaves import leaf_array, literal_array
from conformance.observation import Array
from conformance.program import Param, Ref, Step


class WrongArity(Exception):
    """An operation returned another number of results than the program binds."""


class Scope:
    """Names bound so far on one engine. A name bound to None stands for an absent gradient.

    dtype: the NumPy dtype of leaves that name none. leaves: arrays of leaves by name, where they
    are given instead of made. log: what hooks saw, in order.
    """

    __slots__ = ("dtype", "engine", "leaves", "log", "names")

    def __init__(self, engine: Engine, dtype: str, leaves: Mapping[str, Array]) -> None:
        self.engine, self.dtype, self.leaves = engine, dtype, leaves
        self.names: dict[str, Tensor] = {}
        self.log: list[Array] = []

    @property
    def optional(self) -> Any:
        """Return the engine as one that may define any optional method of the contract."""
        return self.engine

    def readable(self, step: Step) -> bool:
        """Return whether every name that `step` reads is bound; only `value` may read None."""
        names = self.names
        for name in step.reads():
            if names.get(name) is None and not (step.verb == "value" and name in names):
                return False
        return True

    def leaf(self, step: Step) -> Array:
        """Return a fresh array for a `leaf` step."""
        given = self.leaves.get(step.out[0])
        return leaf_array(step, self.dtype) if given is None else given.copy()

    def first(self, step: Step) -> Tensor:
        """Return the tensor that the first argument of `step` names."""
        return self.names[step.args[0]]

    def array(self, tensor: Tensor) -> Array:
        """Return a copy of the values of an engine's tensor."""
        return np.array(self.engine.numpy(tensor))

    def resolve(self, value: Param) -> Any:
        """Return a parameter with names replaced by the tensors that they are bound to."""
        if isinstance(value, Ref):
            return self.names[value.name]
        if isinstance(value, tuple):
            return tuple(self.resolve(item) for item in value)
        return value

    def params(self, step: Step) -> dict[str, Any]:
        """Return all parameters of a step, resolved."""
        return {key: self.resolve(value) for key, value in step.params}

    def like(self, value: Param, tensor: Tensor) -> Tensor | None:
        """Return the tensor named by `value`, or its literal as a tensor in `tensor`'s dtype."""
        if value is None:
            return None
        if isinstance(value, Ref):
            return self.names[value.name]
        return self.engine.tensor(literal_array(value, self.engine.numpy(tensor).dtype))

    def bind(self, step: Step, result: Tensor | Sequence[Tensor | None]) -> None:
        """Bind the names of a step to the one or several results of an operation.

        Raises `WrongArity` where there are more or fewer results than names.
        """
        out = step.out
        several = isinstance(result, (tuple, list))
        if len(out) == 1 and not several:
            self.names[out[0]] = result
            return
        results = list(result) if several else [result]
        if len(results) != len(out):
            raise WrongArity(f"{len(results)} results where the program binds {len(out)} names")
        self.names.update(zip(out, results, strict=True))
