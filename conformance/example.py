"""Examples: a program of the specification as it would be typed in PyTorch, figures as assertions.

The code runs as it stands, on PyTorch and on any module with PyTorch's names.
"""

from __future__ import annotations

from conformance.leaves import literal_array
from conformance.notation import literal_text
from conformance.observation import Array
from conformance.program import BLOCKS, Literal, Program, Ref, Step
from conformance.spec.clause import Clause
from conformance.spelling import TooLong, TorchSpelling, array_text

MOST_LINES = 40
"""Longer programs are no examples."""
_DTYPE = "float32"
"""PyTorch's default: leaves that name no dtype are written without one."""
_INDENT = "    "
_EXACT = 2.0**12
"""Figures that are multiples of 1/_EXACT are compared as they are, others up to rounding."""
_SILENT = frozenset("value requires_grad is_leaf grad_fn version is_grad_enabled hook_log".split())
"""Observations that, without a figure, leave no trace in an example."""


def example(row: Clause) -> tuple[str, int] | None:
    """Return the first scenario of a clause that is short enough to be typed in.

    With it comes its number from 1; None where there is none.
    """
    for number, program in enumerate(row.scenarios, 1):
        try:
            text = code(program)
        except TooLong:
            continue
        if text.count("\n") <= MOST_LINES:
            return text, number
    return None


def code(program: Program) -> str:
    """Return the program in PyTorch's spelling. Raises `TooLong` where a leaf cannot be typed."""
    lines = _lines(program.steps, _Spelling(_DTYPE, "import torch", _Names()), "")
    text = "\n".join(lines)
    head = ["import torch"]
    if "suppress(" in text:
        head.insert(0, "from contextlib import suppress")
    if "raises(" in text:
        head.insert(len(head) - 1, "from pytest import raises")
    if "log.append(" in text or " in log]" in text:
        lines.insert(0, "log = []")
    return "\n".join([*head, "", *lines]) + "\n"


class _Names:
    """Stands for PyTorch, which need not be installed: what is no method alone is a function."""

    _METHODS = frozenset("copy expand to view".split())

    def __getattr__(self, name: str) -> _Names:
        if name in self._METHODS:
            raise AttributeError(name)
        return self

    def __call__(self) -> None:
        """Be callable, as a function is."""


class _Spelling(TorchSpelling):
    """PyTorch's spelling with as little said as PyTorch's defaults allow."""

    def tensor(self, array: Array, requires_grad: bool) -> str:
        """Return `torch.tensor(…)`, its dtype where it is not the default."""
        dtype = "" if array.dtype.name == _DTYPE else f", dtype=torch.{array.dtype.name}"
        tracked = ", requires_grad=True" if requires_grad else ""
        return f"torch.tensor({array_text(array)}{dtype}{tracked})"

    def like(self, array: Array, name: str) -> str:
        """Return `torch.tensor(…)`; a cotangent is typed in the default dtype."""
        if array.dtype.kind == "c":
            return f"torch.tensor({array_text(array)}, dtype={name}.dtype)"
        return f"torch.tensor({array_text(array.astype(_DTYPE))})"


def _lines(steps: tuple[Step, ...], spelling: _Spelling, indent: str) -> list[str]:
    found: list[str] = []
    for step in steps:
        if step.verb in BLOCKS:
            found += _block(step, spelling, indent)
        elif step.verb == "raise":
            found.append(f"{indent}raise KeyError")
        elif step.refused:
            statement = spelling.reading(step) if step.verb in _SILENT else spelling.line(step)
            found += [f"{indent}with raises(RuntimeError):", f"{indent}{_INDENT}{statement}"]
        elif step.expect is not None:
            found.append(indent + _assertion(step, spelling))
        elif step.out or step.verb not in (*_SILENT, "grad"):
            found.append(indent + spelling.line(step))
    return found


def _block(step: Step, spelling: _Spelling, indent: str) -> list[str]:
    manager, inner = spelling.manager(step), _lines(step.body, spelling, indent + _INDENT)
    leaves = bool(step.body) and step.body[-1].verb == "raise"
    inner = inner or [f"{indent}{_INDENT}pass"]
    if not step.param("decorator", False):
        caught = "suppress(KeyError), " if leaves else ""
        return [f"{indent}with {caught}{manager}:", *inner]
    names = sorted({name for inside in step.body for name in inside.out})
    shared = [f"{indent}{_INDENT}global {', '.join(names)}"] if names else []
    call = f"{indent}function()"
    calls = [f"{indent}with suppress(KeyError):", _INDENT + call] if leaves else [call]
    return [f"{indent}@{manager}", f"{indent}def function():", *shared, *inner, *calls]


def _assertion(step: Step, spelling: _Spelling) -> str:
    assert step.expect is not None
    figure = step.expect.value
    name = step.args[0] if step.args else ""
    read = f"{name}.grad" if step.verb == "grad" else name
    if step.verb == "hook_log":
        return f"assert [g.tolist() for g in log] == {literal_text(_plain(figure))}"
    if step.verb in ("value", "grad"):
        if isinstance(figure, Ref):
            return f"torch.testing.assert_close({read}, {figure.name})"
        return _numbers(read, figure)
    if step.verb == "grad_fn":
        return (
            f"assert {name}.grad_fn is None"
            if figure is None
            else f"assert {name}.grad_fn.name() == {figure!r}"
        )
    shown = spelling.reading(step)
    if isinstance(figure, bool):
        return f"assert {'' if figure else 'not '}{shown}"
    return f"assert {shown} == {literal_text(_plain(figure))}"


def _numbers(read: str, figure: Literal) -> str:
    if figure is None:
        return f"assert {read} is None"
    if isinstance(figure, bool):
        return f"assert {'' if figure else 'not '}{read}"
    array = literal_array(figure)
    parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
    if all(bool((part * _EXACT % 1 == 0).all()) for part in parts):
        return f"assert {read}.tolist() == {literal_text(figure)}"
    return (
        f"torch.testing.assert_close({read}, torch.tensor({literal_text(figure)},"
        f" dtype={read}.dtype))"
    )


def _plain(figure: Literal | Ref) -> Literal:
    assert not isinstance(figure, Ref)
    return figure
