"""Programs: the only thing that an engine is ever asked to run.

A program is a frozen list of steps in single-assignment form. A step has a verb of the table
`VERBS`, binds names, reads names, and may carry an expectation: the exact figure that a clause
promises, or that an error is owed. `validate` is the grammar in executable form. The text form is
in `conformance.notation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Union

from conformance.errors import InvalidProgram


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of a tensor where a parameter or an expectation may also be a literal."""

    name: str


Literal = Union[None, bool, int, float, complex, str, tuple["Literal", ...]]  # noqa: UP007
"""Numbers and nested tuples of numbers (arrays), strings, None."""
Param = Union[Literal, Ref, tuple["Param", ...]]  # noqa: UP007


@dataclass(frozen=True, slots=True)
class Expect:
    """What an observing step must yield: a literal, or the value of another tensor of the program.

    `decimals` is given where the clause's figure was printed rounded; otherwise the figure is exact
    up to the rounding that the engine's dtype makes unavoidable (`conformance.compare.tolerance`).
    """

    value: Literal | Ref
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Its fields mean what the row of its verb in `VERBS` says."""

    verb: str
    out: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    op: str | None = None
    params: tuple[tuple[str, Param], ...] = ()
    body: tuple[Step, ...] = ()
    expect: Expect | None = None
    refused: bool = False

    def param(self, name: str, default: Param = None) -> Param:
        """Return the parameter `name`, or `default` where the step does not give it."""
        for key, value in self.params:
            if key == name:
                return value
        return default

    def reads(self) -> tuple[str, ...]:
        """Return every name that the step reads: its arguments and the refs in its parameters."""
        found = list(self.args)
        for _, value in self.params:
            found.extend(_refs(value))
        if self.expect is not None:
            found.extend(_refs(self.expect.value))
        return tuple(found)


def _refs(value: Param) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, tuple):
        for item in value:
            yield from _refs(item)


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the grammar: how many names a verb binds and reads, and its parameters."""

    name: str
    outs: tuple[int, int]
    args: tuple[int, int]
    params: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()
    observes: bool = False


MANY = 64
MODES = ("no_grad", "enable_grad", "inference_mode", "set_grad_enabled")
HOOKS = ("record", "double", "zero", "none")
"""What a hook of a program may do: log the gradient it sees; return twice it; zeros; or None."""
LEAF_HOOKS = ("record", "clear")
"""What a hook on an accumulated gradient may do: log it; log it and set it to None."""
PACKS = ("keep", "record", "copy", "double", "array", "raise")
"""What a saved-tensor hook may do with a tensor: return it; log and return it; return a detached
copy; return twice it; turn it into a NumPy array (pack) and back (unpack); raise."""


def _verb(
    name: str,
    outs: tuple[int, int],
    args: tuple[int, int],
    params: str = "",
    needs: str = "",
    observes: bool = False,
) -> Verb:
    return Verb(name, outs, args, frozenset(params.split()), tuple(needs.split()), observes)


_NONE, _ONE, _OPT, _MANY = (0, 0), (1, 1), (0, 1), (1, MANY)
_LEAF = "value shape seed low high dtype requires_grad"
_BACKWARD = "gradient retain_graph create_graph inputs"
_GRAD_OF = "outputs inputs grad_outputs retain_graph create_graph allow_unused"
_CUSTOM = "forward backward jvp logs dirty non_differentiable materialize once_differentiable"
MARKS = frozenset("dirty non_differentiable materialize once_differentiable".split())
CHOICES = MARKS | {"jvp", "needs", "logs"}
"""Parameters of `custom_function` that an engine may lack."""
VERBS: Mapping[str, Verb] = {
    row.name: row
    for row in (
        # tensors; `reload` passes one through NumPy, as saved and loaded state is
        _verb("leaf", _ONE, _NONE, _LEAF),
        _verb("reload", _ONE, _ONE, "requires_grad"),
        _verb("apply", _MANY, (0, MANY), "*"),
        _verb("apply_", _NONE, _MANY, "*", "apply_"),
        _verb("detach", _ONE, _ONE, "", "detach"),
        _verb("detach_", _NONE, _ONE, "", "detach_"),
        _verb("data", _ONE, _ONE, "", "data"),
        _verb("requires_grad_", _NONE, _ONE, "flag", "set_requires_grad"),
        # running backward
        _verb("backward", _NONE, _MANY, _BACKWARD, "backward"),
        _verb("grad_of", _MANY, _NONE, _GRAD_OF, "grad_of"),
        _verb("retain_grad", _NONE, _ONE, "", "retain_grad"),
        _verb("set_grad", _NONE, _ONE, "value", "set_grad"),
        _verb("hook", _OPT, _ONE, "action", "register_hook"),
        _verb("remove_hook", _NONE, _ONE, "", "register_hook"),
        _verb("post_hook", _OPT, _ONE, "action", "register_post_accumulate_hook"),
        # an operation with rules of its own: `conformance.custom` says what the texts mean
        _verb("custom_function", _MANY, _MANY, _CUSTOM, "custom_function"),
        # forward mode: tensors that carry tangents, inside a level
        _verb("forward_ad", _NONE, _NONE, "", "make_dual"),
        _verb("make_dual", _ONE, _ONE, "tangent", "make_dual"),
        # other blocks: hooks on what is saved; a thread of its own, waited for
        _verb("saved_tensors_hooks", _NONE, _NONE, "pack unpack", "saved_tensors_hooks"),
        _verb("thread", _NONE, _NONE, "", "threads"),
        # lifetime: a name for a tensor's memory that does not keep it; forgetting names
        _verb("watch", _ONE, _ONE, "", "watch"),
        _verb("drop", _NONE, _MANY, ""),
        # grad-mode blocks; `raise` ends a block by an exception that the block's surroundings catch
        *(_verb(mode, _NONE, _NONE, "enabled decorator", mode) for mode in MODES),
        _verb("raise", _NONE, _NONE),
        # observations
        _verb("value", _NONE, _ONE, observes=True),
        _verb("grad", _OPT, _ONE, "", "grad", observes=True),
        _verb("requires_grad", _NONE, _ONE, "", "requires_grad", observes=True),
        _verb("is_leaf", _NONE, _ONE, "", "is_leaf", observes=True),
        _verb("grad_fn", _NONE, _ONE, "", "grad_fn", observes=True),
        _verb("version", _NONE, _ONE, "", "version", observes=True),
        _verb("is_grad_enabled", _NONE, _NONE, "", "is_grad_enabled", observes=True),
        _verb("hook_log", _NONE, _NONE, observes=True),
        _verb("tangent", _OPT, _ONE, "", "make_dual", observes=True),
        _verb("alive", _NONE, _ONE, "", "watch", observes=True),
    )
}
BLOCKS = frozenset((*MODES, "forward_ad", "saved_tensors_hooks", "thread"))


