"""How an operation is declared: one row, whose kind says what its derivative follows from.

- *elementwise*: the partial derivatives, ``d<input>``. A vjp is the cotangent times the partial's
  conjugate, the jvp the sum of partials times tangents.
- *linear*: the transpose, ``transpose_<input>`` (``transpose`` if there is one input). The jvp is
  the op itself on the tangents.
- *bilinear*: ``vjp_<input>`` for both inputs. The jvp is op(ta, b) + op(a, tb).
- *own*: ``vjp_<input>`` and ``jvp``, written out.
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
from dataclasses import dataclass, field
from math import inf
from re import sub
from types import CodeType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

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


class _Required:
    """Marks a parameter without a default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a function, for whoever tests or documents it.

    ``domain`` gives the open interval of each input on which the function is real and
    differentiable.
    """

    domain: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    kinks: Kinks = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    #: whether complex inputs are meaningful
    complex: bool = True
    #: how to fill an input that is not an ordinary real array: ``"bool"``, ``"index:<dim>"``,
    #: ``"positive-definite"`` …
    fill: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)  # not frozen: to make hundreds of them would take 6 ms
class OpDef:
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
    #: ``("y",)``, several names, or ``("*ys",)`` for any number
    outputs: tuple[str, ...]
    #: derivative rule per differentiable input; what it means depends on ``kind``
    rules: Mapping[str, Partial]
    jvp: Rule | None
    promotion: Promotion
    #: the output aliases the first input's memory
    view: bool
    #: ``op_`` exists
    inplace: bool
    #: parameter → name of the row that runs where the parameter is given and not None
    variants: Mapping[str, str]
    #: its rules take None for an output without a cotangent, instead of zeros
    undefined: bool
    #: is a method of Tensor under these names
    methods: tuple[str, ...]
    #: other names under which the function is found
    aliases: tuple[str, ...]
    #: class name of the graph's nodes, as PyTorch's; empty where there are none
    node: str
    #: parameter that is given, or input that is a tensor → the digit that ends the node's name
    nodes: Mapping[str, int | Callable[[Any], int]]
    facts: Facts

    @property
    def variadic(self) -> bool:
        """Whether the op takes a list of arrays."""
        return self.inputs[0].startswith("*")

    @property
    def differentiable(self) -> frozenset[str]:
        """Inputs that have a derivative."""
        return frozenset(self.rules)

    def __repr__(self) -> str:
        return f"<{self.kind} op {self.name}({', '.join(self.order)})>"


REGISTRY: dict[str, OpDef] = {}
ALIASES: dict[str, str] = {}
#: rows that the engine alone uses, and that mean nothing outside a func transform
INTERNAL: dict[str, OpDef] = {}
_NO_FACTS = Facts()
_ROW_WORDS = ("domain", "kinks", "samples", "complex", "fill")


def elementwise(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row whose inputs broadcast and whose output elements depend on one element of each input.

    ``d<input>`` is the partial derivative: a rule, or a number where it is constant. ``promotion``
    is ``promote``. A string ``forward`` names a function of the array namespace; its inputs are the
    ``d…`` names.
    """
    row.setdefault("inplace", True)
    row.setdefault("promotion", "promote")
    return _register(name, "elementwise", forward, row, "d")


