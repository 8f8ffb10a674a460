"""What each verb of a program asks an engine to do: one small handler per verb, and their table.

A handler lets an engine's exceptions through; `conformance.execute` turns them into refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.adapters.base import Tensor
from conformance.custom import Rule
from conformance.errors import InvalidProgram
from conformance.observation import Observed
from conformance.program import MARKS, Param, Step
from conformance.scope import Scope


class Unseen:
    """The type of `UNSEEN`, what a handler returns for a step that observes nothing."""


UNSEEN = Unseen()
Handler = Callable[[Scope, Step], "Observed | Unseen"]


def _leaf(scope: Scope, step: Step) -> Unseen:
    array = scope.leaf(step)
    scope.names[step.out[0]] = scope.engine.tensor(array, bool(step.param("requires_grad", False)))
    return UNSEEN


def _reload(scope: Scope, step: Step) -> Unseen:
    array = scope.array(scope.first(step))
    scope.names[step.out[0]] = scope.engine.tensor(array, bool(step.param("requires_grad", False)))
    return UNSEEN


def _apply(scope: Scope, step: Step) -> Unseen:
    names = scope.names
    tensors = [names[name] for name in step.args]
    assert step.op is not None
    if step.params:
        scope.bind(step, scope.engine.apply(step.op, *tensors, **scope.params(step)))
    else:
        scope.bind(step, scope.engine.apply(step.op, *tensors))
    return UNSEEN


def _apply_in_place(scope: Scope, step: Step) -> Unseen:
    tensors = [scope.names[name] for name in step.args]
    scope.optional.apply_(step.op, *tensors, **scope.params(step))
    return UNSEEN


def _unary(name: str) -> Handler:
    """Return the handler of a verb that makes a tensor of a tensor."""

    def handler(scope: Scope, step: Step) -> Unseen:
        scope.names[step.out[0]] = getattr(scope.engine, name)(scope.first(step))
        return UNSEEN

    return handler


def _command(name: str) -> Handler:
    """Return the handler of a verb that changes a tensor and yields nothing."""

    def handler(scope: Scope, step: Step) -> Unseen:
        getattr(scope.engine, name)(scope.first(step))
        return UNSEEN

    return handler


def _flag(name: str) -> Handler:
    def handler(scope: Scope, step: Step) -> bool:
        return bool(getattr(scope.engine, name)(scope.first(step)))

    return handler


def _requires_grad_in_place(scope: Scope, step: Step) -> Unseen:
    flag = bool(step.param("flag", True))
    scope.optional.set_requires_grad(scope.first(step), flag)
    return UNSEEN


def _backward(scope: Scope, step: Step) -> Unseen:
    roots = [scope.names[name] for name in step.args]
    given = {key: value for key, value in step.params if value is not None}
    gradient = given.pop("gradient", None)
    options = {key: scope.resolve(value) for key, value in given.items()}
    if "inputs" in options and not isinstance(options["inputs"], tuple):
        options["inputs"] = (options["inputs"],)
    if len(roots) > 1:
        gradients = _cotangents(scope, gradient, roots)
        scope.optional.backward_many(roots, gradients, **options)
        return UNSEEN
    if gradient is not None:
        options["gradient"] = scope.like(gradient, roots[0])
    scope.optional.backward(roots[0], **options)
    return UNSEEN


def _cotangents(scope: Scope, values: Param, roots: list[Tensor]) -> list[Tensor | None]:
    """Return one cotangent per root; `values` is None, a list of them, or one for the one root."""
    if values is None:
        return [None] * len(roots)
    items = values if isinstance(values, tuple) and len(roots) > 1 else (values,)
    if len(items) != len(roots):
        raise InvalidProgram(f"{len(items)} gradients for {len(roots)} roots; give one for each")
    return [scope.like(item, root) for item, root in zip(items, roots, strict=True)]


def _grad_of(scope: Scope, step: Step) -> Unseen:
    given = {key: value for key, value in step.params if value is not None}
    outputs = _listed(scope.resolve(given.pop("outputs")))
    inputs = _listed(scope.resolve(given.pop("inputs")))
    cotangents = given.pop("grad_outputs", None)
    options = {key: scope.resolve(value) for key, value in given.items()}
    if cotangents is not None:
        options["grad_outputs"] = _cotangents(scope, cotangents, outputs)
    scope.bind(step, tuple(scope.optional.grad_of(outputs, inputs, **options)))
    return UNSEEN


def _listed(value: Any) -> list[Tensor]:
    return list(value) if isinstance(value, tuple) else [value]


def _set_grad(scope: Scope, step: Step) -> Unseen:
    tensor = scope.first(step)
    scope.optional.set_grad(tensor, scope.like(step.param("value"), tensor))
    return UNSEEN


def _hook(scope: Scope, step: Step) -> Unseen:
    engine, action = scope.engine, step.param("action")

    def hook(gradient: Tensor) -> Tensor | None:
        seen = scope.array(gradient)
        scope.log.append(seen)
        if action == "double":
            return engine.apply("add", gradient, gradient)
        return engine.tensor(np.zeros_like(seen)) if action == "zero" else None

    handle = scope.optional.register_hook(scope.first(step), hook)
    if step.out:
        scope.names[step.out[0]] = handle
    return UNSEEN


def _post_hook(scope: Scope, step: Step) -> Unseen:
    def hook(leaf: Tensor) -> None:
        gradient = scope.optional.grad(leaf)
        scope.log.append(np.empty(0) if gradient is None else scope.array(gradient))
        if step.param("action") == "clear":
            scope.optional.set_grad(leaf, None)

    handle = scope.optional.register_post_accumulate_hook(scope.first(step), hook)
    if step.out:
        scope.names[step.out[0]] = handle
    return UNSEEN


def _custom_function(scope: Scope, step: Step) -> Unseen:
    tensors = [scope.names[name] for name in step.args]
    rule = Rule(dict(step.params), scope.log)
    choices = {key: value for key, value in step.params if key in MARKS}
    results = tuple(scope.optional.custom_function(rule, *tensors, **choices))
    scope.bind(step, results)
    return UNSEEN


def _make_dual(scope: Scope, step: Step) -> Unseen:
    tensor = scope.first(step)
    tangent = scope.like(step.param("tangent"), tensor)
    scope.names[step.out[0]] = scope.optional.make_dual(tensor, tangent)
    return UNSEEN


def _tangent(scope: Scope, step: Step) -> Observed:
    """Observe a tangent; one that is absent is zeros, as engines have it one way or the other."""
    tensor = scope.first(step)
    tangent = scope.optional.tangent_of(tensor)
    if tangent is None:
        tangent = scope.engine.tensor(np.zeros_like(scope.array(tensor)))
    if step.out:
        scope.names[step.out[0]] = tangent
    return scope.array(tangent)


def _drop(scope: Scope, step: Step) -> Unseen:
    for name in step.args:
        del scope.names[name]
    return UNSEEN


def _remove_hook(scope: Scope, step: Step) -> Unseen:
    scope.first(step).remove()
    return UNSEEN


def _value(scope: Scope, step: Step) -> Observed:
    tensor = scope.first(step)
    return None if tensor is None else scope.array(tensor)


def _grad(scope: Scope, step: Step) -> Observed:
    gradient = scope.optional.grad(scope.first(step))
    if step.out:
        scope.names[step.out[0]] = gradient
    return None if gradient is None else scope.array(gradient)


def _grad_fn(scope: Scope, step: Step) -> str | None:
    name = scope.optional.grad_fn(scope.first(step))
    return None if name is None else str(name)


def _version(scope: Scope, step: Step) -> int:
    return int(scope.optional.version_of(scope.first(step)))


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
    "post_hook": _post_hook,
    "remove_hook": _remove_hook,
    "custom_function": _custom_function,
    "make_dual": _make_dual,
    "tangent": _tangent,
    "watch": _unary("watch"),
    "drop": _drop,
    "alive": lambda scope, step: bool(scope.first(step)()),
    "value": _value,
    "grad": _grad,
    "requires_grad": _flag("requires_grad"),
    "is_leaf": _flag("is_leaf"),
    "grad_fn": _grad_fn,
    "version": _version,
    "is_grad_enabled": lambda scope, _step: bool(scope.optional.is_grad_enabled()),
    "hook_log": lambda scope, _step: tuple(scope.log),
}
