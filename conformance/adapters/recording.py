"""A tape for functional engines: records the steps of a program, replays them as a pure function.

Every operation is applied at once, to the engine's own arrays, and remembered as a `Call`. For a
gradient, the calls between the inputs and the outputs are replayed, in their order, inside a
function of the inputs that the engine's `vjp` differentiates. A gradient is itself a call: that of
a gradient is a `vjp` of a function that calls `vjp`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, TapeEngine, Tensor
from conformance.custom import Rule
from conformance.errors import Unsupported
from conformance.observation import Array

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class Call:
    """One recorded call: `run` maps the arrays of `inputs` to the arrays of the results.

    spent: whether a gradient went through it without retaining the graph.
    """

    __slots__ = ("inputs", "run", "spent")

    def __init__(self, run: Run, inputs: tuple[Recorded, ...]) -> None:
        self.run, self.inputs = run, inputs
        self.spent = False


class Recorded:
    """A tensor of the recording: its array, and the result of which call it is, if of any.

    tracked: whether a gradient flows through it. order: when it was made; inputs come first.
    """

    __slots__ = ("call", "grad", "index", "order", "tracked", "value")

    def __init__(
        self, value: Tensor, order: int, tracked: bool, call: Call | None = None, index: int = 0
    ) -> None:
        self.value, self.order, self.tracked = value, order, tracked
        self.call, self.index = call, index
        self.grad: Recorded | None = None


class Recording(TapeEngine):
    """The tape of one program on `engine`. It claims nothing that the engine does not do itself.

    A second backward into the same leaf is `Unsupported`: adding up would be this class's work. So
    is one through a graph that was not retained: a pure function cannot be freed.
    """

    def __init__(self, engine: FunctionalEngine) -> None:
        self.engine = engine
        self.name, self.version, self.dtypes = engine.name, engine.version, engine.dtypes
        self.capabilities = engine.capabilities
        self._enabled = True
        self._made = 0
        self._duals: dict[Recorded, Recorded] | None = None

    def reset(self) -> None:
        """Reset the engine and enable gradients."""
        self.engine.reset()
        self._enabled, self._duals = True, None

    def tensor(self, array: Array, requires_grad: bool = False) -> Recorded:
        """Record a leaf."""
        return self._new(self.engine.tensor(array), requires_grad)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values of a recorded tensor."""
        return self.engine.numpy(tensor.value)

    def _new(
        self, value: Tensor, tracked: bool, call: Call | None = None, index: int = 0
    ) -> Recorded:
        self._made += 1
        return Recorded(value, self._made, tracked, call, index)

    def _record(self, run: Run, inputs: tuple[Recorded, ...], tracked: bool) -> list[Recorded]:
        call = Call(run, inputs)
        values = run([item.value for item in inputs])
        return [self._new(value, tracked, call, n) for n, value in enumerate(values)]

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Recorded | tuple[Recorded, ...]:
        """Apply the operation and record it; outside of grad mode, stop gradients at the result."""
        engine, arity = self.engine, len(tensors)
        inside: list[Recorded] = []
        template = _extract(params, inside)
        inputs = (*tensors, *inside)
        several: list[bool] = []

        def run(arrays: Sequence[Tensor]) -> Sequence[Tensor]:
            given = _fill(template, iter(arrays[arity:]))
            result = engine.apply(op, *arrays[:arity], **given)
            several.append(isinstance(result, (tuple, list)))
            return tuple(result) if several[-1] else (result,)

        tracked = any(item.tracked for item in inputs)
        results = self._record(run, inputs, tracked)
        if tracked and not self._enabled:
            results = [self.detach(result) for result in results]
        return tuple(results) if several[0] else results[0]

    def custom_function(self, rule: Rule, *tensors: Tensor) -> Sequence[Recorded]:
        """Record the engine's function with rules of its own."""
        engine: Any = self.engine
        tracked = any(item.tracked for item in tensors) and self._enabled
        return self._record(lambda arrays: engine.custom_function(rule, *arrays), tensors, tracked)

    def detach(self, tensor: Tensor) -> Recorded:
        """Record the engine's `stop_gradient`."""
        stop: Callable[[Tensor], Tensor] = self.engine.stop_gradient  # type: ignore[attr-defined]
        return self._record(lambda arrays: (stop(arrays[0]),), (tensor,), tracked=False)[0]

    def backward(
        self,
        tensor: Tensor,
        gradient: Tensor | None = None,
        retain_graph: bool = False,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Write the gradients of `tensor` into the tracked leaves, or into `inputs`."""
        self.backward_many([tensor], [gradient], retain_graph, create_graph, inputs)

    def backward_many(
        self,
        tensors: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        retain_graph: bool = False,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | None = None,
    ) -> None:
        """Write the gradients of several results into the tracked leaves, or into `inputs`."""
        leaves = _leaves(tensors) if inputs is None else list(inputs)
        if not leaves or not all(item.tracked for item in tensors):
            raise Unsupported(f"{self.name} differentiates functions; this is one of no input")
        if any(leaf.grad is not None for leaf in leaves):
            raise Unsupported(f"{self.name} has no .grad that a second backward could add to")
        found = self._gradients(tensors, leaves, gradients, create_graph)
        self._spend(tensors, retain_graph or create_graph)
        for leaf, grad in zip(leaves, found, strict=True):
            leaf.grad = grad

    def grad(self, tensor: Tensor) -> Recorded | None:
        """Return the gradient that backward wrote, or None."""
        found: Recorded | None = tensor.grad
        return found

    def grad_of(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        grad_outputs: Sequence[Tensor | None] | None = None,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> Sequence[Recorded | None]:
        """Return the gradients of `outputs` with respect to `inputs`, leaves or not."""
        if not set(inputs) <= _reached(outputs):
            raise Unsupported(f"{self.name} decides itself what an unused input's gradient is")
        cotangents = grad_outputs or [None] * len(outputs)
        found = self._gradients(outputs, list(inputs), cotangents, create_graph)
        self._spend(outputs, retain_graph or create_graph)
        return found

    def _gradients(
        self,
        outputs: Sequence[Recorded],
        inputs: list[Recorded],
        cotangents: Sequence[Recorded | None],
        create_graph: bool,
    ) -> list[Recorded | None]:
        """Return the gradient for each of `inputs`.

        Each result of a call is the primal of a `vjp` of its own: in that function it is cut off
        from the inputs before it, which would otherwise miss what flows through it.
        """
        if any(item.call is not None and item.call.spent for item in _reached(outputs)):
            raise Unsupported(f"{self.name} has no graph that an earlier backward could have freed")
        seeds = tuple(
            self._ones(output) if seed is None else seed
            for output, seed in zip(outputs, cotangents, strict=True)
        )
        leaves = [item for item in inputs if item.call is None]
        groups = [[item] for item in inputs if item.call is not None]
        found: dict[Recorded, Recorded | None] = {}
        for group in [leaves, *groups] if leaves else groups:
            results = self._group_gradients(outputs, group, seeds, create_graph)
            found.update(zip(group, results, strict=True))
        return [found[item] for item in inputs]

    def _group_gradients(
        self,
        outputs: Sequence[Recorded],
        inputs: list[Recorded],
        seeds: tuple[Recorded, ...],
        create_graph: bool,
    ) -> list[Recorded | None]:
        """Return the gradients by one `vjp`; other tracked leaves are primals as well."""
        primals = inputs + [leaf for leaf in _leaves(outputs, stop=inputs) if leaf not in inputs]
        function = _replay(primals, list(outputs))
        count, absent = len(primals), set[int]()

        def run(arrays: Sequence[Tensor]) -> Sequence[Tensor]:
            found = self.engine.vjp(function, tuple(arrays[:count]), tuple(arrays[count:]))
            absent.update(n for n, item in enumerate(found) if item is None)
            return tuple(found)[: len(inputs)]

        results = self._record(run, (*primals, *seeds), tracked=create_graph)
        for result in results:
            result.call = result.call if create_graph else None
        return [None if n in absent else result for n, result in enumerate(results)]

    def _spend(self, outputs: Sequence[Recorded], retain: bool) -> None:
        for item in _reached(outputs):
            if item.call is not None and not retain:
                item.call.spent = True

    def _ones(self, output: Recorded) -> Recorded:
        values = self.engine.numpy(output.value)
        if values.size != 1:
            raise Unsupported(f"{self.name} takes a cotangent for every result that is no scalar")
        if values.dtype.kind == "c":
            raise Unsupported(f"{self.name} takes a cotangent for every complex result")
        return self.tensor(np.ones_like(values))

    @contextmanager
    def forward_ad(self) -> Iterator[None]:
        """Remember inside the block which tensors carry tangents."""
        if self._duals is not None:
            raise Unsupported(f"{self.name} is given one level of forward mode at a time")
        self._duals = {}
        try:
            yield
        finally:
            self._duals = None

    def make_dual(self, tensor: Tensor, tangent: Tensor) -> Recorded:
        """Return an alias whose tangent is `tangent`, once the `jvp` of a square has taken it."""
        push: Any = self.engine
        push.jvp(
            lambda array: (self.engine.apply("mul", array, array),), (tensor.value,),
            (tangent.value,),
        )  # fmt: skip
        (dual,) = self._record(lambda arrays: (arrays[0],), (tensor,), tracked=True)
        assert self._duals is not None
        self._duals[dual] = tangent
        return dual

    def tangent_of(self, tensor: Tensor) -> Recorded | None:
        """Record the engine's `jvp` of the function that leads from the duals to `tensor`."""
        if self._duals is None:
            raise Unsupported(f"{self.name} has tangents of functions, none that last or end")
        push: Any = self.engine
        duals = list(self._duals)
        count, function = len(duals), _replay(duals, [tensor])
        if tensor not in duals and not _between(duals, [tensor]):
            return None

        def run(arrays: Sequence[Tensor]) -> Sequence[Tensor]:
            _, found = push.jvp(function, tuple(arrays[:count]), tuple(arrays[count:]))
            return tuple(found)

        inputs = (*duals, *self._duals.values())
        tracked = any(item.tracked for dual in duals for item in _sources(dual))
        tracked = tracked or any(item.tracked for item in self._duals.values())
        return self._record(run, inputs, tracked)[0]

    @contextmanager
    def set_grad_enabled(self, flag: bool) -> Iterator[None]:
        """Record operations with or without gradients inside the block."""
        if self._duals is not None and not flag:
            raise Unsupported(f"{self.name} has no mode that stops gradients and no tangents")
        before, self._enabled = self._enabled, flag
        try:
            yield
        finally:
            self._enabled = before

    def no_grad(self) -> Any:
        """Stop gradients at every result inside the block."""
        return self.set_grad_enabled(False)

    def enable_grad(self) -> Any:
        """Let gradients pass inside the block."""
        return self.set_grad_enabled(True)


def _sources(item: Recorded) -> tuple[Recorded, ...]:
    return () if item.call is None else item.call.inputs


class _Hole:
    """Stands, in a template of parameters, for a recorded tensor."""


def _extract(value: Any, found: list[Recorded]) -> Any:
    """Return `value` with recorded tensors replaced by holes, and append them to `found`."""
    if isinstance(value, Recorded):
        found.append(value)
        return _Hole()
    if isinstance(value, dict):
        return {key: _extract(item, found) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_extract(item, found) for item in value)
    return value


def _fill(template: Any, arrays: Iterator[Tensor]) -> Any:
    """Return `template` with its holes filled by `arrays`, in their order."""
    if isinstance(template, _Hole):
        return next(arrays)
    if isinstance(template, dict):
        return {key: _fill(item, arrays) for key, item in template.items()}
    if isinstance(template, tuple):
        return tuple(_fill(item, arrays) for item in template)
    return template


def _reached(outputs: Sequence[Recorded], stop: Sequence[Recorded] = ()) -> set[Recorded]:
    """Return the tracked tensors on which `outputs` depend, not looking behind those of `stop`."""
    found: set[Recorded] = set()
    waiting = [item for item in outputs if item.tracked]
    while waiting:
        item = waiting.pop()
        if item in found:
            continue
        found.add(item)
        if item.call is not None and item not in stop:
            waiting.extend(source for source in item.call.inputs if source.tracked)
    return found


def _leaves(outputs: Sequence[Recorded], stop: Sequence[Recorded] = ()) -> list[Recorded]:
    leaves = [item for item in _reached(outputs, stop) if item.call is None]
    return sorted(leaves, key=lambda item: item.order)


def _replay(primals: list[Recorded], outputs: list[Recorded]) -> Pure:
    """Return the function of the arrays of `primals` that repeats the calls up to `outputs`."""
    steps = _between(primals, outputs)

    def function(*arrays: Tensor) -> tuple[Tensor, ...]:
        known = dict(zip(primals, arrays, strict=True))
        results: dict[Call, Sequence[Tensor]] = {}
        for step in steps:
            assert step.call is not None
            if step.call not in results:
                values = [known.get(item, item.value) for item in step.call.inputs]
                results[step.call] = step.call.run(values)
            known[step] = results[step.call][step.index]
        return tuple(known.get(item, item.value) for item in outputs)

    return function


def _between(primals: list[Recorded], outputs: list[Recorded]) -> list[Recorded]:
    """Return what must be computed anew, in the order in which it was made.

    That is everything behind `outputs` that depends on one of `primals`, stopped gradients
    included: it is for the engine's `stop_gradient` to stop them.
    """
    behind: set[Recorded] = set()
    waiting = list(outputs)
    while waiting:
        item = waiting.pop()
        if item not in behind:
            behind.add(item)
            if item.call is not None and item not in primals:
                waiting.extend(item.call.inputs)
    depends = set(primals)
    steps = []
    for item in sorted(behind - depends, key=lambda item: item.order):
        if item.call is not None and any(source in depends for source in item.call.inputs):
            depends.add(item)
            steps.append(item)
    return steps
