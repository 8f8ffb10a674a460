"""Execution on torch: every verb, and what it observes."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.errors import InvalidProgram
from conformance.program import BLOCKS, VERBS
from conformance.verbs import HANDLERS
from tests.conformance.executions import refusals, run, seen


def test_every_verb_has_a_handler() -> None:
    assert set(HANDLERS) == set(VERBS) - BLOCKS - {"raise"}


def test_gradients_flags_and_names() -> None:
    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    c = leaf([1.0, 2.0])
    requires_grad(c)
    requires_grad_(c)
    requires_grad(c)
    y = mul(x, c)
    requires_grad(y)
    is_leaf(y)
    is_leaf(x)
    grad_fn(y)
    grad_fn(x)
    retain_grad(y)
    backward(y, gradient=[1.0, 10.0])
    grad(x)
    grad(c)
    grad(y)
    """
    assert seen(text) == [
        False, True, True, False, True, "MulBackward0", None,
        [1.0, 20.0], [1.0, 20.0], [1.0, 10.0],
    ]  # fmt: skip


def test_the_dtype_of_the_run_is_that_of_unnamed_leaves_and_of_literals() -> None:
    text = """
    x = leaf([1, 2], requires_grad=True)
    i = leaf([1, 0], dtype="int64")
    y = mul(x, other=2.0)
    backward(y, gradient=[1, 1])
    grad(x)
    value(i)
    """
    events = run(text, "float32").events
    arrays = [e.value for e in events if isinstance(e.value, np.ndarray)]
    assert [a.dtype.name for a in arrays] == ["float32", "int64"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "int8", "bool"])
def test_values_cross_in_every_dtype(dtype: str) -> None:
    (value,) = [e.value for e in run("x = leaf([0, 1])\nvalue(x)", dtype).events if e.seen]
    assert isinstance(value, np.ndarray)
    assert value.dtype.name == dtype
    assert value.astype(float).tolist() == [0.0, 1.0] if dtype != "complex64" else True


def test_several_results_are_bound_to_several_names() -> None:
    text = """
    x = leaf([3.0, 1.0, 2.0])
    v, i = sort(x, dim=0)
    value(v)
    value(i)
    """
    assert seen(text) == [[1.0, 2.0, 3.0], [1, 2, 0]]
    events = run("x = leaf([3.0, 1.0])\na, b, c = sort(x)\nvalue(a)").events
    assert refusals(events) == ["apply refused WrongArity"]
    assert events[2].skipped


def test_operations_that_take_lists_equations_and_dtype_names() -> None:
    text = """
    x = leaf([[1.0, 2.0]])
    y = cat(x, x, dim=0)
    t = einsum(x, y, equation="ij,kj->ik")
    f = to(x, dtype="float32")
    r = nn.functional.relu(x)
    e = ones(size=[2])
    value(y)
    value(t)
    value(r)
    value(e)
    """
    assert seen(text) == [[[1.0, 2.0], [1.0, 2.0]], [[5.0, 5.0]], [[1.0, 2.0]], [1.0, 1.0]]


def test_tensors_are_parameters_too_also_within_lists() -> None:
    text = """
    x = leaf([1.0, 2.0, 3.0])
    i = leaf([2, 0], dtype="int64")
    v = leaf([7.0, 8.0])
    y = index_select(x, dim=0, index=i)
    z = index_put(x, indices=[i], values=v)
    value(y)
    value(z)
    """
    assert seen(text) == [[3.0, 1.0], [8.0, 2.0, 7.0]]


def test_aliases_in_place_operations_and_versions() -> None:
    text = """
    x = leaf([1.0, 2.0])
    d = detach(x)
    w = data(x)
    mul_(d, other=2.0)
    add_(w, d)
    zero_(d)
    fill_(d, value=5.0)
    nn.functional.relu_(d)
    value(x)
    version(x)
    version(w)
    """
    assert seen(text) == [[5.0, 5.0], 4, 1]


def test_what_was_observed_does_not_change_afterwards() -> None:
    assert seen("x = leaf([1.0])\nvalue(x)\nmul_(x, other=9.0)\nvalue(x)") == [[1.0], [9.0]]


def test_detach_in_place_set_grad_and_reload() -> None:
    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    y = mul(x, other=2.0)
    detach_(y)
    is_leaf(y)
    set_grad(x, value=[5.0, 6.0])
    grad(x)
    set_grad(x)
    g = grad(x)
    value(g)
    r = reload(x, requires_grad=True)
    mul_(y, other=2.0)
    value(r)
    is_leaf(r)
    """
    assert seen(text) == [True, [5.0, 6.0], None, None, [1.0, 2.0], True]


def test_only_value_reads_an_absent_gradient() -> None:
    text = """
    x = leaf([1.0], requires_grad=True)
    g = grad(x)
    value(g)
    y = sin(g)
    value(y)
    """
    assert [e.skipped for e in run(text).events] == [False, False, False, True, True]


def test_gradients_of_several_outputs_and_of_unused_inputs() -> None:
    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    u = leaf(3.0, requires_grad=True)
    y = mul(x, x)
    s = sum(x)
    v = leaf([1.0, 1.0])
    g, h = grad_of(outputs=[y, s], inputs=[x, u], grad_outputs=[v, None], allow_unused=True)
    value(g)
    value(h)
    """
    assert seen(text) == [[3.0, 5.0], None]


def test_second_derivatives() -> None:
    text = """
    x = leaf(3.0, requires_grad=True)
    y = pow(x, exponent=3)
    g = grad_of(outputs=y, inputs=x, create_graph=True)
    backward(g)
    grad(x)
    """
    assert seen(text) == [18.0]


def test_backward_from_several_roots_and_into_chosen_inputs() -> None:
    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    w = leaf([1.0, 1.0], requires_grad=True)
    y = mul(x, w)
    s = sum(x)
    backward(y, s, gradient=[[1.0, 10.0], None], retain_graph=True)
    grad(x)
    backward(y, gradient=[1.0, 1.0], inputs=[w])
    grad(x)
    grad(w)
    """
    assert seen(text) == [[2.0, 11.0], [2.0, 11.0], [2.0, 22.0]]


def test_a_number_of_gradients_that_does_not_fit_is_the_programs_fault() -> None:
    text = """
    x = leaf(1.0, requires_grad=True)
    y = sin(x)
    z = cos(x)
    backward(y, z, gradient=[1.0, 1.0, 1.0])
    """
    with pytest.raises(InvalidProgram, match="3 gradients for 2 roots"):
        run(text)


def test_hooks_log_and_change_gradients() -> None:
    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    y = mul(x, other=3.0)
    a = hook(y, action="double")
    hook(y, action="record")
    b = hook(y, action="zero")
    remove_hook(b)
    hook(x, action="none")
    s = sum(y)
    backward(s)
    grad(x)
    hook_log()
    """
    expected_log = [[1.0, 1.0], [2.0, 2.0], [6.0, 6.0]]
    assert seen(text) == [[6.0, 6.0], expected_log]


def test_a_hook_that_zeroes() -> None:
    text = """
    x = leaf(2.0, requires_grad=True)
    y = sin(x)
    hook(y, action="zero")
    backward(y)
    grad(x)
    """
    assert seen(text) == [0.0]


def test_the_named_tensor_of_a_figure_is_read_at_that_moment() -> None:
    events = run("x = leaf([1.0])\nassert value(x) == x\nmul_(x, other=2.0)").events
    assert events[1].expected is not None
    assert events[1].expected.tolist() == [1.0]
    assert events[0].expected is None
