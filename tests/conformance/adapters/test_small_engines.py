"""Adapters of at most thirty lines run the programs that their engines can run, and no others."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.notation import parse
from conformance.observation import Event
from tests.engines.tiny_functional import TinyFunctional
from tests.engines.tiny_tape import TinyTape

TAPE = "tests.engines.tiny_tape:TinyTape"
FUNCTIONAL = "tests.engines.tiny_functional:TinyFunctional"


def run(name: str, text: str) -> list[Event]:
    return list(execute(load_engine(name), parse(text)).events)


def values(events: list[Event]) -> list[object]:
    return [
        event.value.tolist() if isinstance(event.value, np.ndarray) else event.value
        for event in events
        if event.seen
    ]


@pytest.mark.parametrize("adapter", [TinyTape, TinyFunctional])
def test_an_adapter_takes_at_most_thirty_lines(adapter: type) -> None:
    assert len(inspect.getsource(adapter).splitlines()) <= 30


def test_capabilities_of_a_tape_are_what_it_defines() -> None:
    assert load_engine(TAPE).capabilities == {
        "accumulates", "backward", "backward.gradient", "dtype:float64", "grad",
    }  # fmt: skip


def test_a_tape_accumulates_and_refuses() -> None:
    events = run(
        TAPE,
        """
        x = leaf([1.0, 2.0], requires_grad=True)
        c = leaf([5.0, 7.0])
        y = mul(x, c)
        backward(y)
        grad(x)
        s = sum(y)
        backward(s)
        backward(y, gradient=[1.0, 10.0])
        g = grad(x)
        value(g)
        grad(c)
        z = cos(x)
        d = detach(y)
        """,
    )
    assert values(events) == [None, [10.0, 77.0], [10.0, 77.0], None]
    refusals = [(e.verb, e.refusal.category, e.refusal.message) for e in events if e.refusal]
    assert refusals == [
        ("backward", "refused", "a gradient is needed"),
        ("apply", "unsupported", "cos"),
        ("detach", "unsupported", f"the adapter of {TAPE} does not offer detach"),
    ]


def test_a_functional_engine_offers_the_derivatives_and_nothing_else() -> None:
    found = load_engine(FUNCTIONAL).capabilities
    assert {"backward.gradient", "grad_of.create_graph", "detach", "no_grad", "vjp"} <= found
    bookkeeping = {"accumulates", "frees_graph", "requires_grad", "is_leaf", "apply_", "set_grad"}
    assert not found & bookkeeping


def test_without_stop_gradient_there_is_no_detach() -> None:
    class Poorer(TinyFunctional):
        def lacks(self) -> list[str]:
            return ["detach", "no_grad", "grad_of.create_graph"]

    assert not Poorer().capabilities & {"detach", "no_grad", "grad_of.create_graph"}


def test_a_functional_engine_runs_the_program_of_a_tape() -> None:
    events = run(
        FUNCTIONAL,
        """
        x = leaf([1.0, 2.0], requires_grad=True)
        c = leaf([5.0, 7.0], requires_grad=True)
        k = leaf([3.0, 3.0])
        y = mul(x, k)
        with no_grad():
            z = mul(x, x)
            with enable_grad():
                e = mul(x, k)
        d = detach(y)
        u = mul(y, d)
        v = mul(u, c)
        w = add(v, z)
        r = add(w, e)
        backward(r, gradient=[1.0, 1.0])
        grad(x)
        grad(c)
        grad(k)
        """,
    )
    assert [e for e in events if e.refusal or e.skipped] == []
    assert values(events) == [[48.0, 129.0], [9.0, 36.0], None]


def test_higher_orders_and_intermediate_inputs() -> None:
    events = run(
        FUNCTIONAL,
        """
        x = leaf(0.5, requires_grad=True)
        y = sin(x)
        z = mul(y, y)
        g = grad_of(outputs=z, inputs=x, create_graph=True)
        h = grad_of(outputs=g, inputs=x, create_graph=True)
        k = grad_of(outputs=h, inputs=x)
        value(g)
        value(h)
        value(k)
        m, n = grad_of(outputs=[z, y], inputs=[y, x], grad_outputs=[1.0, 2.0])
        value(m)
        value(n)
        """,
    )
    sin, cos = np.sin, np.cos
    expected = [sin(1.0), 2 * cos(1.0), -4 * sin(1.0)]
    expected += [2 * sin(0.5) + 2.0, sin(1.0) + 2 * cos(0.5)]
    np.testing.assert_allclose(values(events), expected, rtol=1e-14)


def test_a_gradient_that_depends_on_another_leaf_can_be_differentiated_by_it() -> None:
    events = run(
        FUNCTIONAL,
        """
        x = leaf(2.0, requires_grad=True)
        c = leaf(5.0, requires_grad=True)
        w = mul(x, x)
        y = mul(w, c)
        g = grad_of(outputs=y, inputs=x, create_graph=True)
        backward(g)
        grad(c)
        grad(x)
        """,
    )
    assert values(events) == [4.0, 10.0]


def test_tensors_among_the_parameters_are_replayed_too() -> None:
    events = run(
        FUNCTIONAL,
        """
        x = leaf([1.0, 2.0, 3.0], requires_grad=True)
        i = leaf([2, 2, 0], dtype="int64")
        y = index_select(x, dim=0, index=i)
        backward(y, gradient=[1.0, 10.0, 100.0])
        grad(x)
        """,
    )
    assert values(events) == [[100.0, 0.0, 11.0]]


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ("backward(y)", "takes a cotangent for every result that is no scalar"),
        ("backward(k)", "differentiates functions; this is one of no input"),
        ("g = grad_of(outputs=y, inputs=u, grad_outputs=k)", "what an unused input's gradient is"),
        ("backward(y, gradient=k)\nbackward(y, gradient=k)", "has no .grad that a second backward"),
        ("with raises():\n    y2 = tan(x)", "tan"),
        (
            "g = grad_of(outputs=y, inputs=x, grad_outputs=k, retain_graph=True)\n"
            "h = grad_of(outputs=y, inputs=x, grad_outputs=k)\n"
            "assert value(h) == g\n"
            "backward(y, gradient=k)",
            "has no graph that an earlier backward could have freed",
        ),
    ],
)
def test_what_a_function_transform_does_not_decide_is_unsupported(last: str, sentence: str) -> None:
    text = """
x = leaf([1.0, 2.0], requires_grad=True)
u = leaf([1.0, 2.0], requires_grad=True)
k = leaf([3.0, 3.0])
y = mul(x, k)
"""
    final = run(FUNCTIONAL, text + last)[-1]
    assert final.refusal is not None
    assert final.refusal.category == "unsupported"
    assert sentence in final.refusal.message
