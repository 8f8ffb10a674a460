"""The engine in JavaScript: it is what the page of the protocol promises, and behaves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.judge import judge
from conformance.notation import parse
from conformance.program import VERBS
from conformance.spec import clauses
from conformance.verdict import Outcome

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "javascript-engine"
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
ENGINE = f"process:node {FOLDER / 'server.js'}"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


def test_it_is_tiny() -> None:
    assert sum(len(path.read_text().splitlines()) for path in FOLDER.glob("*.js")) < 300


def test_the_page_names_every_verb() -> None:
    table = PAGE[PAGE.index("### Verbs") :]
    assert [name for name in VERBS if f"`{name}`" not in table] == []
    missing = {
        parameter
        for row in VERBS.values()
        for parameter in row.params - {"*", "value", "shape", "seed", "low", "high"}
        if f"`{parameter}`" not in table
    }
    assert missing == set()


@needs_node
def test_the_messages_of_the_page_are_true() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    decoder = json.JSONDecoder()
    messages = []
    for block in blocks:
        rest = block.strip()
        while rest:
            message, end = decoder.raw_decode(rest)
            messages.append(message)
            rest = rest[end:].strip()
    hello, greeting, run, observed = messages
    lines = json.dumps(hello) + "\n" + json.dumps(run) + "\n"
    ended = subprocess.run(
        ["node", str(FOLDER / "server.js")], input=lines, capture_output=True, text=True, check=True
    )
    first, second = map(json.loads, ended.stdout.splitlines())
    assert first.keys() == greeting.keys()
    assert first["engine"].keys() == greeting["engine"].keys()
    assert second == observed


@needs_node
def test_it_holds_in_every_scenario_that_it_supports() -> None:
    engine = load_engine(ENGINE)
    asked = [row for row in clauses() if row.needs <= engine.capabilities]
    findings = [judge(engine, program) for row in asked for program in row.scenarios]
    assert [f.message for f in findings if f.outcome is Outcome.VIOLATED] == []
    assert sum(f.outcome is Outcome.HOLDS for f in findings) >= 70


@needs_node
def test_it_computes_in_single_precision_and_refuses() -> None:
    program = parse("""
        x = leaf([[0.5, 2.0], [1.0, 4.0]], requires_grad=True)
        c = leaf([3.0, 5.0])
        y = div(x, c)
        z = sum(y, dim=-1, keepdim=True)
        m = mean(z)
        with no_grad():
            with enable_grad():
                raise
            w = exp(x)
        backward(m)
        with raises():
            backward(m)
        grad(x)
        requires_grad(w)
        q = cosh(x)
    """)
    events = execute(load_engine(ENGINE), program, "float32").events
    assert [e.refusal.category for e in events if e.refusal] == ["refused", "unsupported"]
    gradient, flag = (e.value for e in events if e.seen)
    assert flag is False
    expected = np.array([[1 / 6, 0.1]] * 2, np.float32)
    np.testing.assert_allclose(gradient, expected, rtol=2e-7, strict=True)  # type: ignore[arg-type]