def linear(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row that is jointly linear in the inputs that have a ``transpose_<input>``; other inputs
    are constants.

    With a single input the rule may be called ``transpose``. A variadic input's transpose returns
    one cotangent for each.
    """
    return _register(name, "linear", forward, row, "transpose_")


def bilinear(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row that is linear in each of its two differentiable inputs: ``vjp_<input>`` for both."""
    return _register(name, "bilinear", forward, row, "vjp_")


def own(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row with its own ``vjp_<input>`` rules and ``jvp`` rule."""
    return _register(name, "own", forward, row, "vjp_")


def nondiff(name: str, forward: str | Rule, **row: Any) -> OpDef:
    """A row without a derivative: comparisons, argmax, factories from shapes."""
    return _register(name, "nondiff", forward, row)


def composite(name: str, forward: Rule, **row: Any) -> OpDef:
    """A function ``forward(F, ...)`` of other operations, differentiable through them.

    Its array inputs are the parameters before ``*`` (all of them may be anything the function
    understands).
    """
    return _register(name, "composite", forward, row)


# registration -------------------------------------------------------------------------------------
class _Signature(NamedTuple):
    inputs: tuple[str, ...]
    optional: frozenset[str]
    params: dict[str, object]


def _signature(forward: Rule) -> _Signature:
    """Reads inputs (positional) and parameters (keyword-only) from a forward rule.

    The code object is read directly: ``inspect.signature`` takes 20 µs, and there are hundreds of
    rows.
    """
    code: CodeType = forward.__code__
    names = code.co_varnames
    positional = names[1 : code.co_argcount]
    keyword = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    count = len(forward.__defaults__ or ())
    optional = frozenset(positional[len(positional) - count :] if count else ())
    if code.co_flags & 0x04:  # *args
        positional = ("*" + names[code.co_argcount + code.co_kwonlyargcount], *positional)
    defaults = forward.__kwdefaults__ or {}
    params = {name: defaults.get(name, REQUIRED) for name in keyword}
    return _Signature(positional, optional, params)


def _take(row: dict[str, Any], prefix: str, inputs: tuple[str, ...]) -> dict[str, Partial]:
    """Removes the ``<prefix><input>`` rules from a row's keywords."""
    rules = {n: row.pop(prefix + n) for n in inputs if prefix + n in row}
    if prefix == "transpose_" and "transpose" in row:
        rules = {inputs[0]: row.pop("transpose")}
    for name, rule in rules.items():
        if not callable(rule) and not (prefix == "d" and isinstance(rule, (int, float))):
            raise TypeError(f"rule {prefix}{name} is {rule!r}; expected a function of F and names")
    return rules


def _register(
    name: str, kind: Kind, forward: str | Rule, row: dict[str, Any], prefix: str = ""
) -> OpDef:
    """The row; its rules are the keywords that begin with ``prefix``."""
    if name in REGISTRY:
        raise ValueError(f"op {name!r} has two rows; an op is declared once")
    if not isinstance(forward, str):
        signature = _signature(forward)
    else:  # has no signature to read
        named = [k[len(prefix) :] for k in row if prefix and k.startswith(prefix) and k != "domain"]
        signature = _Signature(tuple(row.pop("inputs", named)) or ("x",), frozenset(), {})
    rules = _take(row, prefix, tuple(n.lstrip("*") for n in signature.inputs)) if prefix else {}
    if kind == "composite":
        signature = _composite_signature(forward, signature)
    params = {**signature.params, **row.pop("params", {})}
    plain = (*signature.inputs, *params)
    if kind == "composite" and not signature.inputs[0].startswith("*"):
        # settings and optional inputs stand in the order of the function's own parameters
        code: CodeType = forward.__code__  # type: ignore[union-attr]
        plain = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    aliases = tuple(row.pop("aliases", ()))
    short = tuple(n for n in (name, *aliases) if "." not in n and not n.startswith("_"))
    words = {k: row.pop(k) for k in _ROW_WORDS if k in row}
    op = OpDef(
        name=name,
        kind=kind,
        forward=forward,
        inputs=signature.inputs,
        optional=signature.optional,
        params=params,
        order=tuple(row.pop("order", plain)),
        outputs=tuple(row.pop("outputs", ("y",))),
        rules=rules,
        jvp=row.pop("jvp", None),
        promotion=row.pop("promotion", "keep"),
        view=row.pop("view", False),
        inplace=row.pop("inplace", False),
        variants=row.pop("variants", {}),
        undefined=row.pop("undefined", False),
        methods=tuple(row.pop("methods", short)),
        aliases=aliases,
        node=row.pop("node", "") or (_node_name(name) if rules else ""),
        nodes=row.pop("nodes", {}),
        facts=Facts(**words) if words else _NO_FACTS,
    )
    if row:
        raise TypeError(f"row {name!r} has unknown keywords {sorted(row)}")
    _check(op)
    REGISTRY[name] = op
    for alias in aliases:
        ALIASES[alias] = name
    return op


def _composite_signature(forward: str | Rule, found: _Signature) -> _Signature:
    """A composite's keyword-or-positional parameters with a default that is not None are
    parameters.
    """
    assert not isinstance(forward, str)
    defaults = forward.__defaults__ or ()
    tail = found.inputs[len(found.inputs) - len(defaults) :]
    settings = {n: d for n, d in zip(tail, defaults, strict=True) if d is not None}
    inputs = tuple(n for n in found.inputs if n not in settings)
    return _Signature(inputs, found.optional - set(settings), {**settings, **found.params})


def _node_name(name: str) -> str:
    """PyTorch's spelling of a node's class: log_softmax → LogSoftmaxBackward0, special.i0e →
    SpecialI0EBackward0.
    """
    words = name.removeprefix("nn.functional.").replace(".", "_").strip("_").split("_")
    stem = "".join(w[:1].upper() + w[1:] for w in words)
    return sub(r"\d[a-z]", lambda found: found[0].upper(), stem) + "Backward0"


def _check(op: OpDef) -> None:
    """Refuses a row whose rules ask for names that nothing provides."""
    if op.kind == "bilinear" and len(op.rules) != 2:
        rules = list(op.rules)
        raise TypeError(f"row {op.name!r}: a bilinear op has two vjp_<input> rules, got {rules}")
    for rule in op.rules.values():
        _check_names(op, needs(rule), "")
    if op.jvp is not None:
        _check_names(op, needs(op.jvp), "t_")
    if op.variadic and len(op.inputs) > 1 and op.kind != "composite":
        raise TypeError(f"row {op.name!r}: beside {op.inputs[0]} there can be no other array input")
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
        if name not in known:
            raise TypeError(
                f"row {op.name!r}: a rule asks for {name!r}, but there is only {sorted(known)}"
            )


def needs(rule: Partial) -> tuple[str, ...]:
    """The names a rule asks for, after ``F``."""
    if isinstance(rule, (int, float)):
        return ()
    code: CodeType = rule.__code__
    return code.co_varnames[1 : code.co_argcount]


__all__ = [
    "REGISTRY", "REQUIRED", "Facts", "OpDef", "bilinear", "composite", "elementwise", "inf",
    "linear", "needs", "nondiff", "own",
]  # fmt: skip
