"""Operations with rules of their own, described by data: what `custom_function` steps stand for.

A rule is a text: calls of operations over names, several results parted by commas. In `forward`,
`a b c d` are the inputs in order; `backward` knows them too, the results as `y z`, and the
cotangents of the results as `g h`; `jvp` knows the inputs and their tangents `s t u v`. An
operation whose name ends in `_` writes its first operand in place and stands for it. An operation
on an absent gradient (`None`) is absent. What `backward` names of inputs and results is saved.

    y = custom_function(x, w, forward="mul(a, b)", backward="mul(g, b), mul(g, a)")

`logs` says what the rule appends to the program's log when it runs: `forward` its inputs,
`backward` its cotangents, `needs` a flag for each input, whether its gradient is wanted.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from conformance.errors import InvalidProgram
from conformance.observation import Array

INPUTS, RESULTS, COTANGENTS, TANGENTS = "abcd", "yz", "gh", "stuv"


@lru_cache(maxsize=512)
def expressions(text: str) -> tuple[ast.expr, ...]:
    """Return the expressions of a rule. Raises `InvalidProgram` where it is no such text."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise InvalidProgram(f"rule {text!r} is not an expression: {error.msg}") from error
    found = tuple(node.elts) if isinstance(node, ast.Tuple) else (node,)
    for part in found:
        for inner in ast.walk(part):
            if not isinstance(inner, _ALLOWED):
                raise InvalidProgram(f"rule {text!r} holds more than calls of operations on names")
    return found


_ALLOWED = (
    ast.Call, ast.Name, ast.Load, ast.keyword, ast.Constant, ast.Attribute, ast.UnaryOp, ast.USub,
)  # fmt: skip


class Rule:
    """The rules of one custom operation, evaluated by the operations of an engine.

    log: the log of the program. kept: names of the inputs and results that backward reads.
    """

    def __init__(self, params: Mapping[str, Any], log: list[Array]) -> None:
        backward = str(params["backward"])
        self._forward, self._backward = _terms(str(params["forward"])), _terms(backward)
        self._jvp = _terms(str(params["jvp"])) if params.get("jvp") else None
        self.forward_mode = self._jvp is not None
        self._logs, self._log = params.get("logs"), log
        self.kept = _kept(backward)

    def forward(self, engine: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Return the results."""
        if self._logs == "forward":
            self._note(engine, inputs)
        return _evaluated(engine, self._forward, dict(zip(INPUTS, inputs, strict=False)))

    def keep(self, inputs: Sequence[Any], results: Sequence[Any]) -> tuple[Any, ...]:
        """Return the tensors that backward reads, in the order in which it expects them."""
        known = dict(zip(INPUTS, inputs, strict=False))
        known.update(zip(RESULTS, results, strict=False))
        return tuple(known[name] for name in self.kept)

    def backward(
        self,
        engine: Any,
        kept: Sequence[Any],
        cotangents: Sequence[Any],
        needs: Sequence[bool] = (),
    ) -> tuple[Any, ...]:
        """Return a gradient, or None, for each input; fewer or more where the text is wrong."""
        if self._logs == "backward":
            self._note(engine, cotangents)
        elif self._logs == "needs":
            self._log.append(np.array(needs, dtype=float))
        names = dict(zip(self.kept, kept, strict=True))
        names.update(zip(COTANGENTS, cotangents, strict=False))
        return _evaluated(engine, self._backward, names)

    def jvp(self, engine: Any, inputs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
        """Return the tangents of the results; raise where the rule has none."""
        if self._jvp is None:
            raise NotImplementedError("this custom function has no forward-mode rule")
        names = dict(zip(INPUTS, inputs, strict=False))
        names.update(zip(TANGENTS, tangents, strict=False))
        return _evaluated(engine, self._jvp, names)

    def _note(self, engine: Any, tensors: Sequence[Any]) -> None:
        """Log arrays; an absent one as an array of no elements."""
        for tensor in tensors:
            absent = np.empty(0)
            self._log.append(absent if tensor is None else np.array(engine.numpy(tensor)))


class _Call(NamedTuple):
    """A call of an operation; a term is one, a name, or what stands for itself."""

    op: str
    writes: bool
    operands: tuple[Any, ...]
    params: dict[str, Any]


class _Constant(NamedTuple):
    value: Any


@lru_cache(maxsize=512)  # a syntax tree costs as much to walk as the operations to run
def _terms(text: str) -> tuple[Any, ...]:
    return tuple(map(_term, expressions(text)))


def _term(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if not isinstance(node, ast.Call):
        return _Constant(ast.literal_eval(node))
    op = ast.unparse(node.func)
    params = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    writes = op.endswith("_")
    return _Call(op[:-1] if writes else op, writes, tuple(map(_term, node.args)), params)


@lru_cache(maxsize=512)
def _kept(backward: str) -> tuple[str, ...]:
    nodes = (node for part in expressions(backward) for node in ast.walk(part))
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    return tuple(name for name in (*INPUTS, *RESULTS) if name in named)


def _evaluated(engine: Any, terms: tuple[Any, ...], names: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple([_value(engine, term, names) for term in terms])


def _value(engine: Any, term: Any, names: Mapping[str, Any]) -> Any:
    if type(term) is str:
        return names[term]
    if type(term) is _Constant:
        return term.value
    operands = [_value(engine, operand, names) for operand in term.operands]
    if any(operand is None for operand in operands):
        return None
    if term.writes:
        engine.apply_(term.op, *operands, **term.params)
        return operands[0]
    return engine.apply(term.op, *operands, **term.params)
