"""How an operation is declared: one row, whose kind says what its derivative follows from.

- *elementwise*: the partial derivatives, ``d<input>``. A vjp is the cotangent times the partial's
  conjugate, the jvp the sum of partials times tangents. A rule that takes ``v`` is the product with
  that instead, for partials that choose: 0 · inf is not 0.
- *linear*: the transpose, ``transpose_<input>`` (``transpose`` if there is one input). The jvp is
  the op itself on the tangents.
- *bilinear*: ``vjp_<input>`` for both inputs. The jvp is op(ta, b) + op(a, tb).
- *own*: ``vjp_<input>``, written out, and ``jvp`` where the transpose of those takes too long.
- *nondiff*: no derivative.
- *composite*: a function of other operations; everything follows from those.

A derivative rule is called as ``rule(F, ...)`` with what its own parameter names ask for:

- an input's name: the input, saved at forward time
- ``y``, or an output's name: the output, saved
- ``g``, or ``g_<output>`` when there are several: the cotangent
- ``<input>_shape``, ``<input>_dtype``, ``<input>_device``: facts of the input, which is not saved
- a parameter's name: its value
- ``t_<input>``, in ``jvp`` only: the tangent

``F`` is a namespace of operations on whatever the rule is given: raw arrays when no graph is being
created, engine tensors when one is (see ``namespace``). No rule sums broadcast dimensions or casts:
the edge that a cotangent travels on fits it to its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from re import sub
from types import CodeType
from typing import Any, Literal, TypeAlias

Rule: TypeAlias = "Callable[..., Any]"
Partial: TypeAlias = "Rule | int | float"
Kind = Literal["elementwise", "linear", "bilinear", "own", "nondiff", "composite"]
#: how the inputs' dtypes are brought together before the forward rule sees them:
#: ``promote`` to their common dtype; ``float`` likewise, integers to the default dtype;
#: ``keep`` them as they are
Promotion = Literal["promote", "float", "keep"]
#: where a function is not smooth: values per input (a string names the parameter that holds the
#: value), every integer, or wherever two compared elements are equal
Kinks: TypeAlias = "Mapping[str, Sequence[float | str] | Literal['integers']] | Literal['ties']"
#: input shapes and parameters, e.g. ``(((2, 3), (3,)), {"dim": 0})``
Sample: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"


class REQUIRED:
    """Marks a parameter without a default."""


class _Row:
    """Fields by keyword: to make dataclasses would cost the import a millisecond."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


class Facts(_Row):
    """What is true of a function, for whoever tests or documents it.

    ``domain`` gives the open interval of each input on which the function is real and
    differentiable.
    """

    domain: Mapping[str, tuple[float, float]] = {}
    kinks: Kinks = {}  # noqa: RUF012  (nobody writes to it)
    samples: Sequence[Sample] = ()
    #: whether complex inputs are meaningful
    complex: bool = True
    #: how to fill an input that is not an ordinary real array: ``"bool"``, ``"index:<dim>"``,
    #: ``"positive-definite"`` …
    fill: Mapping[str, str] = {}


def on(*inputs: Any, **params: Any) -> Sample:
    """A sample: ``on((2, 3), (3,), dim=0)`` is inputs of these shapes (or numbers) and dim=0."""
    return inputs, params


class OpDef(_Row):
    """One operation. ``name`` is PyTorch's without ``torch.``, e.g. ``"nn.functional.conv2d"``."""

    name: str
    kind: Kind
    #: a function of the array namespace by name, or ``forward(xp, *inputs, **params)``; a
    #: composite's is ``(F, ...)``
    forward: str | Rule
    #: array inputs; one named ``*xs`` takes any number of them
    inputs: tuple[str, ...]
    #: inputs that may be left out (their forward default is None)
    optional: frozenset[str]
    #: parameter → default
    params: Mapping[str, object]
    #: names in PyTorch's positional order
    order: tuple[str, ...]
    #: derivative rule per differentiable input; what it means depends on ``kind``
    rules: Mapping[str, Partial]
    #: class name of the graph's nodes, as PyTorch's; empty where there are none
    node: str
    #: is a method of Tensor under these names
    methods: tuple[str, ...]
    facts: Facts
    #: other names under which the function is found
    aliases: tuple[str, ...] = ()
    #: ``("y",)``, several names, or ``("*ys",)`` for any number
    outputs: tuple[str, ...] = ("y",)
    jvp: Rule | None = None
    promotion: Promotion = "keep"
    #: the output aliases the first input's memory
    view: bool = False
    #: ``op_`` exists
    inplace: bool = False
    #: parameter → name of the row that runs where the parameter is given and not None
    variants: Mapping[str, str] = {}
    #: its rules take None for an output without a cotangent, instead of zeros
    undefined: bool = False
    #: parameter that is given, or input that is a tensor → the digit that ends the node's name
    nodes: Mapping[str, int | Callable[[Any], int]] = {}

    @property
    def variadic(self) -> bool:
        """Whether the op takes a list of arrays."""
        return self.inputs[0][0] == "*"

    def __repr__(self) -> str:
        return f"<{self.kind} op {self.name}({', '.join(self.order)})>"


