"""Scripts: at most ten lines, standalone, failing the way the judge saw it; readable code."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.judge import judge
from conformance.notation import parse
from conformance.reproduce import MOST_LINES, script
from conformance.verdict import Finding, Kind, Outcome
from tests.engines import wrong_torch

ROOT = Path(__file__).parents[2]


def violated(engine: Engine, text: str, dtype: str | None = None) -> tuple[Finding, str]:
    program = parse(text)
    finding = judge(engine, program, dtype=dtype)
    assert finding.outcome is Outcome.VIOLATED, finding
    code = script(engine, program, finding.dtype, finding)
    assert len(code.splitlines()) <= MOST_LINES, code
    return finding, code


def run(code: str) -> tuple[str, BaseException | None]:
    """Run a script in this process; return what it printed and what it raised."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "<script>", "exec"), {"__name__": "__main__"})
    except Exception as error:  # noqa: BLE001  (a script may end by any error)
        return printed.getvalue(), error
    finally:
        torch.set_grad_enabled(True)
    return printed.getvalue(), None


def load(name: str) -> Engine:
    return load_engine(f"tests.engines.wrong_torch:{name}")


CASES = {
    "a wrong gradient by the oracle": (
        "WrongMul",
        "x = leaf([1.0, 2.0], requires_grad=True)\nw = leaf([3.0, 4.0], requires_grad=True)\n"
        "y = mul(x, w)\nl = sum(y)\nbackward(l)\ngrad(x)\ngrad(w)",
    ),
    "a wrong gradient by a figure": (
        "WrongMul",
        "x = leaf([1.0, 2.0])\nw = leaf([3.0, 4.0], requires_grad=True)\ny = mul(x, w)\n"
        "backward(y, gradient=[1.0, 0.5])\nassert grad(w) == [1.0, 1.0]",
    ),
    "a wrong value": ("WrongSine", "x = leaf(shape=[2, 2], seed=3)\ny = sin(x)\nvalue(y)"),
    "a value that differs from another": (
        "WrongSine",
        "x = leaf([0.5])\ny = sin(x)\nc = cos(x)\ns = mul(c, c)\nt = neg(s)\n"
        "u = add(t, other=1.0)\nz = sqrt(u)\nassert value(y) == z",
    ),
    "an error that is owed": (
        "NeverFrees",
        "x = leaf([1.0], requires_grad=True)\ny = sin(x)\nbackward(y, gradient=[1.0])\n"
        "with raises():\n    backward(y, gradient=[1.0])",
    ),
    "a refusal": ("RefusesExp", "x = leaf([1.0])\ny = exp(x)\nvalue(y)"),
    "a gradient that is absent": (
        "NoGradients",
        "x = leaf([1.0], requires_grad=True)\nl = sum(x)\nbackward(l)\ngrad(x)",
    ),
    "a gradient that should be absent": (
        "Sound",
        "x = leaf([1.0], requires_grad=True)\nl = sum(x)\nbackward(l)\nassert grad(x) is None",
    ),
    "a flag": (
        "NoGradTracks",
        "x = leaf([1.0], requires_grad=True)\nwith no_grad():\n    y = mul(x, other=2.0)\n"
        "    assert not requires_grad(y)",
    ),
    "a flag after a decorated block": (
        "NoGradTracks",
        "x = leaf([1.0], requires_grad=True)\nwith no_grad(decorator=True):\n"
        "    y = mul(x, other=2.0)\n    z = sin(y)\nrequires_grad(z)",
    ),
    "a flag after an exception": (
        "Sound",
        "x = leaf([1.0], requires_grad=True)\nwith no_grad():\n    y = mul(x, other=2.0)\n"
        "    raise\nz = mul(x, other=2.0)\nassert not requires_grad(z)",
    ),
    "the name of a node": (
        "Sound",
        "x = leaf([1.0], requires_grad=True)\ny = neg(x)\nassert grad_fn(y) == 'AddBackward0'",
    ),
    "a node that should not be": (
        "NoGradTracks",
        "x = leaf([1.0], requires_grad=True)\nwith no_grad():\n    y = neg(x)\ngrad_fn(y)",
    ),
    "a version": (
        "UncheckedWrites",
        "x = leaf([1.0])\nadd_(x, other=1.0)\nassert version(x) == 1",
    ),
    "a shape": (
        "FlatGradients",
        "x = leaf([[1.0, 2.0]], requires_grad=True)\nl = sum(x)\nbackward(l)\ngrad(x)",
    ),
    "a dtype": (
        "SingleGradients",
        "x = leaf([1.0], requires_grad=True)\nl = sum(x)\nbackward(l)\ngrad(x)",
    ),
    "a dtype beside a figure": (
        "SingleGradients",
        "x = leaf([1.0], requires_grad=True)\nl = sum(x)\nbackward(l)\nassert grad(x) == [1.0]",
    ),
    "a log of hooks": (
        "SilentHooks",
        "x = leaf([1.0], requires_grad=True)\nhook(x, action='record')\n"
        "backward(x, gradient=[1.0])\nassert hook_log() == [[1.0]]",
    ),
    "what a hook changes": (
        "SilentHooks",
        "x = leaf([1.0], requires_grad=True)\nh = hook(x, action='double')\n"
        "backward(x, gradient=[1.0])\nassert grad(x) == [2.0]",
    ),
    "a hazard": (
        "UncheckedWrites",
        "x = leaf([0.5], requires_grad=True)\ny = sigmoid(x)\nmul_(y, other=2.0)\n"
        "with raises():\n    backward(y, gradient=[1.0])",
    ),
    "a slope": (
        "UncheckedWrites",
        "x = leaf([0.5], requires_grad=True)\ny = sigmoid(x)\nmul_(y, other=2.0)\n"
        "backward(y, gradient=[1.0])\ngrad(x)",
    ),
    "not a number": (
        "Sound",
        "x = leaf([float('nan'), 1.0])\ny = mul(x, other=2.0)\nassert value(y) == [1.0, 2.0]",
    ),
    "a complex gradient": (
        "WrongMul",
        "x = leaf([1.0+2.0j])\nw = leaf([3.0-1.0j], requires_grad=True)\ny = mul(x, w)\n"
        "backward(y, gradient=[1.0+1.0j])\ngrad(w)",
    ),
    "a result of grad_of": (
        "WrongMul",
        "x = leaf([1.0])\nw = leaf([3.0], requires_grad=True)\ny = mul(x, w)\n"
        "g = grad_of(outputs=[y], inputs=[w], grad_outputs=[2.0])\nassert value(g) == [2.0]",
    ),
}


