"""One function checked on many samples: what a sample has shown is not asked of its like again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from conformance.adapters.base import Engine
from conformance.gradient_check.checker import BUDGET, Check, Options, loaded
from conformance.gradient_check.probes import PROBES, Questions, without
from conformance.gradient_check.probes.context import Context
from conformance.gradient_check.probes.inputs import HUGE
from conformance.gradient_check.result import GradientResult, Verdict

ANSWERS = ("passed", "failed")


class Sweep:
    """A function, by its name or whatever the caller takes for one, and its samples so far.

    Of every sample, value and gradient are compared along a random direction, the dtypes of the
    gradients are looked at, and whether arguments are left alone; with order=2 the gradient of the
    gradient is compared too. All other questions (`probes`) are asked of the first sample of each
    circumstance: the operations that its backward consists of, by name, and of every input and
    output the dtype, the number of dimensions up to two, whether it has no elements, a dimension of
    one or gaps in memory, and which inputs have equal shapes. Those about other inputs, which have
    other shapes, are asked until they are answered once for the same operations and dtypes. Options
    are those of `gradcheck`.
    """

    def __init__(
        self, *, engine: str | Engine = "torch", order: int = 1, seed: int = 0, probes: bool = True,
        huge: float = HUGE, budget: int | None = BUDGET,
    ) -> None:  # fmt: skip
        self._engine = loaded(engine) if isinstance(engine, str) else engine
        self._options = Options(order, "directional", seed, probes, huge, budget)
        self._asked: set[Hashable] = set()
        self._answered: dict[Hashable, set[str]] = {}
        self._now: set[str] = set()
        self.samples = 0
        self.failures: list[GradientResult] = []
        self.doubts: list[GradientResult] = []

    @property
    def circumstances(self) -> int:
        """How many samples were asked more than what is asked of every one."""
        return len(self._asked)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the function: that of its worst sample."""
        if self.failures:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.doubts else Verdict.PASS

    def check(self, fn: Callable[..., Any], inputs: Sequence[Any] | Any) -> GradientResult:
        """Check one sample; `fn` may be a function of its own that holds the sample's options."""
        arguments = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
        result = Check(fn, arguments, self._engine, self._options, self._questions).result()
        self.samples += 1
        self._now.update(probe.name for probe in result.probes if probe.outcome in ANSWERS)
        if result.verdict is Verdict.FAIL:
            self.failures.append(result)
        elif result.verdict is Verdict.INCONCLUSIVE:
            self.doubts.append(result)
        return result

    def _questions(self, context: Context) -> Questions:
        """Return what no sample of this circumstance was asked before, and note that one is."""
        way, shapes = circumstance_of(context)
        self._now = set()
        if (way, shapes) in self._asked:
            return ()
        self._asked.add((way, shapes))
        self._now = self._answered.setdefault(way, set())
        return without(self._now) if self._now else PROBES


def circumstance_of(context: Context) -> tuple[Hashable, Hashable]:
    """Return what the answers to the probes depend on beside the values, as `Sweep` lists it.

    The second part, of shapes, matters to those that are asked at the point itself.
    """
    base = context.base
    target, recording = base.target, base.recording
    bridge = target.bridge
    shapes = [variable.shape for variable in target.variables]
    inputs, outputs = target.arguments.tensors, recording.tensors
    way = (
        bridge.operations(outputs), tuple(map(bridge.dtype_name, [*inputs, *outputs])),
        target.arguments.constants, target.held is None, any(shapes),
    )  # fmt: skip
    forms = tuple((*_kind(bridge.shape(t)), bridge.is_contiguous(t)) for t in inputs)
    results = tuple(_kind(bridge.shape(tensor)) for tensor in outputs)
    return way, (forms, results, tuple(map(shapes.index, shapes)))


def _kind(shape: tuple[int, ...]) -> tuple[int, bool, bool]:
    return min(len(shape), 2), 0 in shape, 1 in shape
