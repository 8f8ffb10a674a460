"""The grammar of programs refuses what it should, naming the step; its two forms lose nothing."""

from __future__ import annotations

import json
import math

import pytest

from conformance.errors import InvalidProgram
from conformance.notation import parse, render
from conformance.program import (
    BLOCKS,
    HOOKS,
    VERBS,
    Expect,
    Program,
    Ref,
    Step,
    from_json,
    to_json,
)

EVERYTHING = """
    x = leaf([1.0, 2.0], requires_grad=True)
    w = leaf(shape=[2, 3], seed=3, low=-1.0, high=1.0, dtype='float32')
    y = mul(x, other=3.0)
    a, b = unbind(x, dim=0)
    with no_grad(decorator=True):
        z = nn.functional.relu(x)
        with set_grad_enabled(enabled=True):
            zero_(y)
        raise
    h = hook(x, action='double')
    backward(y, gradient=[1.0, float('nan')], inputs=[x], retain_graph=True)
    backward(a, b)
    remove_hook(h)
    assert grad(x) == approx([3.0, 3.0], 4)
    assert not is_leaf(y)
    assert requires_grad(y)
    assert grad(w) is None
    assert value(x) == y
    assert grad_fn(y) == 'MulBackward0'
    g = grad(x)
    gx, gw = grad_of(outputs=[y], inputs=[x, w], grad_outputs=[g], allow_unused=True)
    set_grad(x, value=None)
    c = leaf([(1+2j)], dtype='complex128')
    with raises():
        backward(y, gradient=x)
"""


def test_text_form_round_trips() -> None:
    program = parse(EVERYTHING)
    text = render(program)
    assert render(parse(text)) == text
    finite = parse(EVERYTHING.replace("float('nan')", "0.5"))
    assert parse(render(finite)) == finite


def test_json_form_round_trips_through_strict_json() -> None:
    program = parse(EVERYTHING, tags=["B7"])
    form = json.loads(json.dumps(to_json(program), allow_nan=False))
    again = from_json(form)
    assert render(again) == render(program)
    assert again.tags == ("B7",)
    gradient = next(s for s in again.walk() if s.verb == "backward").param("gradient")
    assert isinstance(gradient, tuple)
    assert isinstance(gradient[1], float)
    assert math.isnan(gradient[1])


def test_needs_are_read_off_the_steps() -> None:
    needs = parse(EVERYTHING).needs
    assert {"backward", "backward.gradient", "backward.inputs", "backward.retain_graph"} <= needs
    assert {"backward_many", "no_grad", "set_grad_enabled", "apply_", "dtype:float32"} <= needs
    assert parse("x = leaf([1.0])\nassert value(x) == [1.0]").needs == frozenset()


def test_operations_are_listed_once_in_order() -> None:
    text = "x = leaf([1.0])\ny = sin(x)\nz = exp(y)\nw = sin(z)"
    assert parse(text).operations == ("sin", "exp")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = sin(x)", "step 0 .apply.: reads 'x', which no earlier step binds"),
        ("x = leaf([1.0])\nx = sin(x)", "binds 'x'; expected a new identifier"),
        ("x = leaf([1.0], size=3)", "unknown parameter 'size'; expected dtype"),
        ("x = leaf()", "give either a value or a shape"),
        ("x = leaf([1.0])\nhook(x, action='explode')", "action 'explode'; expected"),
        ("x = leaf([1.0])\nbackward()", "reads 0 names; expected 1"),
        ("with no_grad():\n    raise\n    x = leaf([1.0])", "must be the last step"),
        ("with sin():\n    raise", "is not one of raises"),
        ("x = leaf([1.0])\ny = sin(2.0)", "give numbers as keyword parameters"),
        (
            "x = leaf([1.0])\nassert sin(x) == [1.0]",
            "is not an observation: expected one of value, grad",
        ),
        ("x = leaf([1.0]", "line 1"),
        ("import os", "is not a step"),
        ("x = leaf(__import__('os'))", "is not a literal or a name"),
    ],
)
def test_breaking_the_grammar_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidProgram, match=message):
        parse(text)


def test_unknown_verb_names_the_known_ones() -> None:
    with pytest.raises(InvalidProgram, match="unknown verb 'explode'; known: leaf, reload"):
        Program((Step("explode"),))


def test_a_step_reads_what_its_parameters_and_figure_name() -> None:
    step = Step("value", args=("x",), params=(("a", (Ref("v"), 1.0)),), expect=Expect(Ref("w")))
    assert step.reads() == ("x", "v", "w")


@pytest.mark.parametrize("form", [None, [], {}, {"steps": [{"verb": 3}]}, {"steps": "abc"}])
def test_damaged_json_is_refused(form: object) -> None:
    with pytest.raises(InvalidProgram):
        from_json(form)


def test_blocks_and_hooks_are_of_the_grammar() -> None:
    assert set(VERBS) > BLOCKS
    assert HOOKS[0] == "record"
