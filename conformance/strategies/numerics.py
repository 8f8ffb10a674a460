"""One operation at a time: its value, its derivatives of first and second order, what it leaves.

Every sample of `conformance.samples` whose operation the engine has is a case.
"""

from __future__ import annotations

from functools import lru_cache

from conformance.errors import Unsupported
from conformance.program import Ref, Step
from conformance.samples import Call, Sample, call, samples
from conformance.strategies.draft import Draft
from conformance.strategies.facts import Facts
from conformance.strategies.recipes import recipe

_WIDE = ("float64", "float32", "complex128", "complex64")


@lru_cache(maxsize=64)
def _known(facts: Facts, only: str = "") -> tuple[Sample, ...]:
    """Return the samples that the engine may run, those of one property only where it is named.

    None in an engine that prefers half precision: many operations exist in wider dtypes only.
    """
    if facts.dtypes[0] not in _WIDE:
        return ()
    return tuple(
        sample
        for sample in samples()
        if facts.knows(sample.op)
        and facts.can(*(f"dtype:{item.dtype}" for item in sample.inputs if item.dtype))
        and (not only or getattr(sample, only))
    )


def cases(facts: Facts) -> int:
    """Return how many samples the engine may run."""
    return len(_known(facts))


def twice(facts: Facts) -> int:
    """Return how many samples can be differentiated twice."""
    return len(_known(facts, "second"))


def complex_cases(facts: Facts) -> int:
    """Return how many samples take complex numbers."""
    return len(_known(facts, "complex"))


def _called(
    draft: Draft, *, dtype: str | None = None, tracked: bool = True, applied: bool = True,
    only: str = "",
) -> Call:  # fmt: skip
    """Write the leaves and, unless `applied` is false, the operation of the drawn sample."""
    known = _known(draft.facts, only)
    number = draft.choices.byte() * 256 + draft.choices.byte()
    if not known:
        raise Unsupported("no sample of an operation that the engine has")
    sample = known[number % len(known)]
    made = call(sample, draft.choices.seed(), dtype, tracked)
    if not made.tracked or not made.results:
        made = call(_plain(known), draft.choices.seed(), dtype, tracked)
    for name in (*(step.out[0] for step in made.steps), *made.every):
        draft.fresh(name)
    for step in made.steps:
        draft.write(step)
    if applied:
        draft.write(made.apply)
    return made


def _plain(known: tuple[Sample, ...]) -> Sample:
    for sample in known:
        made = call(sample)
        if made.tracked and made.results:
            return sample
    raise Unsupported("no sample of a differentiable operation that the engine has")


def _weights(draft: Draft, made: Call, stem: str = "g") -> dict[str, str]:
    """Write a cotangent for every result: numbers of its shape, by way of the result itself."""
    found = {}
    for name in made.results:
        kept = draft.unary("reload", name, "k")
        found[name] = draft.apply(draft.choices.pick(("sin", "cos")), kept, stem=stem)
    return found


def _pull(draft: Draft, made: Call, weights: dict[str, str], **options: bool) -> list[str]:
    """Write the gradients of the leaves as results."""
    names = tuple(draft.fresh("v") for _ in made.tracked)
    outputs, cotangents = (tuple(Ref(n) for n in pick) for pick in (weights, weights.values()))
    params = (
        ("outputs", outputs),
        ("inputs", tuple(map(Ref, made.tracked))),
        ("grad_outputs", cotangents if len(cotangents) > 1 else cotangents[0]),
        *options.items(),
    )
    draft.write(Step("grad_of", names, params=params))
    return list(names)


@recipe("numerics.value", cases=cases)
def value(draft: Draft) -> None:
    """The results."""
    for name in _called(draft, tracked=False).every:
        draft.observe("value", name)


def _backward(draft: Draft, made: Call) -> None:
    weights = _weights(draft, made)
    cotangents = tuple(map(Ref, weights.values()))
    draft.backward(*weights, gradient=cotangents if len(cotangents) > 1 else cotangents[0])
    for name in made.tracked:
        draft.grad(name)


@recipe("numerics.gradient", "backward backward.gradient backward_many grad", "sin cos", cases)
def gradient(draft: Draft) -> None:
    """The gradient of each operand, for a cotangent of each result."""
    _backward(draft, _called(draft))


