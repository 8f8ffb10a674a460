"""Examples: a program of the specification as it would be typed in PyTorch, figures as assertions.

The code runs as it stands, on PyTorch and on any module with PyTorch's names.
"""

from __future__ import annotations

import ast

import numpy as np

from conformance.custom import COTANGENTS, INPUTS, RESULTS, TANGENTS, Rule, expressions
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
_FORWARD = "torch.autograd.forward_ad."
_EXACT = 2.0**12
"""Figures that are multiples of 1/_EXACT are compared as they are, others up to rounding."""
_SILENT = frozenset(
    "value requires_grad is_leaf grad_fn version is_grad_enabled hook_log tangent alive".split()
)
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
    if _FORWARD in text:
        lines = [line.replace(_FORWARD, "fw.") for line in lines]
        head.append("import torch.autograd.forward_ad as fw")
    if "fail()" in text:
        lines[:0] = ["def fail():", f'{_INDENT}raise RuntimeError("this hook fails")', ""]
    if "suppress(" in text:
        head.insert(0, "from contextlib import suppress")
    if "StorageWeakRef(" in text:
        head.append("from torch.multiprocessing.reductions import StorageWeakRef")
    if "Thread(" in text:
        head.insert(0, "from threading import Thread")
    if "raises(" in text:
        head.insert(head.index("import torch"), "from pytest import raises")
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
        return f"torch.tensor({array_text(_shortest(array))}{dtype}{tracked})"

    def like(self, array: Array, name: str) -> str:
        """Return `torch.tensor(…)`; a cotangent is typed in the default dtype."""
        if array.dtype.kind == "c":
            return f"torch.tensor({array_text(array)}, dtype={name}.dtype)"
        return f"torch.tensor({array_text(_shortest(array.astype(_DTYPE)))})"


def _shortest(array: Array) -> Array:
    """Return numbers of the default dtype in double precision, with as few digits as name them."""
    if array.dtype.name != _DTYPE:
        return array
    return np.asarray([float(str(number)) for number in array.flat]).reshape(array.shape)


def _lines(steps: tuple[Step, ...], spelling: _Spelling, indent: str) -> list[str]:
    found: list[str] = []
    for step in steps:
        if step.verb in BLOCKS:
            found += _block(step, spelling, indent)
        elif step.verb == "custom_function":
            called = f"Custom.apply({', '.join(step.args)})"
            called = f"{', '.join(step.out)} = {called}" if step.out else called
            refusing = [f"{indent}with raises(RuntimeError):"] if step.refused else []
            deeper = indent + _INDENT if step.refused else indent
            defined = [indent + line for line in _function(step)]
            found += ["", *defined, "", *refusing, deeper + called]
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


def _function(step: Step) -> list[str]:
    """Return the class that a custom function is in PyTorch."""
    params = dict(step.params)
    rule, inputs = Rule(params, []), INPUTS[: len(step.args)]
    results = expressions(str(params["forward"]))
    forward = [f"{y} = {_spelt(part)}" for y, part in zip(RESULTS, results, strict=False)]
    if params.get("dirty"):
        forward.append("ctx.mark_dirty(a)")
    for number in params.get("non_differentiable", ()):  # type: ignore[union-attr]
        forward.append(f"ctx.mark_non_differentiable({RESULTS[int(str(number))]})")
    if params.get("materialize") is False:
        forward.append("ctx.set_materialize_grads(False)")
    if rule.kept:
        forward.append(f"ctx.save_for_backward({', '.join(rule.kept)})")
    forward.append(f"return {', '.join(RESULTS[: len(results)])}")
    backward = [f"{', '.join(rule.kept)}, = ctx.saved_tensors"] if rule.kept else []
    if params.get("logs") == "needs":
        backward.append("log.append(torch.tensor(ctx.needs_input_grad, dtype=torch.float))")
    elif params.get("logs") == "backward":
        logged = COTANGENTS[: len(results)]
        backward += [
            f"log.append({g}.clone() if {g} is not None else torch.tensor([]))" for g in logged
        ]
    backward.append(f"return {', '.join(map(_spelt, expressions(str(params['backward']))))}")
    if params.get("logs") == "forward":
        forward[:0] = [f"log.append({name}.clone())" for name in inputs]
    parts = [("forward", inputs, forward), ("backward", COTANGENTS[: len(results)], backward)]
    if rule.forward_mode:
        forward.insert(-1, f"ctx.given = {', '.join(inputs)},")
        tangents = ", ".join(map(_spelt, expressions(str(params["jvp"]))))
        pushed = [f"{', '.join(inputs)}, = ctx.given", f"return {tangents}"]
        parts.append(("jvp", TANGENTS[: len(inputs)], pushed))
    lines = ["class Custom(torch.autograd.Function):"]
    for name, given, body in parts:
        once = params.get("once_differentiable") and name == "backward"
        lines += [f"{_INDENT}@staticmethod"]
        lines += [f"{_INDENT}@torch.autograd.function.once_differentiable"] if once else []
        lines += [f"{_INDENT}def {name}(ctx, {', '.join(given)}):"]
        lines += [2 * _INDENT + line for line in body]
    return lines


def _spelt(node: ast.expr) -> str:
    """Return an expression of a rule in PyTorch's spelling."""
    if not isinstance(node, ast.Call):
        return ast.unparse(node)
    given = [_spelt(argument) for argument in node.args]
    words = [ast.unparse(word) for word in node.keywords]
    name = ast.unparse(node.func)
    if name.endswith("_") or name == "expand":
        return f"{given[0]}.{name}({', '.join([*given[1:], *words])})"
    return f"torch.{name}({', '.join([*given, *words])})"


def _block(step: Step, spelling: _Spelling, indent: str) -> list[str]:
    if step.verb == "thread":
        return _thread(step, spelling, indent)
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


def _thread(step: Step, spelling: _Spelling, indent: str) -> list[str]:
    inner = _lines(step.body, spelling, indent + _INDENT) or [f"{indent}{_INDENT}pass"]
    names = sorted(_bound(step))
    shared = [f"{indent}{_INDENT}global {', '.join(names)}"] if names else []
    calls = [f"{indent}thread = Thread(target=work)", f"{indent}thread.start()"]
    return [f"{indent}def work():", *shared, *inner, *calls, f"{indent}thread.join()"]


def _bound(step: Step) -> set[str]:
    """Return the names that the body of a block binds, those of blocks inside it too."""
    return {name for inner in step.body for name in (*inner.out, *_bound(inner))}


def _assertion(step: Step, spelling: _Spelling) -> str:
    assert step.expect is not None
    figure = step.expect.value
    name = step.args[0] if step.args else ""
    read = f"{name}.grad" if step.verb == "grad" else name
    if step.verb == "hook_log":
        return f"assert [g.tolist() for g in log] == {literal_text(_plain(figure))}"
    if step.verb in ("value", "grad", "tangent"):
        if step.verb == "tangent":
            read = spelling.call(step)
            if not isinstance(figure, Ref) and not np.any(literal_array(figure)):
                return f"assert (t := {read}) is None or not t.any()"
        if isinstance(figure, Ref):
            return f"torch.testing.assert_close({read}, {figure.name})"
        return _numbers(read, figure)
    if step.verb == "grad_fn":
        return (
            f"assert {name}.grad_fn is None"
            if figure is None
            else f"assert {name}.grad_fn.name() == {figure!r}"
        )
    if step.verb == "alive":
        return f"assert {'not ' if figure else ''}{name}.expired()"
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