REGISTRY: dict[str, OpDef] = {}
ALIASES: dict[str, str] = {}
#: rows that the engine alone uses, and that mean nothing outside a func transform
INTERNAL: dict[str, OpDef] = {}
_FACTS = tuple(Facts.__annotations__)
_ROW = frozenset(OpDef.__annotations__)
_NO_FACTS = Facts()


def elementwise(name: str, forward: str | Rule = "", **row: Any) -> OpDef:
    """A row whose inputs broadcast and whose output elements depend on one element of each input.

    ``d<input>`` is the partial derivative: a rule, or a number where it is constant. ``promotion``
    is ``promote``. A string ``forward`` names a function of the array namespace, the op's own name
    unless given; its inputs are the ``d…`` names.
    """
    return _register(name, "elementwise", forward, {"inplace": True, "promotion": "promote"} | row)


def floating(name: str, forward: str | Rule = "", **row: Any) -> OpDef:
    """An elementwise row that makes floating numbers of integers."""
    return elementwise(name, forward, **{"promotion": "float"} | row)


def linear(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row that is jointly linear in the inputs that have a ``transpose_<input>``; other inputs
    are constants.

    With a single input the rule may be called ``transpose``. A variadic input's transpose returns
    one cotangent for each.
    """
    return _register(name, "linear", forward, row)


def bilinear(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row that is linear in each of its two differentiable inputs: ``vjp_<input>`` for both."""
    return _register(name, "bilinear", forward, row)


def own(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row with its own ``vjp_<input>`` rules; ``jvp`` is their transpose unless written out."""
    return _register(name, "own", forward, row)


def nondiff(name: str, forward: str | Rule = "", **row: Any) -> OpDef:
    """A row without a derivative: comparisons, argmax, factories from shapes."""
    return _register(name, "nondiff", forward, row)


def composite(name: str, forward: Rule, **row: Any) -> OpDef:
    """A function ``forward(F, ...)`` of other operations, differentiable through them.

    Its parameters are those after ``*``, and those with a default that is not None. The others are
    array inputs, and may be anything that the function understands.
    """
    return _register(name, "composite", forward, row)


# registration -------------------------------------------------------------------------------------
_PREFIXES = {"elementwise": "d", "linear": "transpose_", "bilinear": "vjp_", "own": "vjp_"}


def _signature(forward: Rule, kind: Kind) -> dict[str, Any]:
    """Reads inputs (positional) and parameters (keyword-only) from a forward rule.

    The code object is read directly: ``inspect.signature`` takes 20 µs, and there are hundreds of
    rows. Keywords that ``functools.partial`` has fixed make a function one of a family: they are no
    parameters of the row.
    """
    forward, fixed = (forward.func, forward.keywords) if type(forward) is partial else (forward, ())
    code: CodeType = forward.__code__
    end = code.co_argcount + code.co_kwonlyargcount
    positional = code.co_varnames[1 : code.co_argcount]
    keyword = tuple([n for n in code.co_varnames[1:end] if n not in fixed])
    given = forward.__defaults__ or ()
    defaults = dict(zip(positional[len(positional) - len(given) :], given, strict=True))
    settings = {n: d for n, d in defaults.items() if d is not None and kind == "composite"}
    named = forward.__kwdefaults__ or {}
    params = settings | {n: named.get(n, REQUIRED) for n in keyword[len(positional) :]}
    star = ("*" + code.co_varnames[end],) if code.co_flags & 0x04 else ()
    inputs = (*star, *(n for n in positional if n not in settings))
    optional = frozenset(defaults) - set(params)
    return {"inputs": inputs, "optional": optional, "params": params, "order": star + keyword}


def _register(name: str, kind: Kind, forward: str | Rule, row: dict[str, Any]) -> OpDef:
    """The row; its rules are the keywords that begin with the kind's prefix."""
    if name in REGISTRY:
        raise ValueError(f"op {name!r} has two rows; an op is declared once")
    prefix = _PREFIXES.get(kind, " ")
    facts = {word: row.pop(word) for word in _FACTS if word in row}
    found = [k for k in row if k.startswith(prefix)]
    if callable(forward):
        signature = _signature(forward, kind)
    else:  # has no signature to read
        inputs = row.pop("inputs", None) or tuple(k[len(prefix) :] for k in found) or ("x",)
        signature = {"inputs": inputs, "optional": frozenset(), "params": {}, "order": inputs}
    rules = {k[len(prefix) :]: row.pop(k) for k in found}
    if "transpose" in row:
        rules[signature["inputs"][0].lstrip("*")] = row.pop("transpose")
    aliases = row.get("aliases", ())
    short = tuple(n for n in (name, *aliases) if "." not in n and n[0] != "_")
    defaults = {"methods": short, "node": _node_name(name) if rules else ""}
    if not row.keys() <= _ROW:
        raise TypeError(f"row {name!r} has no field {sorted(row.keys() - _ROW)}")
    op = OpDef(
        name=name, kind=kind, forward=forward or name, rules=rules,
        facts=Facts(**facts) if facts else _NO_FACTS, **signature | defaults | row)  # fmt: skip
    _check(op)
    REGISTRY[name] = op
    for alias in aliases:
        ALIASES[alias] = name
    return op


def _node_name(name: str) -> str:
    """PyTorch's spelling of a node's class: log_softmax → LogSoftmaxBackward0, special.i0e →
    SpecialI0EBackward0.
    """
    words = name.removeprefix("nn.functional.").replace(".", "_").strip("_").split("_")
    stem = "".join(w[:1].upper() + w[1:] for w in words)
    if not stem.isalpha():
        stem = sub(r"\d[a-z]", lambda found: found[0].upper(), stem)
    return stem + "Backward0"


def _check(op: OpDef) -> None:
    """Refuses a row whose rules ask for names that nothing provides."""
    if op.kind == "bilinear" and len(op.rules) != 2:
        rules = list(op.rules)
        raise TypeError(f"row {op.name!r}: a bilinear op has two vjp_<input> rules, got {rules}")
    for name, rule in op.rules.items():
        if not callable(rule) and (op.kind != "elementwise" or not isinstance(rule, (int, float))):
            raise TypeError(f"row {op.name!r}: rule {_PREFIXES[op.kind]}{name} is {rule!r}")
        _check_names(op, needs(rule), "")
    if op.jvp is not None:
        _check_names(op, needs(op.jvp), "t_")
    if op.variadic and len(op.inputs) > 1 and op.kind != "composite":
        raise TypeError(f"row {op.name!r}: beside {op.inputs[0]} there can be no other array input")
    values = {op.inputs[0][1:], *op.outputs} if op.variadic else set()
    if values and any(values & {*needs(rule)} for rule in op.rules.values()):
        raise TypeError(f"row {op.name!r}: of {op.inputs[0]} a rule can know facts, not values")
    if op.view and op.kind != "linear":
        raise TypeError(f"row {op.name!r}: a view is a linear op, got kind {op.kind}")


def _check_names(op: OpDef, asked: tuple[str, ...], tangent: str) -> None:
    for name in asked:
        if name == "g" or name.removeprefix(tangent) in op.inputs or name in op.params:
            continue  # nearly always
        inputs, outputs = ([n.lstrip("*") for n in of] for of in (op.inputs, op.outputs))
        known = {*inputs, *outputs, *op.params, "g", *("g_" + n for n in outputs)}
        known.update(n + fact for n in inputs for fact in ("_shape", "_dtype", "_device"))
        known.update(tangent + n for n in inputs)
        known.update("v" * (op.kind == "elementwise"))
        if name not in known:
            raise TypeError(
                f"row {op.name!r}: a rule asks for {name!r}, but there is only {sorted(known)}"
            )


def needs(rule: Partial) -> tuple[str, ...]:
    """The names a rule asks for, after ``F``: its parameters', unless it says ``needs``."""
    if isinstance(rule, (int, float)):
        return ()
    named: tuple[str, ...] | None = vars(rule).get("needs")
    code: CodeType = rule.__code__
    return code.co_varnames[1 : code.co_argcount] if named is None else named


def asking(rule: Rule, *names: str) -> Rule:
    """A rule that several rows share, with the names that it takes in this one."""
    vars(rule)["needs"] = names
    return rule