@dataclass(frozen=True)
class Program:
    """A valid list of steps. Construction validates; an invalid one raises `InvalidProgram`."""

    steps: tuple[Step, ...]
    tags: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Check the steps against the grammar."""
        validate(self.steps)

    def walk(self) -> Iterator[Step]:
        """Yield every step, blocks before their bodies, in the order of their numbers."""
        return _walk(self.steps)

    @cached_property
    def needs(self) -> frozenset[str]:
        """Return the capabilities that an engine must have to run the program."""
        found: set[str] = set()
        for step in self.walk():
            found.update(step_needs(step))
        return frozenset(found)

    @cached_property
    def operations(self) -> tuple[str, ...]:
        """Return the names of the operations applied, each once, in order of first use."""
        return tuple(dict.fromkeys(step.op for step in self.walk() if step.op is not None))


def step_needs(step: Step) -> Iterator[str]:
    """Yield the capabilities that an engine must have to run `step`, its body left out."""
    yield from VERBS[step.verb].needs
    if step.verb == "leaf" and step.param("dtype") is not None:
        yield f"dtype:{step.param('dtype')}"
    if step.verb == "backward" and len(step.args) > 1:
        yield "backward_many"
    elif step.verb == "custom_function":
        named = MARKS | {"jvp"}
        yield from (f"custom_function.{name}" for name, _ in step.params if name in named)
        if step.param("logs") is not None:
            yield f"custom_function.{'needs' if step.param('logs') == 'needs' else 'logs'}"
    elif step.verb in ("backward", "grad_of"):
        for name in ("gradient", "inputs", "grad_outputs", "allow_unused"):
            if step.param(name) is not None and (step.verb, name) != ("grad_of", "inputs"):
                yield f"{step.verb}.{name}"
        for name in ("retain_graph", "create_graph"):
            if step.param(name):
                yield f"{step.verb}.{name}"


def _walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        if step.body:
            yield from _walk(step.body)


def validate(steps: tuple[Step, ...]) -> None:
    """Raise `InvalidProgram` at the first step that breaks the grammar.

    The rules: verbs and parameters are those of `VERBS`; every name is bound once, before it is
    read; only blocks have bodies; `raise` is the last step of a block; only observing steps carry a
    figure, and a step carries a figure or an owed error, not both.
    """
    if any(step.verb == "raise" for step in steps):
        raise InvalidProgram("`raise` stands outside any block; it must be the last step of one")
    bound: set[str] = set()
    for number, step in enumerate(_walk(steps)):
        where = f"step {number} ({step.verb})"
        row = VERBS.get(step.verb)
        if row is None:
            raise InvalidProgram(f"{where}: unknown verb {step.verb!r}; known: {', '.join(VERBS)}")
        _check_shape(step, row, where)
        for name in step.reads():
            if name not in bound:
                raise InvalidProgram(f"{where}: reads {name!r}, which no earlier step binds")
        for name in step.out:
            if name in bound or not name.isidentifier():
                raise InvalidProgram(f"{where}: binds {name!r}; expected a new identifier")
        bound.update(step.out)


def _check_shape(step: Step, row: Verb, where: str) -> None:
    for what, count, (least, most) in (
        ("binds", len(step.out), row.outs),
        ("reads", len(step.args), row.args),
    ):
        if not least <= count <= most:
            raise InvalidProgram(f"{where}: {what} {count} names; expected {least} to {most}")
    for name, _ in step.params:
        if name not in row.params and "*" not in row.params:
            expected = ", ".join(sorted(row.params)) or "none"
            raise InvalidProgram(f"{where}: unknown parameter {name!r}; expected {expected}")
    if (step.op is not None) != (step.verb in ("apply", "apply_")):
        raise InvalidProgram(f"{where}: an operation name belongs to apply and apply_")
    if step.body and step.verb not in BLOCKS:
        raise InvalidProgram(f"{where}: has a body; only {', '.join(sorted(BLOCKS))} do")
    if any(inner.verb == "raise" for inner in step.body[:-1]):
        raise InvalidProgram(f"{where}: `raise` must be the last step of its block")
    if step.expect is not None and (step.refused or not row.observes):
        raise InvalidProgram(f"{where}: a figure belongs to an observing step, not a refused one")
    for name, known in _WORDS.get(step.verb, {}).items():
        if step.param(name, known[0] if step.verb not in _REQUIRED else None) not in known:
            raise InvalidProgram(f"{where}: {name} {step.param(name)!r}; expected {known}")
    if step.verb == "custom_function" and not isinstance(step.param("forward"), str):
        raise InvalidProgram(f"{where}: give forward and backward as texts")
    if step.verb == "leaf" and (step.param("value") is None) == (step.param("shape") is None):
        raise InvalidProgram(f"{where}: give either a value or a shape (with a seed)")


_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "hook": {"action": HOOKS},
    "post_hook": {"action": LEAF_HOOKS},
    "saved_tensors_hooks": {"pack": PACKS, "unpack": PACKS},
}
"""Parameters that are one of a few words; the first is the default of those not required."""
_REQUIRED = ("hook", "post_hook")


Json = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]  # noqa: UP007


def to_json(program: Program) -> dict[str, Json]:
    """Return the JSON form: plain data, lossless (`from_json(to_json(p)) == p`)."""
    return {"tags": list(program.tags), "steps": [_step_to_json(s) for s in program.steps]}


def _step_to_json(step: Step) -> Json:
    form: dict[str, Json] = {"verb": step.verb}
    if step.out:
        form["out"] = list(step.out)
    if step.args:
        form["args"] = list(step.args)
    if step.op is not None:
        form["op"] = step.op
    if step.params:
        form["params"] = {key: _param_to_json(value) for key, value in step.params}
    if step.body:
        form["body"] = [_step_to_json(s) for s in step.body]
    if step.expect is not None:
        figure: dict[str, Json] = {"value": _param_to_json(step.expect.value)}
        if step.expect.decimals is not None:
            figure["decimals"] = step.expect.decimals
        form["expect"] = figure
    if step.refused:
        form["refused"] = True
    return form


def _param_to_json(value: Param) -> Json:
    if isinstance(value, tuple):
        return [_param_to_json(item) for item in value]
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, complex):
        return {"complex": [_param_to_json(value.real), _param_to_json(value.imag)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # strict JSON has no inf and no nan
    return value


def from_json(form: object) -> Program:
    """Read the JSON form. Raises `InvalidProgram` where it is not one; never executes anything."""
    try:
        assert isinstance(form, dict)
        steps = tuple(_step_from_json(s) for s in form["steps"])
        return Program(steps, tuple(str(tag) for tag in form.get("tags", ())))
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidProgram(f"not the JSON form of a program: {error!r}") from error


def _step_from_json(form: dict[str, object]) -> Step:
    def names(key: str) -> tuple[str, ...]:
        found = form.get(key, ())
        assert isinstance(found, (list, tuple)), f"{key} is {found!r}, not a list"
        return tuple(str(name) for name in found)

    params, body, expect = form.get("params", {}), form.get("body", ()), form.get("expect")
    assert isinstance(params, dict), f"params is {params!r}, not an object"
    assert isinstance(body, (list, tuple)), f"body is {body!r}, not a list"
    figure = None
    if expect is not None:
        assert isinstance(expect, dict), f"expect is {expect!r}, not an object"
        value = _param_from_json(expect["value"])
        figure = Expect(value, expect.get("decimals"))  # type: ignore[arg-type]
    op = form.get("op")
    return Step(
        verb=str(form["verb"]),
        out=names("out"),
        args=names("args"),
        op=None if op is None else str(op),
        params=tuple((str(key), _param_from_json(value)) for key, value in params.items()),
        body=tuple(_step_from_json(s) for s in body),
        expect=figure,
        refused=bool(form.get("refused", False)),
    )


def _param_from_json(form: object) -> Param:
    if isinstance(form, (list, tuple)):
        return tuple(_param_from_json(item) for item in form)
    if isinstance(form, dict):
        if "ref" in form:
            return Ref(str(form["ref"]))
        if "complex" in form:
            real, imag = (_param_from_json(part) for part in form["complex"])
            return complex(real, imag)  # type: ignore[arg-type]
        return float(form["float"])
    assert form is None or isinstance(form, (bool, int, float, str)), f"unexpected {form!r}"
    return form
