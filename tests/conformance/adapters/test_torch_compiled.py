"""Compiled PyTorch: what is compiled is what the program computes, once for each shape."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from conformance.adapters.load import load_engine  # noqa: E402
from conformance.adapters.written import Written  # noqa: E402
from conformance.errors import EngineLoadError  # noqa: E402
from conformance.execute import execute  # noqa: E402
from conformance.notation import parse  # noqa: E402

PROGRAM = """\
x = leaf({values}, requires_grad=True)
c = leaf({factor})
a, b = unbind(x)
p = mul(a, b)
y = mul(p, c)
d = detach(y)
both = cat(y, d, dim=0)
z = sum(both)
backward(z)
grad(x)
"""


def run(engine: Any, values: str, factor: str = "[2.0, 3.0]") -> Any:
    program = parse(PROGRAM.format(values=values, factor=factor))
    (event,) = execute(engine, program).events[-1:]
    return event.value.tolist()


def test_gradients_are_those_of_the_compiled_function(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = load_engine("torch[compile=eager]")
    compiled: list[object] = []
    compile_it = torch.compile

    def counted(function: Any, **options: Any) -> Any:
        compiled.append(options["backend"])
        return compile_it(function, **options)

    monkeypatch.setattr(torch, "compile", counted)
    assert run(engine, "[[1.0, 2.0], [3.0, 4.0]]") == [[6.0, 12.0], [2.0, 6.0]]
    assert run(engine, "[[1.0, 1.0], [5.0, 6.0]]", "[1.0, 2.0]") == [[5.0, 12.0], [1.0, 2.0]]
    assert compiled == ["eager"], "one function of one shape"
    assert run(engine, "[[7.0], [8.0]]", "[5.0]") == [[40.0], [35.0]]
    assert compiled == ["eager", "eager"]


def test_a_function_is_written_with_what_it_takes() -> None:
    x, k = torch.ones(2), torch.ones(3)
    written = Written(torch.Tensor, [x])
    parts = torch.ones(2), torch.ones(2)
    written.note("split", (x,), {"split_size_or_sections": (1, 1)}, parts)
    written.note("take", (parts[1],), {"index": k}, end := torch.ones(1))
    assert written.text((end, x)) == (
        "def function(x0, k0):\n"
        "    r0 = apply('split', x0, **{'split_size_or_sections': (1, 1, ), })\n"
        "    r1 = apply('take', r0[1], **{'index': k0, })\n"
        "    return (r1, x0, )\n"
    )
    assert written.constants[0] is k


def test_an_unknown_compiler_is_named() -> None:
    with pytest.raises(EngineLoadError, match="compile='gcc' is unknown"):
        load_engine("torch[compile=gcc]")
