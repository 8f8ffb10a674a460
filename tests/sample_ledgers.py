"""Ledgers made by hand, for the tests of whatever reads ledgers: every status, kind and oddity."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.ledger import EngineFacts, Ledger, RunFacts
from conformance.notation import parse, render
from conformance.program import Json, to_json
from conformance.verdict import ClauseResult, Kind, Level, OperationResult, Status, Violation

TOOL = {
    "autograd-conformance": "0.1.0",
    "Python": "3.11.2",
    "NumPy": "2.4.1",
    "Hypothesis": "6.150.0",
}
DOC = "https://docs.pytorch.org/docs/stable/notes/autograd.html"

ACCUMULATES = """
x = leaf([1.0, 2.0, -0.5], requires_grad=True)
y = mul(x, other=3.0)
s = sum(y)
backward(s, retain_graph=True)
assert grad(x) == [3.0, 3.0, 3.0]
backward(s)
assert grad(x) == [6.0, 6.0, 6.0]
"""
HAZARD = """
a = leaf([1.0, 2.0, 3.0], requires_grad=True)
out = sigmoid(a)
c = detach(out)
zero_(c)
assert value(out) == [0.0, 0.0, 0.0]
s = sum(out)
with raises():
    backward(s)
"""
MODES = """
x = leaf([[0.5, 1.0], [2.0, -1.25]], requires_grad=True)
with no_grad():
    y = exp(x)
    with enable_grad():
        z = matmul(x, y)
    assert not requires_grad(y)
assert requires_grad(z)
w = sum(z)
backward(w)
g = grad(x)
assert is_leaf(x)
"""
LONG = "\n".join(
    ["x0 = leaf(shape=[3, 4, 5], seed=1729, low=-2.0, high=2.0, requires_grad=True)"]
    + [
        f"x{i + 1} = nn.functional.batch_norm_with_a_rather_long_operation_name(x{i}, "
        f"weight={i / 8}, momentum=0.1, eps=1e-05, training=True)"
        for i in range(40)
    ]
    + ["s = sum(x40)", "backward(s)", "assert grad(x0) is None"]
)
SCRIPT = """\
import torch

