from __future__ import annotations

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.leaves import leaf_array
from conformance.notation import parse, render
from conformance.program import Program
from conformance.random_check import RandomCheck
from conformance.strategies.shrinking import shapes_of
from conformance.strategies.simplify import simplify


def simplified(text: str, *must: str) -> list[str]:
    """Simplify a program as long as each of `must` is in its text; return its lines."""
    found = simplify(parse(text), lambda p: all(part in render(p) for part in must))
    return render(found).splitlines()


def test_steps_that_do_not_matter_are_dropped_with_those_that_need_them() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        y = sin(x)
        z = exp(y)
        w = cos(x)
        backward(z)
        grad(x)
    """
    assert simplified(text, "cos(x)") == ["x = leaf([1.0])", "w = cos(x)"]


def test_an_operation_is_bypassed_where_its_operand_does_as_well() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        y = sin(x)
        with no_grad():
            u = neg(y)
        z = exp(y)
        backward(z, gradient=y)
    """
    assert simplified(text, "neg(", "exp(", "gradient=", "requires_grad") == [
        "x = leaf([1.0], requires_grad=True)",
        "u = neg(x)",
        "z = exp(x)",
        "backward(z, gradient=x)",
    ]


def test_names_are_numbered_anew_and_gradients_that_nothing_reads_have_none() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        x2 = leaf([3.0], requires_grad=True)
        with no_grad():
            y7 = mul(x, x2)
        y8 = mul(x2, y7)
        backward(y8, gradient=x)
        g = grad(x)
        g4 = grad(x2)
        assert value(y8) == g4
    """
    kept = ("assert", "y8 = mul(x2, y7)", "g = grad(x)"), ("assert", "mul(x1, y)", "grad(x)\n")
    found = simplify(
        parse(text), lambda p: any(all(part in render(p) for part in way) for way in kept)
    )
    assert render(found).splitlines() == [
        "x = leaf([1.0], requires_grad=True)",
        "x1 = leaf([3.0], requires_grad=True)",
        "with no_grad():",
        "    y = mul(x, x1)",
        "y1 = mul(x1, y)",
        "backward(y1, gradient=x)",
        "grad(x)",
        "g = grad(x1)",
        "assert value(y1) == g",
    ]


def test_of_two_steps_that_are_one_object_one_may_go() -> None:
    made, written, read = parse("""
        x = leaf([1.0])
        neg_(x)
        y = exp(x)
    """).steps
    program = Program((made, written, written, read))
    found = simplify(program, lambda p: "neg_" in render(p) and "exp" in render(p))
    assert render(found).splitlines() == ["x = leaf([1.0])", "neg_(x)", "y = exp(x)"]


def test_what_a_figure_rests_on_is_kept() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        y = mul(x, other=2.0)
        mul_(y, other=3.0)
        u = sin(x)
        backward(y)
        assert grad(x) == [6.0]
        value(u)
    """
    assert simplified(text, "assert") == [
        "x = leaf([1.0], requires_grad=True)",
        "y = mul(x, other=2.0)",
        "mul_(y, other=3.0)",
        "backward(y)",
        "assert grad(x) == [6.0]",
    ]


