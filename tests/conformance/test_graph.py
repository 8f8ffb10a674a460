"""The graph behind a violation: of the right tensors, at the right moment, the same every time."""

from __future__ import annotations

from conformance import graph
from conformance.adapters.load import load_engine
from conformance.compare.agreement import agreed
from conformance.examine import examine
from conformance.execute import execute
from conformance.graph import MOST, graph_behind
from conformance.notation import parse, render
from conformance.program import Json, Program, Step, from_json
from conformance.scope import Scope
from conformance.spec import clauses
from conformance.spec.clause import Clause, scenario
from conformance.verdict import Level
from tests.engines.wrong_torch import WrongMul

TWICE = parse(
    """
    x = leaf([1.0, 2.0], requires_grad=True)
    w = leaf([3.0, 4.0])
    y = mul(x, w)
    mul_(w, other=2.0)
    h = hook(y, action="record")
    s = sum(y)
    backward(s)
    value(y)
    grad(x)
    """
)


def titles(program: Program, step: int) -> list[Json]:
    return [box["title"] for box in graph_behind(program, step, "float64")]


def test_a_gradient_is_shown_by_the_graph_that_backward_ran_from() -> None:
    assert titles(TWICE, 8) == ["s", "SumBackward0", "MulBackward0", "x"]
    assert titles(TWICE, 6) == titles(TWICE, 8)
    assert titles(TWICE, -1) == titles(TWICE, 8)  # the process ended


def test_another_step_is_shown_by_the_graph_of_what_it_reads() -> None:
    assert titles(TWICE, 7) == ["y", "MulBackward0", "x"]
    assert titles(TWICE, 5) == ["y", "MulBackward0", "x"]
    assert titles(TWICE, 2) == []  # leaves alone


def test_a_box_says_what_a_node_saved_and_where_it_leads() -> None:
    _, total, product, leaf = graph_behind(TWICE, 8, "float64")
    assert product["rows"] == [
        ["stale", "saved other [2] v0, now v1"],
        ["write", "hooks: 1 tensor"],
    ]
    assert (product["kind"], product["outputs"]) == ("op", ["y [2]"])
    assert (total["inputs"], product["inputs"], leaf["inputs"]) == ([[2, 0]], [[3, 0], None], [])


def test_the_graph_of_grad_of_is_that_of_its_outputs() -> None:
    text = """
        x = leaf([1.0], requires_grad=True)
        y = exp(x)
        g = grad_of(outputs=[y], inputs=[x])
        value(g)
    """
    assert titles(parse(text), 2) == ["y", "ExpBackward0", "x"]
    assert titles(parse(text), 3) == ["y", "ExpBackward0", "x"]  # g itself has none


def test_what_the_reference_engine_cannot_run_has_no_graph() -> None:
    text = "x = leaf([1.0], requires_grad=True)\ny = no_such_operation(x)\nbackward(y)"
    assert titles(parse(text), 2) == []


def test_large_graphs_are_left_out() -> None:
    def chain(length: int) -> Program:
        lines = [f"x{n + 1} = exp(x{n})" for n in range(length)]
        text = "\n".join(["x0 = leaf([0.0], requires_grad=True)", *lines, f"backward(x{length})"])
        return parse(text)

    assert len(titles(chain(MOST - 2), MOST - 1)) == MOST
    assert titles(chain(MOST - 1), MOST) == []


def test_a_graph_can_be_had_before_every_step_of_every_scenario() -> None:
    engine = load_engine("reference")
    graphs = 0
    for clause in clauses():
        for program in clause.scenarios:
            steps = list(program.walk())
            raised: list[int] = []

            def look(
                number: int, scope: Scope, steps: list[Step] = steps, raised: list[int] = raised
            ) -> None:
                raised.append(number)
                graph._boxes(steps[number], scope)  # an error would be taken for a refusal
                raised.pop()

            execute(engine, program, "float64", look=look)
            assert raised == [], render(program)
            found = graph_behind(program, len(steps) - 1, "float64")
            assert found == graph_behind(program, len(steps) - 1, "float64")
            graphs += bool(found)
    assert graphs > 200


def test_a_violation_carries_its_graph() -> None:
    text = """
        x = leaf([1.0, 2.0], requires_grad=True)
        w = leaf([3.0, 4.0], requires_grad=True)
        y = mul(x, w)
        backward(y, gradient=[1.0, 1.0])
        assert grad(w) == [1.0, 2.0]
    """
    asked = Clause(
        id="TST-1", theme="test", level=Level.MUST, title="A clause.", why="Because.",
        source="here", scenarios=(scenario(text),),
    )  # fmt: skip
    (found,) = examine(WrongMul(), asked, "smoke", 0).violations
    assert found.graph[0]["title"] == "y"
    assert found.graph == graph_behind(from_json(found.program), found.step, found.dtype)


def test_looking_changes_nothing() -> None:
    engine = load_engine("reference")
    looked: list[int] = []
    plain = execute(engine, TWICE, "float64")
    seen = execute(engine, TWICE, "float64", look=lambda number, _: looked.append(number))
    assert agreed(plain.events, seen.events)
    assert looked == list(range(9))
