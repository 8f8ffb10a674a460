"""Trials: forward runs of a program with one tensor displaced and all that is cut off kept.

A derivative is the change of what `backward` was called on when one tensor changes and everything
that autograd treats as constant does not. So a first run records every tensor made; later ones
replay from the record what no gradient may pass (leaves, detached tensors, what was computed
without grad mode, gradients already read), and compute the rest anew, the chosen tensor displaced.
No backward of any engine takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.compare.tolerance import is_inexact
from conformance.execute import execute
from conformance.observation import Array, Observation
from conformance.oracles.promoted import Wrapped
from conformance.program import Program, Step

_PLAIN = frozenset(
    "leaf reload apply detach backward retain_grad set_grad raise value grad requires_grad is_leaf"
    " grad_fn version is_grad_enabled hook remove_hook hook_log no_grad enable_grad"
    " set_grad_enabled inference_mode saved_tensors_hooks".split()
)
"""Verbs that a trial understands; `apply_` too where nothing could share memory across a cut."""
_SAME = frozenset("None keep record copy array".split())
"""What hooks on saved tensors may do that leaves derivatives as they are."""
_CUTS = frozenset("detach no_grad enable_grad set_grad_enabled inference_mode reload".split())


@dataclass(slots=True)
class Cell:
    """A tensor of a trial, the running number of its making, and its array where that is given."""

    tensor: Tensor
    number: int
    array: Array | None = None


@dataclass(slots=True)
class Call:
    """One call of backward: roots, cotangents, and the tensors that gradients were asked for."""

    roots: list[Tensor]
    cotangents: list[Array | None]
    inputs: list[int] | None = None


@dataclass
class Record:
    """What the first run made: arrays in the order of making, and calls of backward.

    gradients: what the engine under test gave at each reading of a gradient; read: the numbers of
    the tensors whose gradients were read.
    """

    gradients: list[Array | None]
    arrays: list[Array] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


Displace = Callable[[Tensor], Tensor]


class Trial(Wrapped):
    """An engine without a backward: it records (`target` None) or replays a `Record`."""

    def __init__(
        self,
        inner: Engine,
        program: Program,
        record: Record,
        target: int | None = None,
        displace: Displace | None = None,
    ) -> None:
        super().__init__(inner)
        self.record, self.target, self.displace = record, target, displace
        self._needs = program.needs
        self.calls: list[Call] = []
        self._made, self._read = 0, 0
        self._tracking = [True]

    @property
    def capabilities(self) -> frozenset[str]:
        """Return what the program needs: `understood` has said that a trial can give it."""
        return self._needs

    def tensor(self, array: Array, requires_grad: bool = False) -> Cell:
        """Make a leaf in float64: in a replay the recorded one, whatever the array has become."""
        del requires_grad
        wide = widened(array) if is_inexact(array.dtype) else array
        return self._constant(lambda: self.inner.tensor(wide))

    def numpy(self, tensor: Cell) -> Array:
        """Return the values of a cell, in a replay the recorded ones."""
        if tensor.array is not None:
            return tensor.array
        if self.target is not None:
            return self.record.arrays[tensor.number]
        array: Array = self.inner.numpy(tensor.tensor)
        return array

    def apply(self, op: str, *tensors: Cell, **params: Any) -> Cell | tuple[Cell, ...]:
        """Apply the operation; without grad mode its results are constants."""
        plain = {key: _opened(value) for key, value in params.items()}
        result = super().apply(op, *(cell.tensor for cell in tensors), **plain)
        if isinstance(result, (tuple, list)):
            return tuple(self._result(item) for item in result)
        return self._result(result)

    def apply_(self, op: str, target: Cell, *tensors: Cell, **params: Any) -> None:
        """Apply the operation in place."""
        plain = {key: _opened(value) for key, value in params.items()}
        self.inner.apply_(op, target.tensor, *(cell.tensor for cell in tensors), **plain)

    def detach(self, tensor: Cell) -> Cell:
        """Return a constant: the values of `tensor` in the first run."""
        return self._constant(lambda: self.inner.tensor(np.array(self.inner.numpy(tensor.tensor))))

    def backward(
        self, tensor: Cell, gradient: Cell | None = None, inputs: Sequence[Cell] | None = None,
        **_options: bool,
    ) -> None:  # fmt: skip
        """Note the root and its cotangent."""
        self.backward_many([tensor], [gradient], inputs)

    def backward_many(
        self, tensors: Sequence[Cell], gradients: Sequence[Cell | None],
        inputs: Sequence[Cell] | None = None, **_options: bool,
    ) -> None:  # fmt: skip
        """Note the roots and their cotangents."""
        cotangents = [None if g is None else np.array(self.numpy(g)) for g in gradients]
        asked = None if inputs is None else [cell.number for cell in inputs]
        self.calls.append(Call([cell.tensor for cell in tensors], cotangents, asked))

    def grad(self, tensor: Cell) -> Cell | None:
        """Return the gradient that the engine under test was seen to have at this reading."""
        seen = self.record.gradients[self._read]
        self._read += 1
        if self.target is None:
            self.record.read.append(tensor.number)
        return None if seen is None else Cell(self.inner.tensor(np.array(seen)), -1, seen)

    def set_grad(self, tensor: Cell, gradient: Cell | None) -> None:
        """Do nothing: what a gradient is set to is accounted for by whoever reads it."""

    def retain_grad(self, tensor: Cell) -> None:
        """Do nothing: every tensor's derivative can be had."""

    def register_hook(self, tensor: Cell, hook: object) -> _Handle:
        """Do nothing: only hooks that change nothing are tried."""
        del tensor, hook
        return _Handle()

    def requires_grad(self, tensor: Cell) -> bool:
        """Return true; nobody reads it."""
        del tensor
        return True

    is_leaf = requires_grad

    def grad_fn(self, tensor: Cell) -> str | None:
        """Return None; nobody reads it."""
        del tensor
        return None

    def version_of(self, tensor: Cell) -> int:
        """Return 0; nobody reads it."""
        del tensor
        return 0

    def is_grad_enabled(self) -> bool:
        """Tell whether a trial tracks at this moment."""
        return self._tracking[-1]

    def no_grad(self) -> AbstractContextManager[None]:
        """Cut what is computed inside."""
        return self._mode(False)

    def enable_grad(self) -> AbstractContextManager[None]:
        """Track what is computed inside."""
        return self._mode(True)

    def set_grad_enabled(self, flag: bool) -> AbstractContextManager[None]:
        """Track or cut what is computed inside."""
        return self._mode(flag)

    def saved_tensors_hooks(self, pack: object, unpack: object) -> AbstractContextManager[None]:
        """Do nothing: without a backward nothing is saved."""
        del pack, unpack
        return nullcontext()

    def inference_mode(self, flag: bool = True) -> AbstractContextManager[None]:
        """Cut what is computed inside, unless `flag` is false."""
        return self._mode(not flag and self._tracking[-1])

    def reset(self) -> None:
        """Do nothing: no mode of the inner engine was touched."""

    @contextmanager
    def _mode(self, tracking: bool) -> Iterator[None]:
        self._tracking.append(tracking)
        try:
            yield
        finally:
            self._tracking.pop()

    def _result(self, tensor: Tensor) -> Cell:
        return self._made_now(tensor) if self._tracking[-1] else self._constant(lambda: tensor)

    def _constant(self, make: Callable[[], Tensor]) -> Cell:
        if self.target is None:
            return self._made_now(make())
        return self._made_now(self.inner.tensor(self.record.arrays[self._made]))

    def _made_now(self, tensor: Tensor) -> Cell:
        number = self._made
        self._made += 1
        if self.target is None:
            self.record.arrays.append(np.array(self.inner.numpy(tensor)))
        elif number == self.target and self.displace is not None:
            tensor = self.displace(tensor)
        return Cell(tensor, number)


