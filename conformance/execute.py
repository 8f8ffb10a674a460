"""Execution: runs a program on an engine through its adapter and records what happens.

This is the only place where an engine's exception becomes a refusal. A refused step leaves its
names unbound, steps that read an unbound name are skipped, and the run goes on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor, mode
from conformance.errors import ConformanceError, InvalidProgram, Unsupported
from conformance.leaves import leaf_array, literal_array
from conformance.observation import Array, Event, Observation, Observed, Refusal
from conformance.program import BLOCKS, Param, Program, Ref, Step, step_needs


class _Unseen:
    """The type of `_UNSEEN`, what a handler returns for a step that observes nothing."""


_UNSEEN = _Unseen()


class _BlockLeft(Exception):
    """Raised by the verb `raise`; caught around the block that it leaves."""


def execute(engine: Engine, program: Program, dtype: str | None = None) -> Observation:
    """Run `program` on `engine` and return what happened, step by step.

    dtype: the NumPy dtype of leaves that name none; the engine's preferred one by default. The
    engine is reset before the program, and after it where the program entered a grad-mode block.
    Raises `InvalidProgram` for a literal that is no array; never an exception of the engine.
    """
    target = engine.session()
    run = Run(target, dtype or engine.dtypes[0], program.needs - target.capabilities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning is advice; under -W error it would be a refusal
        target.reset()
        try:
            run.steps(program.steps)
        finally:
            if any(step.body for step in program.steps):
                target.reset()
    return Observation(engine.name, run.dtype, tuple(run.events))


class Run:
    """The state of one execution: names bound so far, events, and what hooks have logged."""

    __slots__ = ("dtype", "engine", "events", "log", "missing", "names")

    def __init__(self, engine: Engine, dtype: str, missing: frozenset[str]) -> None:
        self.engine, self.dtype, self.missing = engine, dtype, missing
        self.names: dict[str, Tensor] = {}
        self.events: list[Event] = []
        self.log: list[Array] = []

    def steps(self, steps: tuple[Step, ...]) -> None:
        """Run the steps in order; `raise` leaves by `_BlockLeft`."""
        for step in steps:
            if step.verb == "raise":
                self.events.append(Event(len(self.events), "raise"))
                raise _BlockLeft
            self.step(step)

    def step(self, step: Step) -> None:
        """Run one step and append its event, then those of its body."""
        number, verb = len(self.events), step.verb
        if not self._readable(step):
            self._skip(step)
            return
        if verb in BLOCKS:
            self.events.append(Event(number, verb))  # holds the place before those of the body
        expected: Array | None = None
        try:
            if self.missing:
                self._check_capabilities(step)
            value = HANDLERS[verb](self, step)
            if step.expect is not None and isinstance(step.expect.value, Ref):
                expected = self.array(self.names[step.expect.value.name])
            if isinstance(value, _Unseen):
                event = Event(number, verb)
            else:
                event = Event(number, verb, value, seen=True, expected=expected)
        except Unsupported as error:
            event = _refusal(number, verb, "unsupported", error)
        except ConformanceError:
            raise  # the program's or the harness's fault, not the engine's
        except Exception as error:  # noqa: BLE001  (whatever an engine raises is its refusal)
            event = _refusal(number, verb, "refused", error)
        if verb in BLOCKS:
            self.events[number] = event
            for inner in step.body[self._done(step, number) :]:
                self._skip(inner)
        else:
            self.events.append(event)

    def _readable(self, step: Step) -> bool:
        names = self.names
        for name in step.reads():
            if names.get(name) is None and not (step.verb == "value" and name in names):
                return False
        return True

    def _skip(self, step: Step) -> None:
        self.events.append(Event(len(self.events), step.verb, skipped=True))
        for inner in step.body:
            self._skip(inner)

    def _done(self, block: Step, number: int) -> int:
        """Return how many steps of the body of `block`, which is step `number`, have events."""
        events, done = len(self.events) - number - 1, 0
        for inner in block.body:
            if events <= 0:
                break
            events -= _size(inner)
            done += 1
        return done

    def _check_capabilities(self, step: Step) -> None:
        for need in step_needs(step):
            if need in self.missing:
                raise Unsupported(f"the adapter of {self.engine.name} does not offer {need}")

    def array(self, tensor: Tensor) -> Array:
        """Return a copy of the values of an engine's tensor."""
        return np.array(self.engine.numpy(tensor))

    def param(self, value: Param) -> Any:
        """Return a parameter with names replaced by the tensors that they are bound to."""
        if isinstance(value, Ref):
            return self.names[value.name]
        if isinstance(value, tuple):
            return tuple(self.param(item) for item in value)
        return value

    def params(self, step: Step) -> dict[str, Any]:
        """Return all parameters of a step, resolved."""
        return {key: self.param(value) for key, value in step.params}

    def like(self, value: Param, tensor: Tensor) -> Tensor | None:
        """Return the tensor named by `value`, or its literal as a tensor in `tensor`'s dtype."""
        if value is None:
            return None
        if isinstance(value, Ref):
            return self.names[value.name]
        return self.engine.tensor(literal_array(value, self.engine.numpy(tensor).dtype))

    def bind(self, step: Step, result: Any) -> None:
        """Bind the names of a step to the one or several results of an operation."""
        out = step.out
        several = isinstance(result, (tuple, list))
        if len(out) == 1 and not several:
            self.names[out[0]] = result
            return
        results = list(result) if several else [result]
        if len(results) != len(out):
            raise WrongArity(f"returned {len(results)} results; expected {len(out)}")
        self.names.update(zip(out, results, strict=True))