def test_every_kind_of_violation_is_among_the_cases() -> None:
    kinds = {violated(load(engine), text)[0].kind for engine, text in CASES.values()}
    assert kinds == {Kind.SILENTLY_WRONG, Kind.NOT_REFUSED, Kind.REFUSED_LOUDLY}


@pytest.mark.parametrize("name", CASES)
def test_a_script_over_the_adapter_fails_the_same_way(name: str) -> None:
    engine, text = CASES[name]
    finding, code = violated(load(engine), text)
    _, error = run(code)
    if finding.kind is Kind.REFUSED_LOUDLY:
        assert isinstance(error, ValueError)
    else:
        assert isinstance(error, AssertionError), (code, error)
        assert str(error), code


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[0] != "Sound"])
def test_a_script_over_the_adapter_passes_once_the_defect_is_repaired(name: str) -> None:
    engine, text = CASES[name]
    _, code = violated(load(engine), text)
    _, error = run(code.replace(f"wrong_torch:{engine}", "wrong_torch:Sound"))
    assert error is None, code


PLAIN = {
    name: text
    for name, (engine, text) in CASES.items()
    if engine == "Sound" or name == "a wrong gradient by a figure"
}


@pytest.mark.parametrize("name", PLAIN)
def test_scripts_for_torch_are_plain_torch(name: str) -> None:
    engine = load_engine("torch")
    text = PLAIN[name].replace("assert grad(w) == [1.0, 1.0]", "assert grad(w) == [9.0, 1.0]")
    _, code = violated(engine, text)
    assert "conformance" not in code
    assert "import torch" in code
    _, error = run(code)
    assert isinstance(error, AssertionError), (code, error)


