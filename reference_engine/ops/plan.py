"""From a row to work: what a node must save, and how each input's cotangent is then computed.

A plan belongs to one op and one set of inputs that require grad, so that nothing is saved for a
gradient that nobody wants. Plans are made once and cached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, TypeAlias

from reference_engine.ops.opdef import OpDef, Partial, Rule, needs

#: index of an op input whose cotangent the rule computes, the rule, and what picks its arguments
#: out of the pool of cotangents, saved values and facts (None: the whole pool, in order)
Step = tuple[int, Rule, "Callable[[Sequence[Any]], Sequence[Any]] | None"]
Fact: TypeAlias = "Callable[[Sequence[Any], Mapping[str, Any]], Any]"


class Plan:
    """What one op saves and computes for one set of inputs that require grad."""

    __slots__ = (
        "_facts", "fact_names", "multiple", "op", "outputs", "sources", "steps", "variadic",
    )  # fmt: skip

    def __init__(self, op: OpDef, wanted: Sequence[int], is_complex: bool) -> None:
        self.op = op
        self.variadic = op.variadic
        self.outputs = tuple(n.lstrip("*") for n in op.outputs)
        #: outputs come as a tuple
        self.multiple = len(op.outputs) > 1 or op.outputs[0].startswith("*")
        inputs = [n.lstrip("*") for n in op.inputs]
        cotangents = ["g"] if len(op.outputs) == 1 else [f"g_{n}" for n in self.outputs]
        rules = [
            (i, *_vjp(op, op.rules[inputs[i]], is_complex)) for i in wanted if inputs[i] in op.rules
        ]
        asked = dict.fromkeys(n for _, _, names in rules for n in names if n not in cotangents)
        saved = [n for n in asked if n in inputs] + [n for n in asked if n in self.outputs]
        facts = [n for n in asked if n not in saved]
        #: saved values: index of an input, or, from len(inputs) on, of an output
        self.sources = tuple(
            inputs.index(n) if n in inputs else len(inputs) + self.outputs.index(n) for n in saved
        )
        self.fact_names = tuple(facts)
        self._facts = tuple(fact(op, name) for name in facts)
        pool = [*cotangents, *saved, *facts]
        self.steps: tuple[Step, ...] = tuple(
            (i, rule, _pick(pool, names)) for i, rule, names in rules
        )

    def facts(self, inputs: Sequence[Any], params: Mapping[str, Any]) -> tuple[Any, ...]:
        """Shapes, dtypes and parameters that the rules ask for.

        ``inputs`` are tensors, Python numbers or None; for a variadic op, all of its tensors.
        """
        return tuple([get(inputs, params) for get in self._facts]) if self._facts else ()

    def places(self) -> dict[str, int | None]:
        """Where among saved values and facts each stands, by its name and by PyTorch's; None for an
        input that is not saved.
        """
        inputs = [n.lstrip("*") for n in self.op.inputs]
        names = [*inputs, *self.outputs]
        found: dict[str, int | None] = dict.fromkeys(inputs)
        kept = [*(names[source] for source in self.sources), *self.fact_names]
        found |= {name: place for place, name in enumerate(kept)}
        spelled = (*zip(("self", "other"), inputs, strict=False), ("result", self.outputs[0]))
        return {theirs: found[ours] for theirs, ours in spelled if ours in found} | found

    def default_facts(self) -> tuple[Any, ...] | None:
        """The facts with all parameters at their defaults; None if they depend on the inputs."""
        if all(name in self.op.params for name in self.fact_names):
            return tuple(self.op.params[name] for name in self.fact_names)
        return None


def _pick(pool: list[str], names: tuple[str, ...]) -> Callable[[Sequence[Any]], Any] | None:
    places = [pool.index(n) for n in names]
    if places == list(range(len(pool))):
        return None
    # of one item, or none, itemgetter makes no sequence
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def fact(op: OpDef, name: str) -> Fact:
    """What finds a parameter, or ``<input>_shape``, ``_dtype`` or ``_device``, of a call of an op.

    It is given inputs, which are tensors, Python numbers or None, and parameters.
    """
    if name in op.params:
        default = op.params[name]
        return lambda inputs, params: params.get(name, default)
    stem, _, what = name.rpartition("_")
    if op.variadic:
        return lambda inputs, params: tuple(getattr(x, what) for x in inputs)
    place = op.inputs.index(stem)
    if what == "shape":
        return lambda inputs, params: getattr(getattr(inputs[place], "_raw", None), "shape", ())
    return lambda inputs, params: getattr(inputs[place], what, None)


def _vjp(op: OpDef, rule: Partial, is_complex: bool) -> tuple[Rule, tuple[str, ...]]:
    """The vjp rule of one input, and the names it takes."""
    if op.kind != "elementwise":
        assert callable(rule)
        return rule, needs(rule)
    # PyTorch's convention: the gradient of a real loss L is the conjugate Wirtinger derivative, so
    # a holomorphic function passes a cotangent on times the conjugate of its derivative
    product, names = product_with(rule, conjugated=is_complex)
    return product, tuple("g" if n == "v" else n for n in names)


@cache
def product_with(partial: Partial, conjugated: bool) -> tuple[Rule, tuple[str, ...]]:
    """The product of ``v`` with an elementwise row's partial derivative, and the names it takes."""
    if not callable(partial):
        return _scaled(partial), ("v",)
    names = needs(partial)
    if "v" in names:
        return partial, names

    def product(F: Any, v: Any, *values: Any) -> Any:
        d = partial(F, *values)
        if conjugated and not isinstance(d, (int, float)):
            d = F.conj(d)
        # a parameter at its default, add's alpha: nothing to multiply by
        return v if d.__class__ is int and d == 1 else v * d

    return product, ("v", *names)


def _scaled(factor: int | float) -> Rule:
    if factor == 1:
        return lambda F, v: v
    if factor == 0:
        return lambda F, v: F.zeros_like(v)  # 0 · inf is not 0
    if factor == -1:
        return lambda F, v: -v
    return lambda F, v: v * factor
