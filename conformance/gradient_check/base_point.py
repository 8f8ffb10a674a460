"""The point at which a function is checked: its recorded call, its gradients, its elements."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from conformance.gradient_check.arguments import Variable
from conformance.gradient_check.directions import REPEATED, Draws, along, scales, signed
from conformance.gradient_check.line import Line
from conformance.gradient_check.products import finite
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.result import Departure, Place
from conformance.gradient_check.targets import Target, WrongShape
from conformance.observation import Array

BACKWARD_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What a backward may raise and is reported as its failure, WrongShape among them."""


class BackwardRaised(Exception):
    """A backward did not return; `sentence` says what it raised.

    missing: it says that there is none.
    """

    def __init__(self, error: BaseException) -> None:
        first = (str(error).strip().splitlines() or [""])[0]
        kind = "" if isinstance(error, WrongShape) else f"backward raised {type(error).__name__}: "
        self.sentence = kind + first
        self.missing = isinstance(error, NotImplementedError)
        super().__init__(self.sentence)


class BasePoint:
    """A target at a point, one tracked call made and kept.

    random: the generator of directions. known: another point of the function. steps: a step scale
    per element, where it is known. recording: the call, where it was made.
    """

    def __init__(
        self, target: Target, random: Draws, known: BasePoint | None = None,
        steps: Array | None = None, recording: Recording | None = None,
    ) -> None:  # fmt: skip
        self.target, self.random = target, random
        self.point = target.point
        self._keep(target.record(self.point) if recording is None else recording)
        self.unit: float = target.output_unit(self.recording) if known is None else known.unit
        self._scales = steps
        self._named: tuple[Variable, ...] | None = None

    def _keep(self, recording: Recording) -> None:
        self.recording, self.outputs = recording, recording.outputs
        self.all_finite = finite(self.outputs)
        self._repeat: Recording | None = None

    def repeat(self) -> Recording:
        """Return a second call at the point, the same one each time."""
        if self._repeat is None:
            self._repeat = self.target.record(self.point)
        return self._repeat

    def holds(self) -> bool:
        """Tell whether random numbers turn out to be drawn; from here on they are the same ones.

        The call is then another one than before. Asked where values and gradient disagree, or
        where a probe does not pass.
        """
        target = self.target
        if target.held is not None:
            return False
        state = target.bridge.random_state()
        if state is None:
            return False
        self.repeat()
        if target.bridge.same_state(state):
            return False
        target.held = state
        self._keep(target.record(self.point))
        return True

    @property
    def scales(self) -> Array:
        """The step scale per element."""
        if self._scales is None:
            self._scales = scales(self.point, self.target.spans)
        return self._scales

    @property
    def finite(self) -> Array:
        """Which numbers of the outputs are finite."""
        return np.isfinite(self.outputs)

    @property
    def output_variables(self) -> tuple[Variable, ...]:
        """Return names, shapes and places of the outputs."""
        if self._named is None:
            self._named = tuple(self._output_variables())
        return self._named

    def _output_variables(self) -> Iterator[Variable]:
        start = 0
        tensors = self.recording.tensors
        for number, tensor in enumerate(tensors):
            stop = start + self.target.numbers(tensor)
            name = "output" if len(tensors) == 1 else f"output {number}"
            shape, dtype = (
                self.target.bridge.shape(tensor),
                self.target.bridge.dtype_name(tensor),
            )
            yield Variable(name, shape, dtype, slice(start, stop))
            start = stop

    def weights(self) -> Array:
        """Return a random cotangent, with all the digits that double precision has."""
        drawn = signed(self.random, self.outputs.size, self.unit < 2.0**-50)
        return drawn if self.all_finite else np.where(self.finite, drawn, 0.0)

    def direction(self, gradient: Array) -> Array:
        """Return a random direction, as `along` does; zero where an element is not finite."""
        steps, point = self._scales, self.point
        if steps is None:
            whole = point.size > REPEATED and np.count_nonzero(point) == point.size
            steps = point if whole else self.scales
        drawn = along(self.random, steps, gradient)
        return drawn if finite(drawn) else np.where(np.isfinite(drawn), drawn, 0.0)

    def line(self, direction: Array) -> Line:
        """Return the function along a direction."""
        return Line(self.target, self.point, direction, self.outputs, self.unit)

    def pull(self, weights: Array, recording: Recording | None = None) -> Array:
        """Return the gradient for a cotangent; raises `BackwardRaised`."""
        try:
            return (recording or self.recording).pull(weights)
        except BACKWARD_ERRORS as error:
            raise BackwardRaised(error) from error

    def input_place(self, position: int) -> Place:
        """Return the name and index of an element of the flat vector of inputs."""
        return _place(self.target.variables, position)

    def output_place(self, position: int) -> Place:
        """Return the name and index of an element of the flat vector of outputs."""
        return _place(self.output_variables, position)

    def raised(self, error: BackwardRaised, cause: str = "backward raises") -> Departure:
        """Return the failure that a raising backward is."""
        return Departure(cause, error.sentence)

    def empty(self) -> bool:
        """Tell whether there is nothing to compare: no elements in the inputs or the outputs."""
        return self.point.size == 0 or self.outputs.size == 0


def _place(variables: tuple[Variable, ...], position: int) -> Place:
    for variable in variables:
        if variable.span.start <= position < variable.span.stop:
            return Place(variable.name, variable.index(position - variable.span.start))
    raise IndexError(f"{position} is beyond the {math.nan if not variables else 'last'} variable")
