"""What forward mode derives from an op's row: the tangents of outputs from those of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reference_engine.backends.base import DIFFERENTIABLE
from reference_engine.modes import Mode
from reference_engine.ops.opdef import Partial, needs
from reference_engine.ops.plan import fact, product_with
from reference_engine.tensor import Tensor, from_raw

if TYPE_CHECKING:
    from reference_engine.dispatch import Call


class Push:
    """The tangents of one op's outputs, at one level."""

    def __init__(self, call: Call, tangents: Sequence[Tensor | None]) -> None:
        from reference_engine.ops.namespace import TENSORS

        self.F: Any = TENSORS
        self.run, self.inputs, self.raws, self.params, self.outputs = call
        self.op, self.tangents = call.run.op, tangents
        self.names = call.run.names

    def fitted(self) -> list[Tensor | None]:
        """For each output its tangent, in its shape and dtype, or None where it has none."""
        made = getattr(self, f"_{self.op.kind}")()
        if not isinstance(made, tuple):
            first = next(i for i, y in enumerate(self.outputs) if y._raw.dtype in DIFFERENTIABLE)
            made = tuple(made if i == first else None for i in range(len(self.outputs)))
        return [
            None if t is None or y._raw.dtype not in DIFFERENTIABLE else self._fit(t, y)
            for t, y in zip(made, self.outputs, strict=True)
        ]

    def _fit(self, t: Tensor, y: Tensor) -> Tensor:
        if t._raw.dtype != y._raw.dtype:
            t = self.F._to_copy(t, dtype=y.dtype)
        expands = t._raw.shape != y._raw.shape
        if expands:
            t = self.F.expand(t, size=tuple(y.shape))
        # an op that passes its input's tangent on: the output's must be written separately
        shared = not self.op.view and any(
            x is not None and x._storage is t._storage for x in self.tangents
        )
        return self.F.clone(t) if expands or shared else t

    def value(self, place: int) -> Any:
        """An input as the op saw it."""
        x, raw = self.inputs[place], self.raws[place]
        if x is None:
            return None
        if not isinstance(x, Tensor):
            return from_raw(raw) if hasattr(raw, "shape") else raw
        if x._raw is raw or x._raw.dtype == raw.dtype:
            return x
        return self.F._to_copy(x, dtype=from_raw(raw).dtype)

    def tangent(self, place: int) -> Any:
        """An input's tangent, zero where it has none."""
        found, x = self.tangents[place], self.inputs[place]
        if found is not None or x is None:
            return found
        return self.F.zeros_like(x.detach()) if isinstance(x, Tensor) else 0

    def named(self, name: str) -> Any:
        """What a rule's parameter asks for."""
        outputs = [n.lstrip("*") for n in self.op.outputs]
        if name in self.names:
            return self._collected(self.names.index(name), self.value)
        if name in outputs:
            several = self.op.outputs[0].startswith("*")
            return tuple(self.outputs) if several else self.outputs[outputs.index(name)]
        if name.startswith("t_") and name[2:] in self.names:
            return self._collected(self.names.index(name[2:]), self.tangent)
        return fact(self.op, name)(self.inputs, self.params)

    def _collected(self, place: int, of: Any) -> Any:
        return tuple(map(of, range(len(self.inputs)))) if self.run.variadic else of(place)

    # by kind --------------------------------------------------------------------------------------
    def _elementwise(self) -> Any:
        total = None
        for place, t in enumerate(self.tangents):
            if t is not None:
                product, names = product_with(self.op.rules[self.names[place]], conjugated=False)
                part = product(self.F, *(t if n == "v" else self.named(n) for n in names))
                total = part if total is None else total + part
        return total

    def _linear(self) -> Any:
        follows = self.run.follows * (len(self.inputs) if self.run.variadic else 1)
        return self._again(
            [
                self.tangent(i) if follow else self.inputs[i]
                for i, follow in zip(range(len(self.inputs)), follows, strict=False)
            ]
        )

    def _bilinear(self) -> Any:
        parts = [
            self._again([t if i == place else self.value(i) for i in range(len(self.inputs))])
            for place, t in enumerate(self.tangents)
            if t is not None
        ]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def _own(self) -> Any:
        if self.op.jvp is not None:
            return self.op.jvp(self.F, *map(self.named, needs(self.op.jvp)))
        return self._transposed()

    def _transposed(self) -> Any:
        """The transpose of the vjps, which are linear in the cotangents: their own vjp, at 0."""
        from reference_engine.func.derivatives import vjp

        names = ["g"] if self.run.single else [f"g_{n}" for n in self.op.outputs]
        at = {n: y for n, y in zip(names, self.outputs, strict=True) if y.dtype.differentiable}
        moved = [(n, t) for n, t in zip(self.names, self.tangents, strict=True) if t is not None]

        def pull(*cotangents: Tensor) -> tuple[Tensor, ...]:
            given = dict(zip(at, cotangents, strict=True))
            return tuple([self._pulled(self.op.rules[n], given, t.is_complex()) for n, t in moved])

        # what is saved on the way is not the user's, and what is computed at 0 may be NaN
        with Mode(saved_hooks=(), anomaly=False, check_nan=False):
            made = vjp(pull, *map(self.F.zeros_like, at.values()))[1](tuple([t for _, t in moved]))
        return made if len(made) > 1 else made[0]

    def _pulled(self, rule: Partial, given: dict[str, Tensor], is_complex: bool) -> Tensor:
        values = [given[n] if n in given else self.named(n) for n in needs(rule)]
        assert callable(rule)
        g: Tensor = rule(self.F, *values)
        return g if is_complex else self.F.real(g)

    def _again(self, inputs: Sequence[Any]) -> Any:
        from reference_engine.dispatch import apply

        return apply(self.run, inputs, self.params)
