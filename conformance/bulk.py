"""Bulk running: a program on one engine with as little around the engine's own work as can be.

What a program observes is returned in order, and nothing else is kept: that suffices where two
engines agree. Where they do not, `conformance.execute` says of each step what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any, Union

from conformance.adapters.base import Engine, Tensor
from conformance.adapters.remote import RemoteEngine
from conformance.blocks import in_a_thread, manager
from conformance.leaves import leaf_array, literal_array
from conformance.observation import Array, Observed
from conformance.program import BLOCKS, Param, Ref, Step
from conformance.promises import GRADIENT_PASSES
from conformance.scope import Scope
from conformance.verbs import HANDLERS, Unseen

_Run = Callable[[Step], None]
_MOST_ARRAYS = 4096


class Unfit(Exception):
    """Raised for a program that the bulk runner leaves to `execute`."""


class Mark(Enum):
    """What a step comes to that does not run."""

    REFUSED = "refused"
    SKIPPED = "skipped"


Seen = Union[Observed, Mark]  # noqa: UP007
REFUSED, SKIPPED = Mark.REFUSED, Mark.SKIPPED


class _Ended(Exception):
    """Ends a program at a backward that was refused."""


class _BlockLeft(Exception):
    """Leaves a block as the verb `raise` does."""


class Bulk:
    """Runs programs on one engine in one dtype, each after a reset of the engine.

    The common verbs have a function each, bound to the engine's methods; the others run as in
    `execute`.
    """

    def __init__(self, engine: Engine, dtype: str) -> None:
        self._engine: Any = engine  # one that may define any method of the contract
        self._dtype = dtype
        self._arrays: dict[object, Array] = {}
        self._leaves: dict[object, tuple[Array, bool]] = {}
        self._seen: list[Seen] = []
        self._holes = False
        self._scope = Scope(engine, dtype, {})
        self._names = self._scope.names
        self.fits = not isinstance(engine, RemoteEngine) and engine.session() is engine
        self._table: dict[str, _Run] = {
            "leaf": self._leaf, "apply": self._apply, "apply_": self._apply_in_place,
            "backward": self._backward, "value": self._value, "grad": self._grad,
            "detach": self._detach,
        }  # fmt: skip
        self._table |= dict.fromkeys(BLOCKS, self._block)

    def __call__(self, steps: Sequence[Step]) -> list[Seen]:
        """Return what the steps observe, with a mark for each that was refused or skipped.

        Nothing follows the mark of a refused backward: what that leaves behind nobody specifies.
        Raises what the engine raises, `RuntimeError` apart, and `Unfit`.
        """
        self._scope = Scope(self._engine, self._dtype, {})
        self._names = self._scope.names
        self._seen, self._holes = [], False
        self._engine.reset()
        with suppress(_Ended):
            self._run(steps)
        return self._seen

    def _run(self, steps: Sequence[Step]) -> None:
        table, scope, seen = self._table, self._scope, self._seen
        for step in steps:
            if self._holes and not scope.readable(step):
                seen.append(SKIPPED)
                continue
            try:
                run = table.get(step.verb)
                if run is not None:
                    run(step)
                    continue
                value = HANDLERS[step.verb](scope, step)
            except RuntimeError:
                self._holes = True
                seen.append(REFUSED)
                if step.verb in GRADIENT_PASSES:
                    raise _Ended from None
                continue
            if not isinstance(value, Unseen):
                seen.append(value)
            elif step.out:
                self._holes = self._holes or any(scope.names[name] is None for name in step.out)

    def _block(self, step: Step) -> None:
        body = step.body

        def run() -> None:
            self._run(body[:-1] if leaves else body)
            if leaves:
                raise _BlockLeft

        leaves = body[-1].verb == "raise"
        with suppress(_BlockLeft):
            if step.verb == "thread":
                in_a_thread(run)
            elif step.param("decorator"):
                manager(self._scope, step)(run)()  # type: ignore[operator]  # or no such decorator
            else:
                with manager(self._scope, step):
                    run()

    def _leaf(self, step: Step) -> None:
        made = self._leaves.get(step.params)
        if made is None:
            if len(self._leaves) >= _MOST_ARRAYS:
                self._leaves.clear()
            made = leaf_array(step, self._dtype), bool(step.param("requires_grad", False))
            self._leaves[step.params] = made
        self._names[step.out[0]] = self._engine.tensor(made[0].copy(), made[1])

    def _apply(self, step: Step) -> None:
        names, params = self._names, step.params
        tensors = [names[name] for name in step.args]
        if params:
            result = self._engine.apply(step.op, *tensors, **dict(params))
        else:
            result = self._engine.apply(step.op, *tensors)
        if type(result) in (tuple, list):
            raise Unfit(step.op)
        names[step.out[0]] = result

    def _apply_in_place(self, step: Step) -> None:
        names = self._names
        tensors = [names[name] for name in step.args]
        self._engine.apply_(step.op, *tensors, **dict(step.params))

    def _backward(self, step: Step) -> None:
        if len(step.args) > 1:
            HANDLERS["backward"](self._scope, step)
            return
        root = self._names[step.args[0]]
        if not step.params:
            self._engine.backward(root)
            return
        options: dict[str, Any] = dict(step.params)
        gradient = options.pop("gradient", None)
        if gradient is not None:
            options["gradient"] = self._like(gradient, root)
        if "inputs" in options:
            options["inputs"] = self._scope.resolve(options["inputs"])
        self._engine.backward(root, **options)

    def _like(self, value: Param, root: Tensor) -> Tensor:
        if isinstance(value, Ref):
            return self._names[value.name]
        dtype = self._engine.numpy(root).dtype
        array = self._arrays.get((value, dtype))
        if array is None:
            array = self._kept((value, dtype), literal_array(value, dtype))
        return self._engine.tensor(array.copy())

    def _kept(self, key: object, array: Array) -> Array:
        if len(self._arrays) >= _MOST_ARRAYS:
            self._arrays.clear()
        self._arrays[key] = array
        return array

    def _value(self, step: Step) -> None:
        tensor = self._names[step.args[0]]
        self._seen.append(None if tensor is None else self._engine.numpy(tensor).copy())

    def _grad(self, step: Step) -> None:
        gradient = self._engine.grad(self._names[step.args[0]])
        if step.out:
            self._names[step.out[0]] = gradient
            self._holes = self._holes or gradient is None
        self._seen.append(None if gradient is None else self._engine.numpy(gradient).copy())

    def _detach(self, step: Step) -> None:
        self._names[step.out[0]] = self._engine.detach(self._names[step.args[0]])