def test_the_plain_script_reads_as_its_author_would_have_written_it() -> None:
    _, code = violated(
        load_engine("torch"),
        """
        x = leaf([1.0, 2.0], requires_grad=True)
        with no_grad():
            c = mul(x, other=2.0)
        y = sum(c, dim=0)
        z = mul(x, y)
        z2 = view(z, size=[2, 1])
        backward(z2, gradient=[[1.0], [1.0]], retain_graph=True)
        assert grad(x) == [0.0, 6.0]
        """,
        "float32",
    )
    assert code == (
        "import numpy as np\n"
        "import torch\n"
        "x = torch.tensor([1.0, 2.0], dtype=torch.float32, requires_grad=True)\n"
        "with torch.no_grad():\n"
        "    c = torch.mul(x, other=2.0)\n"
        "y = torch.sum(c, dim=0)\n"
        "z = torch.mul(x, y)\n"
        "z2 = z.view(size=[2, 1])\n"
        "z2.backward(torch.tensor([[1.0], [1.0]], dtype=z2.dtype), retain_graph=True)\n"
        "np.testing.assert_allclose(x.grad.detach().numpy(), "
        'np.array([0.0, 6.0], "float32"), rtol=0, atol=4e-04, strict=True)\n'
    )


def test_scripts_for_the_reference_engine_import_it_as_torch() -> None:
    text = "x = leaf([1.0], requires_grad=True)\nl = sum(x)\nbackward(l)\nassert grad(x) == [2.0]"
    for name, head in (
        ("reference", "import reference_engine as torch\n"),
        ("reference[backend=torch]", "torch.set_default_device('torch')\n"),
    ):
        _, code = violated(load_engine(name), text)
        assert head in code
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "AssertionError" in done.stderr


def test_a_script_runs_on_its_own() -> None:
    _, code = violated(load("WrongSine"), CASES["a wrong value"][1])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
    assert "ACTUAL" in done.stderr
    assert "DESIRED" in done.stderr


def test_a_program_too_long_for_ten_lines_is_judged_anew() -> None:
    names = [f"y{n}" for n in range(8)]
    blocks = "\n".join(
        f"with no_grad():\n    with enable_grad():\n        {name} = sin(x)\n    z{name} = cos(x)"
        for name in names
    )
    text = f"x = leaf([0.5], requires_grad=True)\n{blocks}\nvalue(y7)"
    finding, code = violated(load("WrongSine"), text)
    assert "parse(" in code
    printed, error = run(code)
    assert isinstance(error, AssertionError)
    assert str(error) == finding.message
    assert printed.startswith("expected [0.47942554] observed")


def test_large_leaves_are_judged_anew_rather_than_written_out() -> None:
    _, code = violated(load("WrongSine"), "x = leaf(shape=[20, 20], seed=1)\ny = sin(x)\nvalue(y)")
    assert "parse(" in code
    assert isinstance(run(code)[1], AssertionError)


def test_bfloat16_has_a_script_too() -> None:
    text = "x = leaf([1.0])\ny = mul(x, other=3.0)\nassert value(y) == [2.0]"
    for engine in (load_engine("torch"), load("Sound")):
        _, code = violated(engine, text, "bfloat16")
        assert isinstance(run(code)[1], AssertionError), code


def test_without_a_finding_a_script_only_runs_the_program() -> None:
    program = parse("x = leaf([1.0], requires_grad=True)\nl = sum(x)\nbackward(l)\ngrad(x)")
    code = script(load_engine("torch"), program, "float64")
    assert code == (
        "import torch\n"
        "x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)\n"
        "l = torch.sum(x)\n"
        "l.backward()\n"
    )
    assert run(code) == ("", None)


def test_scripts_write_only_what_they_need() -> None:
    _, code = violated(wrong_torch.WrongSine(), "x = leaf([0.5])\nvalue(x)\ny = sin(x)\nvalue(y)")
    assert code.count("engine.numpy") == 1
