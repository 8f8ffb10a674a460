"""The adapters printed in docs/adapters.md are short, and run where their engines are installed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from conformance.adapters.base import OPTIONAL
from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.notation import parse
from conformance.spec import clauses

TEXT = (Path(__file__).parents[3] / "docs" / "adapters.md").read_text(encoding="utf-8")
ADAPTERS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
PROGRAM = """
x = leaf([1.0, 2.0], requires_grad=True)
c = leaf([5.0, 7.0])
y = mul(x, c)
z = mul(y, other=2.0)
p = pow(z, exponent=2)
s = sum(p, dim=0)
backward(s)
g = grad(x)
value(g)
grad(c)
w = add(x, alpha=2.0)
"""


def test_the_documented_adapters_are_short() -> None:
    assert len(ADAPTERS) == 3
    for source in ADAPTERS:
        adapter = source[source.index("class ") :]
        assert len(adapter.strip().splitlines()) <= 30


@pytest.mark.parametrize("source", ADAPTERS, ids=["tape", "functional", "tape-context"])
def test_the_documented_adapters_run(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = re.search(r"^import (\w+)", source)
    assert library is not None
    pytest.importorskip(library[1])
    (tmp_path / "documented_adapter.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.delitem(sys.modules, "documented_adapter", raising=False)
    name = re.search(r"^class (\w+)", source, flags=re.MULTILINE)
    assert name is not None
    engine = load_engine(f"documented_adapter:{name[1]}")
    events = execute(engine, parse(PROGRAM)).events
    assert [e.describe() for e in events[:-1] if e.refusal] == []
    found = events[8].value
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, [200.0, 784.0], rtol=1e-15)
    assert events[-1].refusal is not None
    assert events[-1].refusal.category == "unsupported"


def test_every_optional_method_is_documented() -> None:
    later = {"custom_function", "saved_tensors_hooks", "jvp"}  # no verb asks for them
    missing = {name for name in OPTIONAL - later if not re.search(rf"\b{name}\b", TEXT)}
    assert missing == set()


def test_every_convention_that_a_clause_knows_is_documented() -> None:
    known = frozenset[str]().union(*(row.unless for row in clauses()))
    assert {name for name in known if f"`{name}`" not in TEXT} == set()
