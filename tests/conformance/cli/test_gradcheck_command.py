"""`gradcheck MODULE:FUNCTION`: inputs by name or by shape, exit codes, the page, mistakes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.cli.gradients import gradcheck
from conformance.errors import UsageError

SOURCE = """
import torch

def cube(x):
    return x ** 3

cube_inputs = (torch.tensor([1.0, 2.0], dtype=torch.float64),)

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, g):
        return g * 2 * ctx.saved_tensors[0] ** 2
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "checked_ops.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("checked_ops", None)
    return "checked_ops"


def run(*arguments: str) -> tuple[int, str]:
    runner = CliRunner()
    result = runner.invoke(gradcheck, arguments, standalone_mode=False, catch_exceptions=False)
    return result.return_value, result.output


def test_a_right_function_with_named_inputs(module: str) -> None:
    code, output = run(f"{module}:cube")
    assert code == 0
    assert output.startswith("pass: cube on torch")


def test_a_wrong_function_with_random_inputs_and_a_page(module: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, output = run(f"{module}:Wrong", "--shape", "2,3", "--mode", "full", "--out", str(page))
    assert code == 1
    assert "formula" in output
    assert "6 wrong" in page.read_text(encoding="utf-8")


def test_json_output(module: str) -> None:
    code, output = run(f"{module}:cube", "--json")
    assert code == 0
    assert json.loads(output)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cube",), "MODULE:FUNCTION"),
        (("no_such_module_here:f",), "cannot import"),
        (("checked_ops:absent",), "no attribute"),
        (("checked_ops:Wrong",), "--shape"),
        (("checked_ops:cube", "--shape", "2", "--dtype", "int64"), "float or complex"),
    ],
)
def test_mistakes(module: str, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*arguments)