class WrongArity(Exception):
    """An operation returned another number of results than the program binds."""


def _size(step: Step) -> int:
    return 1 + sum(_size(inner) for inner in step.body)


_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.+~@-]+)+[/\\]([\w.+-]+)")
_MESSAGE_LIMIT = 500


def _refusal(number: int, verb: str, category: Any, error: Exception) -> Event:
    return Event(number, verb, refusal=Refusal(category, type(error).__name__, sanitised(error)))


def sanitised(error: BaseException) -> str:
    """Return an exception's message without addresses and folders, so that runs compare equal."""
    message = _PATH.sub(r"…/\1", _ADDRESS.sub("0x…", str(error).strip()))
    return message if len(message) <= _MESSAGE_LIMIT else message[:_MESSAGE_LIMIT] + "…"


# Handlers: one per verb. Each returns what was observed, or _UNSEEN.
Handler = Callable[[Run, Step], "Observed | _Unseen"]


def _leaf(run: Run, step: Step) -> _Unseen:
    array = leaf_array(step, run.dtype)
    run.names[step.out[0]] = run.engine.tensor(array, bool(step.param("requires_grad", False)))
    return _UNSEEN


def _reload(run: Run, step: Step) -> _Unseen:
    array = run.array(run.names[step.args[0]])
    run.names[step.out[0]] = run.engine.tensor(array, bool(step.param("requires_grad", False)))
    return _UNSEEN


def _apply(run: Run, step: Step) -> _Unseen:
    names = run.names
    tensors = [names[name] for name in step.args]
    assert step.op is not None
    if step.params:
        run.bind(step, run.engine.apply(step.op, *tensors, **run.params(step)))
    else:
        run.bind(step, run.engine.apply(step.op, *tensors))
    return _UNSEEN


def _apply_in_place(run: Run, step: Step) -> _Unseen:
    tensors = [run.names[name] for name in step.args]
    _optional(run).apply_(step.op, *tensors, **run.params(step))
    return _UNSEEN


def _optional(run: Run) -> Any:
    """Return the engine as one that may define any optional method of the contract."""
    return run.engine


def _unary(name: str) -> Handler:
    """Return the handler of a verb that makes a tensor of a tensor."""

    def handler(run: Run, step: Step) -> _Unseen:
        run.names[step.out[0]] = getattr(run.engine, name)(run.names[step.args[0]])
        return _UNSEEN

    return handler


def _command(name: str) -> Handler:
    """Return the handler of a verb that changes a tensor and yields nothing."""

    def handler(run: Run, step: Step) -> _Unseen:
        getattr(run.engine, name)(run.names[step.args[0]])
        return _UNSEEN

    return handler


def _flag(name: str) -> Handler:
    def handler(run: Run, step: Step) -> bool:
        return bool(getattr(run.engine, name)(run.names[step.args[0]]))

    return handler


def _requires_grad_in_place(run: Run, step: Step) -> _Unseen:
    flag = bool(step.param("flag", True))
    _optional(run).set_requires_grad(run.names[step.args[0]], flag)
    return _UNSEEN


def _backward(run: Run, step: Step) -> _Unseen:
    roots = [run.names[name] for name in step.args]
    given = {key: value for key, value in step.params if value is not None}
    gradient = given.pop("gradient", None)
    options = {key: run.param(value) for key, value in given.items()}
    if "inputs" in options and not isinstance(options["inputs"], tuple):
        options["inputs"] = (options["inputs"],)
    if len(roots) > 1:
        gradients = _cotangents(run, gradient, roots)
        _optional(run).backward_many(roots, gradients, **options)
        return _UNSEEN
    if gradient is not None:
        options["gradient"] = run.like(gradient, roots[0])
    _optional(run).backward(roots[0], **options)
    return _UNSEEN


