"""The text form of programs: a small subset of Python's syntax, read with `ast` and never executed.

    x = leaf([1.0, 2.0], requires_grad=True)
    y = mul(x, other=3.0)
    with no_grad():
        z = sin(x)
    backward(y, gradient=[1.0, 1.0])
    assert grad(x) == [3.0, 3.0]
    with raises():
        backward(y, gradient=[1.0, 1.0])

A call whose name is no verb applies the operation of that name, in place when it ends in `_`.
`assert` attaches a figure to an observation: `== literal`, `== name` (the value of another tensor),
`== approx(literal, decimals)`, `is None`, or a bare or negated flag. `with raises():` marks the one
step inside as one that owes an error.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable

from conformance.errors import InvalidProgram
from conformance.program import BLOCKS, VERBS, Expect, Literal, Param, Program, Ref, Step


def parse(text: str, tags: Iterable[str] = ()) -> Program:
    """Read the text form. Raises `InvalidProgram`, naming the line, where it is not one."""
    try:
        tree = ast.parse(textwrap.dedent(text).strip())
    except SyntaxError as error:
        raise InvalidProgram(f"line {error.lineno}: {error.msg}: {error.text!r}") from error
    return Program(tuple(_statement(node) for node in tree.body), tuple(tags))


def _fail(node: ast.AST, expected: str) -> InvalidProgram:
    line = getattr(node, "lineno", "?")
    return InvalidProgram(f"line {line}: {ast.unparse(node)!r} is not {expected}")


def _statement(node: ast.stmt) -> Step:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return _call(node.value, _targets(node.targets[0]))
    if isinstance(node, ast.Expr):
        return _call(node.value, ())
    if isinstance(node, ast.Assert):
        return _assertion(node.test)
    if isinstance(node, ast.Raise) and node.exc is None:
        return Step("raise")
    if isinstance(node, ast.With) and len(node.items) == 1:
        return _block(node)
    raise _fail(node, "a step: expected `name = op(...)`, a call, `assert`, `with` or `raise`")


def _targets(node: ast.expr) -> tuple[str, ...]:
    items = node.elts if isinstance(node, ast.Tuple) else [node]
    if not all(isinstance(item, ast.Name) for item in items):
        raise _fail(node, "a name or several names")
    return tuple(item.id for item in items if isinstance(item, ast.Name))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise _fail(node, "the name of a verb or an operation")


def _call(node: ast.expr, out: tuple[str, ...]) -> Step:
    if not isinstance(node, ast.Call):
        raise _fail(node, "a call")
    name = _dotted(node.func)
    params = [(kw.arg, _param(kw.value)) for kw in node.keywords if kw.arg is not None]
    if len(params) != len(node.keywords):
        raise _fail(node, "free of **parameters")
    positional = list(node.args)
    if name == "leaf" and positional:
        params.insert(0, ("value", _param(positional.pop(0))))
    args = _names(positional)
    verb, op = _verb_of(name)
    return Step(verb, out, args, op, tuple(params))


def _verb_of(name: str) -> tuple[str, str | None]:
    if name in VERBS and name not in ("apply", "apply_"):
        return name, None
    return ("apply_", name[:-1]) if name.endswith("_") else ("apply", name)


def _names(nodes: list[ast.expr]) -> tuple[str, ...]:
    for node in nodes:
        if not isinstance(node, ast.Name):
            raise _fail(node, "a tensor's name (give numbers as keyword parameters)")
    return tuple(node.id for node in nodes if isinstance(node, ast.Name))


def _param(node: ast.expr) -> Param:
    if isinstance(node, ast.Name):
        return Ref(node.id)
    if isinstance(node, (ast.List, ast.Tuple)):
        return tuple(_param(item) for item in node.elts)
    if isinstance(node, ast.Call) and _dotted(node.func) == "float" and len(node.args) == 1:
        argument = node.args[0]  # float('nan'), float('inf')
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return float(argument.value)
    try:
        value = ast.literal_eval(node)
    except ValueError as error:
        raise _fail(node, "a literal or a name") from error
    if not isinstance(value, (bool, int, float, complex, str, type(None))):
        raise _fail(node, "a number, a string, None, a list or a name")
    return value


def _assertion(test: ast.expr) -> Step:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _expecting(test.operand, Expect(False))
    if isinstance(test, ast.Call):
        return _expecting(test, Expect(True))
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        right = test.comparators[0]
        if isinstance(test.ops[0], ast.Is):
            return _expecting(test.left, Expect(_literal(right)))
        if isinstance(test.ops[0], ast.Eq):
            return _expecting(test.left, _figure(right))
    raise _fail(test, "an expectation: `read(x) == figure`, `is None`, or a flag")


def _literal(node: ast.expr) -> Literal | Ref:
    value = _param(node)
    if isinstance(value, tuple) and any(isinstance(item, Ref) for item in value):
        raise _fail(node, "a literal or one name")
    return value  # type: ignore[return-value]  # no ref is nested, so it is a Literal


def _figure(node: ast.expr) -> Expect:
    if isinstance(node, ast.Call) and _dotted(node.func) == "approx":
        value, decimals = node.args
        return Expect(_literal(value), int(ast.literal_eval(decimals)))
    return Expect(_literal(node))


def _expecting(node: ast.expr, expect: Expect) -> Step:
    step = _call(node, ())
    if not VERBS[step.verb].observes:
        observing = ", ".join(name for name, verb in VERBS.items() if verb.observes)
        raise _fail(node, f"an observation: expected one of {observing}")
    return Step(step.verb, step.out, step.args, step.op, step.params, (), expect)


def _block(node: ast.With) -> Step:
    body = tuple(_statement(inner) for inner in node.body)
    head = node.items[0].context_expr
    if isinstance(head, ast.Call) and _dotted(head.func) == "raises":
        if len(body) != 1:
            raise _fail(node, "one step inside `with raises():`")
        (step,) = body
        if step.expect is not None:
            raise _fail(node, "a step without a figure inside `with raises():`")
        return Step(step.verb, step.out, step.args, step.op, step.params, step.body, None, True)
    step = _call(head, ())
    if step.verb not in BLOCKS:
        raise _fail(head, f"one of raises, {', '.join(sorted(BLOCKS))}")
    return Step(step.verb, (), (), None, step.params, body)


def render(program: Program) -> str:
    """Return the text form; `parse(render(p)) == p`."""
    return "\n".join(line for step in program.steps for line in step_lines(step))


def step_lines(step: Step, indent: str = "") -> list[str]:
    """Return the lines of one step, its body indented below it."""
    if step.refused:
        plain = Step(step.verb, step.out, step.args, step.op, step.params, step.body)
        return [f"{indent}with raises():", *step_lines(plain, indent + "    ")]
    if step.verb == "raise":
        return [f"{indent}raise"]
    call = _render_call(step)
    if step.verb in BLOCKS:
        inner = [line for s in step.body for line in step_lines(s, indent + "    ")]
        return [f"{indent}with {call}:", *inner]
    if step.expect is not None:
        return [f"{indent}assert {_render_expectation(call, step.expect)}"]
    return [f"{indent}{', '.join(step.out)} = {call}" if step.out else f"{indent}{call}"]


def _render_call(step: Step) -> str:
    name = step.verb if step.op is None else step.op + ("_" if step.verb == "apply_" else "")
    parts = list(step.args)
    for key, value in step.params:
        bare = step.verb == "leaf" and key == "value"
        parts.append(literal_text(value) if bare else f"{key}={literal_text(value)}")
    return f"{name}({', '.join(parts)})"


def _render_expectation(call: str, expect: Expect) -> str:
    if expect.value is True:
        return call
    if expect.value is False:
        return f"not {call}"
    if expect.value is None:
        return f"{call} is None"
    figure = literal_text(expect.value)
    return f"{call} == " + (
        figure if expect.decimals is None else f"approx({figure}, {expect.decimals})"
    )


def literal_text(value: Param) -> str:
    """Return the text of a literal or a ref, readable by `parse`."""
    if isinstance(value, Ref):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(literal_text(item) for item in value)}]"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"float({str(value)!r})"
    return repr(value)