@recipe(
    "numerics.single", "backward backward.gradient backward_many grad dtype:float32", "sin cos",
    cases,
)  # fmt: skip
def single(draft: Draft) -> None:
    """The same in single precision."""
    made = _called(draft, dtype="float32")
    for name in made.results:
        draft.observe("value", name)
    _backward(draft, made)


@recipe("numerics.tangent", "make_dual", "sin", cases)
def tangent(draft: Draft) -> None:
    """The tangent of each result, for a tangent of each operand."""
    made = _called(draft, tracked=False, applied=False)
    directions = {}
    for name in made.tracked:
        directions[name] = draft.apply("sin", name, stem="t")
    names = {}
    with draft.block("forward_ad"):
        for name, direction in directions.items():
            names[name] = draft.fresh("d")
            params = (("tangent", Ref(direction)),)
            draft.write(Step("make_dual", (names[name],), (name,), params=params))
        apply = made.apply
        params_ = tuple(
            (key, Ref(names.get(v.name, v.name)) if isinstance(v, Ref) else v)
            for key, v in apply.params
        )
        args = tuple(names.get(a, a) for a in apply.args)
        draft.write(Step("apply", apply.out, args, apply.op, params_))
        for name in made.results:
            draft.observe("tangent", name)


@recipe(
    "numerics.linear", "grad_of grad_of.grad_outputs grad_of.retain_graph", "sin cos add", cases
)
def linear(draft: Draft) -> None:
    """The gradient for a sum of cotangents is the sum of the gradients."""
    made = _called(draft)
    first, second = _weights(draft, made), _weights(draft, made, "h")
    both = {name: draft.apply("add", first[name], second[name], stem="b") for name in first}
    one = _pull(draft, made, first, retain_graph=True)
    other = _pull(draft, made, second, retain_graph=True)
    for a, b, c in zip(one, other, _pull(draft, made, both), strict=True):
        draft.equal(draft.apply("add", a, b, stem="sum"), c)


@recipe("numerics.zero", "grad_of grad_of.grad_outputs", "sin cos mul", cases)
def zero(draft: Draft) -> None:
    """The gradient for a cotangent of zeros is zeros."""
    made = _called(draft)
    weights = {n: draft.times(w, 0.0) for n, w in _weights(draft, made).items()}
    for name, leaf in zip(_pull(draft, made, weights), made.tracked, strict=True):
        draft.equal(name, draft.times(draft.unary("reload", leaf, "k"), 0.0))


@recipe(
    "numerics.second",
    "grad_of grad_of.grad_outputs grad_of.create_graph grad_of.allow_unused backward grad",
    "sin cos mul sum add",
    twice,
)
def second(draft: Draft) -> None:
    """The gradient of a sum of gradients, weighted by functions of the operands."""
    made = _called(draft, only="second")
    found = _pull(draft, made, _weights(draft, made), create_graph=True)
    total = ""
    for name, leaf in zip(found, made.tracked, strict=True):
        parts = draft.apply("mul", name, draft.apply("sin", leaf, stem="q"), stem="p")
        part = draft.apply("sum", parts, stem="s")
        total = draft.apply("add", total, part, stem="s") if total else part
    draft.backward(total)
    for leaf in made.tracked:
        draft.grad(leaf)


@recipe("numerics.intact", "backward backward.gradient backward_many grad", "sin cos", cases)
def intact(draft: Draft) -> None:
    """Operands and cotangents after backward are what they were before."""
    made = _called(draft, applied=False)
    copies = {step.out[0]: draft.unary("reload", step.out[0], "before") for step in made.steps}
    draft.write(made.apply)
    weights = _weights(draft, made)
    copies.update({w: draft.unary("reload", w, "before") for w in weights.values()})
    cotangents = tuple(map(Ref, weights.values()))
    draft.backward(*weights, gradient=cotangents if len(cotangents) > 1 else cotangents[0])
    for name, copy in copies.items():
        draft.equal(name, copy)


@recipe(
    "numerics.complex", "backward backward.gradient backward_many grad dtype:complex128",
    "sin cos", complex_cases,
)  # fmt: skip
def complexes(draft: Draft) -> None:
    """The gradient of each complex operand."""
    _backward(draft, _called(draft, dtype="complex128", only="complex"))
