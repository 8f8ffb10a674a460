"""The tutorial and the training programs: unchanged on PyTorch and on the reference engine."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "examples" / "tutorial"
CHAPTERS = sorted(TUTORIAL.glob("chapter_*.py"))

#: library and default device
LIBRARIES = [("torch", None), ("reference_engine", None), ("reference_engine", "torch")]

#: runs a script, on another default device than the library's own if there is a third argument
RUN = """
import importlib, runpy, sys
script, library, *device = sys.argv[1:]
if device:
    importlib.import_module(library).set_default_device(*device)
sys.argv = [script, library]
runpy.run_path(script, run_name="__main__")
"""

#: the members of PyTorch's autograd, theme by theme; ``f(x=)`` is the keyword x in a call of f
MEMBERS = {
    "run backward": """autograd.backward backward(inputs=) autograd.grad grad(grad_outputs=)
        grad(retain_graph=) grad(create_graph=) grad(allow_unused=) grad(is_grads_batched=)
        grad(materialize_grads=) y.backward backward(gradient=) backward(retain_graph=)
        backward(create_graph=)""",
    "modes": """torch.no_grad torch.enable_grad torch.set_grad_enabled torch.inference_mode
        torch.is_grad_enabled torch.is_inference_mode_enabled""",
    "anomaly": "autograd.detect_anomaly autograd.set_detect_anomaly set_detect_anomaly(check_nan=)",
    "checking": "autograd.gradcheck autograd.gradgradcheck GradcheckError",
    "Function": """autograd.Function Power.apply def:forward def:setup_context def:backward def:vjp
        def:jvp function.once_differentiable""",
    "FunctionCtx": """ctx.save_for_backward ctx.save_for_forward ctx.mark_dirty
        ctx.mark_non_differentiable ctx.set_materialize_grads ctx.saved_tensors
        ctx.needs_input_grad""",
    "graph": """graph.Node node.name node.next_functions node.metadata product.register_hook
        node.register_prehook graph.GradientEdge graph.get_gradient_edge
        graph.increment_version""",
    "saved tensors": """graph.saved_tensors_hooks graph.save_on_cpu
        graph.disable_saved_tensors_hooks graph.allow_mutation_on_saved_tensors""",
    "hooks": """y.register_hook x.register_post_accumulate_grad_hook
        graph.register_multi_grad_hook register(mode=)""",
    "tensor state": """x.grad half.grad_dtype y.grad_fn x.is_leaf y.requires_grad y.requires_grad_
        y.retain_grad y.retains_grad y.detach y.detach_ y.data y._version y.output_nr view._base
        view._is_view x.is_inference z.numpy copy.deepcopy pickle.dumps pickle.loads""",
    "forward mode": """forward_ad.dual_level forward_ad.make_dual forward_ad.unpack_dual
        forward_ad.enter_dual_level forward_ad.exit_dual_level""",
    "functional": """functional.vjp functional.jvp functional.vhp functional.hvp
        functional.jacobian functional.hessian""",
    "func": """func.grad func.grad_and_value func.vjp func.jvp func.linearize func.jacrev
        func.jacfwd func.hessian func.vmap func.functional_call""",
    "adjacent": """checkpoint.checkpoint checkpoint(use_reentrant=) utils.clip_grad_norm_
        utils.clip_grad_value_""",
}


def run(script: Path, library: str, device: str | None) -> str:
    """What a script prints. Its failures and the reference engine's warnings fail the test."""
    strict = ["-W", "error"] if library == "reference_engine" else []  # torch warns about itself
    done = subprocess.run(
        [sys.executable, *strict, "-c", RUN, str(script), library, *([device] if device else [])],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{TUTORIAL}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("library", "device"), LIBRARIES)
def test_the_tutorial_runs(library: str, device: str | None) -> None:
    printed = run(TUTORIAL / "__main__.py", library, device).split("\n")
    assert [line.split(".")[0] for line in printed if line] == [str(n) for n in range(1, 11)]


def test_a_chapter_runs_alone() -> None:
    assert run(CHAPTERS[0], "reference_engine", None) == ""


def uses(tree: ast.AST) -> set[str]:
    """Names, dotted names of two parts, functions defined and keywords passed in some code."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found |= {node.attr, f"{_last(node.value)}.{node.attr}"}
        elif isinstance(node, ast.FunctionDef):
            found.add(f"def:{node.name}")
        elif isinstance(node, ast.Call):
            found |= {f"{_last(node.func)}({k.arg}=)" for k in node.keywords}
    return found


def _last(node: ast.expr) -> str:
    return str(getattr(node, "attr", None) or getattr(node, "id", ""))


@pytest.fixture(scope="module")
def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text(encoding="utf-8")) for path in CHAPTERS]


@pytest.mark.parametrize("theme", MEMBERS)
def test_the_tutorial_touches_every_member(theme: str, trees: list[ast.Module]) -> None:
    used = set().union(*map(uses, trees))
    assert sorted(set(MEMBERS[theme].split()) - used) == []


def test_the_tutorial_decorates_a_function_and_a_generator(trees: list[ast.Module]) -> None:
    generators = [
        any(isinstance(part, ast.Yield) for part in ast.walk(node))
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "torch.no_grad" in _decorators(node)
    ]
    assert sorted(generators) == [False, True]


def _decorators(node: ast.FunctionDef) -> set[str]:
    return set().union(*map(uses, node.decorator_list), set())


def test_a_chapter_names_no_library(trees: list[ast.Module]) -> None:
    for tree in trees:
        for node in ast.walk(tree):
            imported = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert not {"torch", "reference_engine"} & set(imported)
            assert getattr(node, "id", "") != "reference_engine"


def test_every_chapter_asserts(trees: list[ast.Module]) -> None:
    counts = [sum(isinstance(node, ast.Assert) for node in ast.walk(tree)) for tree in trees]
    assert len(counts) == 10
    assert min(counts) >= 3


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    script = ROOT / "examples" / "training.py"
    return [json.loads(run(script, library, device)) for library, device in LIBRARIES]


@pytest.mark.parametrize("program", ["D1", "D2", "D3"])
def test_training_programs_come_to_the_same(program: str, results: list[dict[str, Any]]) -> None:
    expected, *others = (result[program] for result in results)
    # float32 for D1 and D3, from equal weights; the descent of D2 is in float64
    rtol = 1e-12 if program == "D2" else 1e-5
    for found in others:
        assert found.keys() == expected.keys()
        for key in expected:
            np.testing.assert_allclose(found[key], expected[key], rtol=rtol, err_msg=key)