def test_without_promises_in_place_steps_and_blocks_may_go() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        with no_grad():
            y = mul(x, other=2.0)
            mul_(y, other=3.0)
        value(y)
    """
    assert simplified(text, "y = mul(x, other=2.0)", "value(y)") == [
        "x = leaf([1.0])",
        "y = mul(x, other=2.0)",
        "value(y)",
    ]


def test_an_operation_whose_result_may_be_any_tensor_becomes_a_leaf() -> None:
    text = """
        x = leaf(shape=[2], seed=0, low=0.5, high=2.0, requires_grad=True)
        y = sin(x)
        u = unsqueeze(y, dim=0)
        add_(u, other=2.0)
        version(u)
    """
    assert simplified(text, "add_(u, other=2.0)", "dim=0", "version") == [
        "x = leaf(1.0)",
        "u = unsqueeze(x, dim=0)",
        "add_(u, other=2.0)",
        "version(u)",
    ]


def test_operations_parameters_and_shapes_become_the_plainest() -> None:
    text = """
        x = leaf(shape=[4, 3], seed=0, low=0.5, high=2.0, requires_grad=True)
        w = leaf(shape=[4, 3], seed=1, low=0.5, high=2.0)
        y = atan2(x, w)
        z = softplus(y, beta=2.0)
        backward(z, retain_graph=True)
        grad(x)
    """

    def fails(program: Program) -> bool:
        steps = list(program.walk())
        made = [step.op for step in steps if step.verb == "apply"]
        passes = [step for step in steps if step.verb == "backward"]
        shapes = [leaf_array(step, "float64").ndim for step in steps if step.verb == "leaf"]
        return len(made) == 2 and len(passes) == 1 and max(shapes) == 2 == len(shapes)

    assert render(simplify(parse(text), fails)).splitlines() == [
        "x = leaf(1.0)",
        "w = leaf([[2.0]])",
        "y = add(x, w)",
        "z = neg(y)",
        "backward(z)",
    ]


def test_cotangents_and_leaves_are_made_to_fit_where_shapes_are_known() -> None:
    check = RandomCheck(load_engine("torch"))
    text = """
        x = leaf(shape=[3], seed=1, low=0.5, high=2.0, requires_grad=True)
        y = stack(x, x, dim=0)
        z = exp(y)
        backward(z, gradient=[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
        grad(y)
    """

    def fails(program: Program) -> bool:
        events = execute(check.engine, program).events
        ran = not any(event.refusal or event.skipped for event in events)
        return ran and {"exp", "backward"} <= {step.op or step.verb for step in program.walk()}

    found = simplify(parse(text), fails, lambda program: shapes_of(check, program))
    assert render(found).splitlines() == [
        "y = leaf(1.0, requires_grad=True)",
        "z = exp(y)",
        "backward(z)",
    ]


def test_whatever_comes_after_the_point_is_dropped() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        assert requires_grad(x)
        y = sin(x)
        backward(y)
        add_(y, other=1.0)
        assert grad(x) == y
    """
    assert simplified(text, "assert requires_grad(x)") == [
        "x = leaf([1.0], requires_grad=True)",
        "assert requires_grad(x)",
    ]


def test_no_block_is_left_empty() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        with no_grad():
            with enable_grad():
                y = sin(x)
            u = cos(x)
            with set_grad_enabled(enabled=True):
                raise
        assert requires_grad(x)
    """
    assert simplified(text, "assert") == [
        "x = leaf([1.0], requires_grad=True)",
        "assert requires_grad(x)",
    ]
    assert simplified(text, "assert", "enable_grad()", "u = cos") == [
        "x = leaf([1.0], requires_grad=True)",
        "with no_grad():",
        "    with enable_grad():",
        "        y = sin(x)",
        "    u = cos(x)",
        "assert requires_grad(x)",
    ]


def test_a_refused_step_that_is_not_the_point_is_dropped() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        y = sin(x)
        with raises():
            backward(y)
        assert not requires_grad(x)
    """
    assert simplified(text, "assert not") == [
        "x = leaf([1.0], requires_grad=True)",
        "assert not requires_grad(x)",
    ]


def test_seeded_leaves_become_plain_numbers_within_their_range() -> None:
    text = """
        x = leaf(shape=[3], seed=5, low=-2.0, high=2.0, requires_grad=True)
        w = leaf(shape=[2], seed=9, low=-3.0, high=-0.5)
        assert requires_grad(x)
        assert not requires_grad(w)
    """
    assert simplified(text, "(x)\n", "(w)")[:2] == [
        "x = leaf([1.0, 2.0, -1.0], requires_grad=True)",
        "w = leaf([-2.0, -0.5])",
    ]


def test_leaves_with_the_same_numbers_stay_twins() -> None:
    text = """
        x = leaf(shape=[2], seed=5, low=0.5, high=2.0, requires_grad=True)
        t = leaf(shape=[2], seed=5, low=0.5, high=2.0)
        assert value(x) == t
    """
    lines = simplified(text, "assert")
    assert lines[0] == "x = leaf([1.0, 2.0], requires_grad=True)"
    assert lines[1] == "t = leaf([1.0, 2.0])"


def test_numbers_that_matter_are_rounded_as_far_as_they_may_be() -> None:
    leaf = "x = leaf(shape=[], seed=5, low=0.5, high=2.0)"
    exact = float(leaf_array(parse(leaf).steps[0], "float64"))

    def fails(program: Program) -> bool:
        if len(program.steps) < 2:
            return False
        return abs(float(leaf_array(program.steps[0], "float64")) - exact) < 0.1

    found = simplify(parse(leaf + "\nvalue(x)"), fails)
    number = found.steps[0].param("value")
    assert isinstance(number, float)
    assert number * 8 == round(number * 8)
    assert abs(number - exact) < 0.1


def test_large_leaves_keep_their_seed() -> None:
    text = "x = leaf(shape=[5, 5], seed=5, low=0.5, high=2.0)\nassert not requires_grad(x)"
    assert simplified(text, "assert")[0] == "x = leaf(shape=[5, 5], seed=5, low=0.5, high=2.0)"


def test_a_program_that_cannot_be_simpler_stays_as_it_is() -> None:
    program = parse("x = leaf([1.0])\nvalue(x)")
    assert simplify(program, lambda p: p == program) == program