def _cotangents(run: Run, values: Param, roots: list[Tensor]) -> list[Tensor | None]:
    """Return one cotangent per root; `values` is None, a list of them, or one for the one root."""
    if values is None:
        return [None] * len(roots)
    items = values if isinstance(values, tuple) and len(roots) > 1 else (values,)
    if len(items) != len(roots):
        raise InvalidProgram(f"{len(items)} gradients for {len(roots)} roots; give one for each")
    return [run.like(item, root) for item, root in zip(items, roots, strict=True)]


def _grad_of(run: Run, step: Step) -> _Unseen:
    given = {key: value for key, value in step.params if value is not None}
    outputs = _listed(run.param(given.pop("outputs")))
    inputs = _listed(run.param(given.pop("inputs")))
    cotangents = given.pop("grad_outputs", None)
    options = {key: run.param(value) for key, value in given.items()}
    if cotangents is not None:
        options["grad_outputs"] = _cotangents(run, cotangents, outputs)
    run.bind(step, tuple(_optional(run).grad_of(outputs, inputs, **options)))
    return _UNSEEN


def _listed(value: Any) -> list[Tensor]:
    return list(value) if isinstance(value, tuple) else [value]


def _set_grad(run: Run, step: Step) -> _Unseen:
    tensor = run.names[step.args[0]]
    _optional(run).set_grad(tensor, run.like(step.param("value"), tensor))
    return _UNSEEN


def _hook(run: Run, step: Step) -> _Unseen:
    engine, action = run.engine, step.param("action")

    def hook(gradient: Tensor) -> Tensor | None:
        seen = run.array(gradient)
        run.log.append(seen)
        if action == "double":
            return engine.apply("add", gradient, gradient)
        return engine.tensor(np.zeros_like(seen)) if action == "zero" else None

    handle = _optional(run).register_hook(run.names[step.args[0]], hook)
    if step.out:
        run.names[step.out[0]] = handle
    return _UNSEEN


def _remove_hook(run: Run, step: Step) -> _Unseen:
    run.names[step.args[0]].remove()
    return _UNSEEN


def _block(run: Run, step: Step) -> _Unseen:
    enabled = step.param("enabled")
    manager = mode(run.engine, step.verb, *([] if enabled is None else [bool(enabled)]))
    try:
        if not step.param("decorator", False):
            with manager:
                run.steps(step.body)
        elif callable(manager):
            manager(lambda: run.steps(step.body))()
        else:
            raise Unsupported(f"{step.verb} of {run.engine.name} is no decorator")
    except _BlockLeft:
        pass
    return _UNSEEN


def _value(run: Run, step: Step) -> Observed:
    tensor = run.names[step.args[0]]
    return None if tensor is None else run.array(tensor)


def _grad(run: Run, step: Step) -> Observed:
    gradient = _optional(run).grad(run.names[step.args[0]])
    if step.out:
        run.names[step.out[0]] = gradient
    return None if gradient is None else run.array(gradient)


def _grad_fn(run: Run, step: Step) -> str | None:
    name = _optional(run).grad_fn(run.names[step.args[0]])
    return None if name is None else str(name)


def _version(run: Run, step: Step) -> int:
    return int(_optional(run).version_of(run.names[step.args[0]]))


HANDLERS: Mapping[str, Handler] = {
    "leaf": _leaf,
    "reload": _reload,
    "apply": _apply,
    "apply_": _apply_in_place,
    "detach": _unary("detach"),
    "detach_": _command("detach_"),
    "data": _unary("data"),
    "requires_grad_": _requires_grad_in_place,
    "backward": _backward,
    "grad_of": _grad_of,
    "retain_grad": _command("retain_grad"),
    "set_grad": _set_grad,
    "hook": _hook,
    "remove_hook": _remove_hook,
    **dict.fromkeys(BLOCKS, _block),
    "value": _value,
    "grad": _grad,
    "requires_grad": _flag("requires_grad"),
    "is_leaf": _flag("is_leaf"),
    "grad_fn": _grad_fn,
    "version": _version,
    "is_grad_enabled": lambda run, _step: bool(_optional(run).is_grad_enabled()),
    "hook_log": lambda run, _step: tuple(run.log),
}