x = torch.tensor([1.0, 2.0, -0.5], requires_grad=True)  # float32
s = (x * 3.0).sum()
s.backward(retain_graph=True)
s.backward()
print("expected [6. 6. 6.], observed", x.grad.numpy())
assert x.grad.tolist() == [6.0, 6.0, 6.0], "ACC-2: gradients accumulate"
"""


def violation(
    kind: Kind,
    text: str = ACCUMULATES,
    step: int = 6,
    *,
    cause: str = "grad differs: mul",
    operation: str | None = "mul",
    dtype: str = "float32",
    expected: str = "[6., 6., 6.]",
    observed: str = "[3., 3., 3.]",
    message: str = "grad(x) at step 6 differs from the clause's figure.",
    reproduction: str = SCRIPT,
    oracle: str = "clause",
    tags: tuple[str, ...] = (),
    graph: tuple[dict[str, Json], ...] = (),
) -> Violation:
    program = parse(text, tags)
    return Violation(
        cause, kind, operation, dtype, to_json(program), render(program), step,
        expected, observed, message, reproduction, oracle, tags, graph,
    )  # fmt: skip


def box(
    kind: str,
    title: str,
    output: str = "[3]",
    inputs: Sequence[tuple[int, int] | None] = (),
    *rows: tuple[str, str],
) -> dict[str, Json]:
    edges: list[Json] = [None if edge is None else list(edge) for edge in inputs]
    texts: list[Json] = [list(row) for row in rows]
    return {"kind": kind, "title": title, "outputs": [output], "rows": texts, "inputs": edges}


GRAPH = (
    box("tensor", "s", "[]", [(1, 0)], ("soft", "requires_grad")),
    box("op", "SumBackward0", "s []", [(2, 0)]),
    box("op", "AddBackward0", "z [3]", [(3, 0), (5, 0)]),
    box("view", "SelectBackward0", "v [3]", [(4, 0)]),
    box("op", "MulBackward0", "y [3]", [(5, 0), None], ("stale", "saved other [3] v0, now v1")),
    box("leaf", "x", "[3]", (), ("soft", "requires_grad, no grad yet, v0")),
)
SILENT = violation(
    Kind.SILENTLY_WRONG,
    message="The second backward overwrote the gradient of `x` where it should have added to it.",
    tags=("A6", "B5"),
    graph=GRAPH,
)
PARTLY = violation(
    Kind.SILENTLY_WRONG,
    MODES,
    9,
    cause="grad differs: matmul",
    operation="matmul",
    dtype="float64",
    expected="[[2.25, 4.], [4.25, 2.64872127]]",
    observed="[[2.25, 4.], [4.25, -2.64872127]]",
    message="The gradient of `x` has the wrong sign in 1 of 4 places (4.1e+15 ulp).",
    oracle="differential",
)
MISSING = violation(
    Kind.NOT_REFUSED,
    HAZARD,
    6,
    cause="no error: backward",
    operation="sigmoid",
    expected="an error: a value saved for backward was modified in place",
    observed="succeeded",
    message="backward ran on values that were modified in place, and a.grad reads [0., 0., 0.].",
    tags=("B13",),
)
LOUD = violation(
    Kind.REFUSED_LOUDLY,
    cause="raised: retain_graph",
    operation=None,
    step=3,
    expected="success",
    observed="raised TypeError: backward() got an unexpected keyword argument 'retain_graph'",
    message="backward(s, retain_graph=True) was refused.",
)
HOSTILE = violation(
    Kind.REFUSED_LOUDLY,
    cause="raised: <script>",
    operation="div",
    step=99,
    expected='<b>"bold"</b> & plain',
    observed="raised ValueError: </code><script>alert('x')</script><img src=x onerror=alert(1)>",
    message="<script>document.title='broken'</script> ∂ℒ/∂θ → «ünïcödé» 漢字 🔥 " + "x" * 200,
    reproduction="print('</script><script>alert(2)</script>')\n",
    oracle="finite_difference",
    graph=(
        box("tensor", "</text></svg><script>alert(3)</script>", '"><b>', [(1, 0)]),
        box("leaf", "x" * 300, "[1]", (), ("soft", "<img src=x onerror=alert(4)> & plain")),
    ),
)
SPRAWLING = violation(
    Kind.SILENTLY_WRONG,
    LONG,
    42,
    cause="no gradient",
    operation="nn.functional.batch_norm_with_a_rather_long_operation_name",
    expected="float64[3, 4, 5] [" + ", ".join(f"{i / 7:.8g}" for i in range(60)) + "]",
    observed="None",
    message="No gradient reached `x0`.",
    reproduction="import torch\n" + "\n".join(f"x{i} = torch.ones({i}) * {i}.0" for i in range(9)),
    oracle="differential",
)
CRASH = violation(
    Kind.CRASHED,
    cause="crashed",
    operation="conv2d",
    expected="success",
    observed="the process ended with signal 11 (SIGSEGV)",
    message="The engine's process died with signal 11.",
)

TITLES = {
    "leaf_gradients": "After backward, a leaf that requires a gradient carries one of its shape.",
    "accumulation": "A second backward adds to the gradient that a leaf already has.",
    "cotangents": "Backward from a non-scalar takes a cotangent of the output's shape and contracts"
    " it with the Jacobian, in any memory layout.",
    "retained_graphs": "A graph that was not retained is freed, and backward on it is refused.",
    "detach": "`detach()` returns a tensor that shares storage with its source and takes no part"
    " in its graph.",
    "data_hazards": "An in-place write to a value that backward needs is noticed by backward.",
    "grad_modes": "Results of operations inside `no_grad` require no gradient, whatever goes in.",
}
PREFIXES = dict(zip(TITLES, ("LEAF", "ACC", "COT", "RET", "DET", "DAT", "MOD"), strict=True))
WHY = "Training loops that add up micro-batches read a wrong sum, and no error tells them."


def clause(theme: str, number: int, status: Status = Status.HOLDS, **more: object) -> ClauseResult:
    facts: dict[str, object] = {
        "level": Level.SHOULD if number == 8 else Level.MUST,
        "title": TITLES[theme],
        "programs": 31 + number,
        "max_error_ulp": number / 4,
        "source": DOC,
        "why": WHY,
        "tags": (f"A{number}", "B7"),
    }
    return ClauseResult(
        id=f"{PREFIXES[theme]}-{number}", theme=theme, status=status, **{**facts, **more}
    )  # type: ignore[arg-type]


def clauses(odd: dict[str, ClauseResult], each: int = 8) -> tuple[ClauseResult, ...]:
    every = [clause(theme, n) for theme in TITLES for n in range(1, each + 1)]
    return tuple(odd.get(c.id, c) for c in every)


def violated(theme: str, number: int, *violations: Violation, **more: object) -> ClauseResult:
    return clause(theme, number, Status.VIOLATED, violations=violations, **more)


def operations(bad: str | None = None) -> tuple[OperationResult, ...]:
    names = ("add", "exp", "matmul", "nn.functional.conv2d", "sigmoid", "sum")
    return tuple(
        OperationResult(
            name, dtype, Status.VIOLATED if name == bad else Status.HOLDS, 12 * i + 7, error
        )
        for i, name in enumerate(names)
        for dtype, error in (("float32", 0.5 * i), ("float64", None if i == 2 else 0.25))
        if not (name == "sum" and dtype == "float32")
    )


def ledger(
    name: str,
    version: str,
    results: tuple[ClauseResult, ...],
    *,
    complete: bool = True,
    select: str = "*",
    rows: tuple[OperationResult, ...] = (),
) -> Ledger:
    return Ledger(
        TOOL,
        EngineFacts(name, version, CAPABILITIES, "TorchLikeEngine"),
        RunFacts("default", 0, select, complete),
        results,
        rows,
        {
            "started": "2026-11-21T09:00:00+00:00",
            "seconds": 41.7312,
            "jobs": 2,
            "host": "builder-7",
        },
    )


CAPABILITIES = (
    "apply_", "backward", "backward.create_graph", "backward.gradient", "backward.retain_graph",
    "data", "detach", "detach_", "dtype:float32", "dtype:float64", "grad", "grad_of", "no_grad",
    "register_hook", "requires_grad", "retain_grad", "version",
)  # fmt: skip

GOOD = ledger("torch", "2.13.0+cpu", clauses({}), rows=operations())
REFERENCE = ledger(
    "reference[backend=torch,device=cuda]",
    "0.1.0",
    clauses({"LEAF-3": clause("leaf_gradients", 3, Status.INCONCLUSIVE, inconclusive=4,
                              note="The oracles disagree on 4 of 34 programs.")}),
    rows=operations(),
)  # fmt: skip
FAULTY = ledger(
    "tinytape",
    "0.3.1",
    clauses(
        {
            "ACC-2": violated("accumulation", 2, LOUD, SILENT),
            "ACC-8": violated("accumulation", 8, LOUD),
            "MOD-4": violated("grad_modes", 4, PARTLY),
            "DAT-1": violated("data_hazards", 1, MISSING),
            "DAT-2": clause("data_hazards", 2, Status.UNSUPPORTED, programs=0,
                            note="The engine has no version counter."),
            "DAT-5": clause("data_hazards", 5, Status.UNSUPPORTED, programs=0),
            "RET-3": violated("retained_graphs", 3, HOSTILE),
            "RET-6": violated("retained_graphs", 6, SPRAWLING),
            "COT-5": clause("cotangents", 5, Status.CRASHED, violations=(CRASH,)),
            "COT-6": clause("cotangents", 6, Status.TIMED_OUT, note="No answer within 20 s."),
            "DET-7": clause("detach", 7, Status.UNEXERCISED, programs=0,
                            note="Every program needs an operation that it lacks."),
            "DET-2": clause("detach", 2, Status.INCONCLUSIVE, inconclusive=3),
        }
    ),
    complete=False,
    rows=operations("matmul"),
)  # fmt: skip
EMPTY = ledger("nothing", "1.0", (), select="ZZZ-*")
ALL = (GOOD, REFERENCE, FAULTY)