class _Handle:
    def remove(self) -> None:
        """Do nothing: there was no hook."""


def _opened(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_opened(item) for item in value)
    return value.tensor if isinstance(value, Cell) else value


def understood(program: Program) -> bool:
    """Tell whether trials can say what the derivatives of the program are.

    Not where gradients are changed on their way or differentiated again, nor where a write in place
    could reach a tensor across a cut.
    """
    steps = list(program.walk())
    verbs = {step.verb for step in steps}
    if "apply_" in verbs and verbs & _CUTS:
        return False
    return verbs <= _PLAIN | {"apply_"} and not any(_beyond(step) for step in steps)


def _beyond(step: Step) -> bool:
    changing_hook = step.verb == "hook" and step.param("action") not in ("record", "none")
    packing = {str(step.param("pack")), str(step.param("unpack"))}
    changing_pack = step.verb == "saved_tensors_hooks" and not packing <= _SAME
    return changing_hook or changing_pack or bool(step.param("create_graph"))


def recorded(engine: Engine, program: Program, observation: Observation) -> Record | None:
    """Run the program once for the record, or return None where a step of it was not taken.

    observation: the run under test; its gradients are what later steps of the program read.
    """
    if any(event.skipped or event.refusal is not None for event in observation.events):
        return None
    seen = [event.value for event in observation.events if event.verb == "grad"]
    record = Record([widened(value) if isinstance(value, np.ndarray) else None for value in seen])
    trial = Trial(engine, program, record)
    if not _ran(trial, program, observation.dtype):
        return None
    record.calls = trial.calls
    return record


def displaced(
    engine: Engine, program: Program, dtype: str, record: Record, target: int, displace: Displace
) -> list[Call] | None:
    """Run the program with one tensor displaced; return its calls of backward, or None."""
    trial = Trial(engine, program, record, target, displace)
    return trial.calls if _ran(trial, program, dtype) else None


def _ran(trial: Trial, program: Program, dtype: str) -> bool:
    events = execute(trial, program, dtype).events
    return all(event.refusal is None and not event.skipped for event in events)
