"""The function under check as a map of real vectors, however it is written and whoever runs it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, FunctionalEngine, Tensor
from conformance.compare.tolerance import unit_roundoff
from conformance.errors import UsageError
from conformance.gradient_check.arguments import DOUBLE, Arguments, Variable, flat, paired
from conformance.gradient_check.bridges import bridge_to
from conformance.gradient_check.recordings import Recording
from conformance.observation import Array


class Spent(Exception):
    """As many numbers as were allowed have passed through the function."""

    def __init__(self, budget: float) -> None:
        self.sentence = (
            f"the budget of {budget:.3g} numbers through the function was spent before; check"
            " smaller inputs, or give a larger budget"
        )
        super().__init__(self.sentence)


class Effort:
    """What a check has cost so far: calls of the function, and numbers of inputs through it.

    budget: of these numbers, forward and backward. Beyond it the next call raises `Spent`.
    """

    __slots__ = ("budget", "calls", "numbers")

    def __init__(self) -> None:
        self.calls, self.numbers = 0, 0
        self.budget = math.inf

    def spend(self, size: int) -> None:
        """Count the numbers of a backward, or of a call of the function."""
        self.numbers += size
        if self.numbers > self.budget:
            raise Spent(self.budget)


ONLY = (0,)
"""What is kept of a function with one output: the usual case."""


class Target:
    """A function of tensors; `wide` computes it in double precision whatever its inputs are.

    keep_all: judge outputs too that do not require grad. held: the generator state that every call
    starts from, None where the function draws nothing from it.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Any], engine: Engine) -> None:
        self.engine, self.bridge = engine, bridge_to(engine)
        self._named, self._kind = function, self.bridge.kinds
        self.function, parameters = self._callable(function)
        self._inputs, self._parameters = tuple(inputs), parameters
        self.arguments = Arguments(self.bridge, inputs, parameters)
        if not self.arguments.tensors:
            raise UsageError(
                f"{self.name} is given no tensor of floats among {len(self._inputs)} inputs;"
                " expected at least one to differentiate by"
            )
        self.point = self.arguments.point()
        self.effort = Effort()
        self.held: object = None
        self.reports: tuple[Tensor, ...] = ()
        self.kept: tuple[int, ...] | None = None
        self.keep_all = self._functional = isinstance(engine, FunctionalEngine)
        self._settle(None)

    def _settle(self, dtype: str | None) -> None:
        self.dtype = dtype
        self._lay(self.arguments.variables(dtype))
        self._fill = self.arguments.fill(dtype)
        dtypes = {variable.dtype for variable in self.variables}
        self.unit = max(map(unit_roundoff, dtypes))
        doubles = dtypes == {"float64"} and not self._parameters
        self._share = self.bridge.share if doubles else None

    def _lay(self, variables: tuple[Variable, ...]) -> None:
        """Note where the variables lie in the vector of all their numbers."""
        self.variables = variables
        self.spans = [variable.span for variable in variables]
        self._places = [(variable.span, variable.shape) for variable in variables]

    @property
    def joins(self) -> bool:
        """Whether gradients of several graphs can be asked for in one call of the engine."""
        return bool(self.bridge.arrangements) and not self._functional

    @property
    def calls(self) -> int:
        """How often the function was called, at whatever point and in whatever dtype."""
        return self.effort.calls

    @property
    def name(self) -> str:
        """The name of the function, without the scopes in which it was made."""
        return _name(self._named)

    @property
    def is_module(self) -> bool:
        """Whether parameters are varied beside the inputs."""
        return bool(self._parameters)

    def widened(self) -> Target:
        """Return the target computed in double precision; itself where it already is."""
        if self.unit <= unit_roundoff("float64"):
            return self
        wide = self.at(self.point)
        if self._parameters:
            wide.function = copy.deepcopy(self.function)
            wide.function.double()
        wide.kept = None
        wide._settle("float64")
        return wide

    def _callable(self, function: Any) -> tuple[Any, dict[str, Tensor]]:
        """Return what to call, and the parameters that are varied with the inputs."""
        if isinstance(function, type) and hasattr(function, "apply"):
            return getattr(function, "apply"), {}  # noqa: B009  (a type need not have it)
        if callable(getattr(function, "named_parameters", None)):
            module = copy.deepcopy(function)
            named = dict(module.named_parameters())
            return module, {f"parameter {name}": tensor for name, tensor in named.items()}
        if not callable(function):
            raise UsageError(
                f"{function!r} is not callable; expected a function, an autograd Function or a"
                " module"
            )
        return function, {}

    def call(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Call the function; return the outputs that are tensors of floats, and are kept."""
        effort = self.effort
        effort.calls += 1
        effort.numbers += self.point.size
        if effort.numbers > effort.budget:
            raise Spent(effort.budget)
        if self.held is not None:
            self.bridge.restore(self.held)
        arguments = self._fill(tensors)
        if self._parameters:
            result = self._on_module(tensors, arguments)
        else:
            result = self.function(*arguments)
        self.reports = ()
        if self.kept == ONLY and isinstance(result, self._kind):
            return [result]
        found: list[Tensor] = []
        whole: list[Tensor] = []
        _gather(result, self.bridge, found, whole)
        self.reports = tuple(whole)
        return found if self.kept is None else [found[number] for number in self.kept]

    def _on_module(self, tensors: Sequence[Tensor], arguments: tuple[Any, ...]) -> object:
        first = len(tensors) - sum(v.name.startswith("parameter ") for v in self.variables)
        names = [v.name.removeprefix("parameter ") for v in self.variables[first:]]
        given = dict(zip(names, tensors[first:], strict=True))
        return self.bridge.call_module(self.function, given, arguments)

    def takes_originals(self) -> bool:
        """Tell whether the function does not raise for the very tensors that were given."""
        try:
            self.function(*self._inputs)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            return False
        return True

    def pure(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Call the function inside a transform, where outputs are whatever the engine traces."""
        self.effort.calls += 1
        self.effort.spend(self.point.size)
        return _leaves(self.function(*self._fill(tensors)))

    def tensors(
        self, point: Array, tracked: bool, arrangement: str = "plain", only: int | None = None
    ) -> list[Tensor]:
        """Return the variables' tensors at a point; only: the number of the one that is tracked."""
        leaf, share = self.bridge.leaf, self._share
        if share is not None and arrangement == "plain":
            places = self._places
            if len(places) == 1:
                made = [share(point.reshape(places[0][1]))]
            else:
                made = [share(point[span].reshape(shape)) for span, shape in places]
            if tracked:
                for tensor in made if only is None else [made[only]]:
                    tensor.requires_grad_()
            return made
        return [
            leaf(v.array(point), v.dtype, tracked and only in (None, number), arrangement)
            for number, v in enumerate(self.variables)
        ]

    def evaluate(self, point: Array) -> Array:
        """Return the outputs at a point as one real vector, nothing tracked."""
        outputs = self.call(self.tensors(point, False))
        if len(outputs) == 1:
            values = self.bridge.values(outputs[0])
            if values.dtype is DOUBLE:
                return values.reshape(-1)
        return self._joined(outputs)

    def record(
        self, point: Array, arrangement: str = "plain", *, only: int | None = None,
        tied: tuple[int, int] | None = None,
    ) -> Recording:  # fmt: skip
        """Call the function, tracked; the first call settles which outputs are differentiable.

        only: the number of the one variable that requires grad; tied: two variables that are one
        tensor, the first.
        """
        leaves = self.tensors(point.copy(), True, arrangement, only)
        if tied is not None:
            leaves[tied[1]] = leaves[tied[0]]
        outputs = self.call(leaves)
        if self.kept is None:
            everything = range(len(outputs))
            tracked = [i for i in everything if self.bridge.requires_grad(outputs[i])]
            self.kept = tuple(everything if self.keep_all or not tracked else tracked)
            outputs = [outputs[i] for i in self.kept]
        variables: Sequence[Variable] = self.variables
        if tied is not None:
            del leaves[tied[1]]
            variables = [v for number, v in enumerate(variables) if number != tied[1]]
        elif only is not None:
            leaves, variables = [leaves[only]], [variables[only]]
        values = self._joined(outputs)
        return Recording(self, variables, leaves, outputs, values.copy())

    def reshaped(self, shapes: Sequence[tuple[int, ...]], point: Array) -> Target:
        """Return the target for inputs of other shapes, at a point of as many numbers."""
        other, start, variables = self.at(point), 0, []
        for variable, shape in zip(self.variables, shapes, strict=True):
            size = math.prod(shape) * (2 if variable.is_complex else 1)
            span = slice(start, start + size)
            variables.append(Variable(variable.name, shape, variable.dtype, span))
            start += size
        other._lay(tuple(variables))
        return other

    def at(self, point: Array) -> Target:
        """Return the target at another point."""
        other = Target.__new__(Target)
        other.__dict__ = self.__dict__ | {"point": point}
        return other

    def pull(
        self, leaves: Sequence[Tensor], outputs: Sequence[Tensor], seeds: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """Return the gradients of the leaves for these cotangents of the outputs."""
        self.effort.spend(self.point.size)
        if self._functional:
            full = [
                self.like(t, np.zeros(self.numbers(t)), "plain") if seed is None else seed
                for t, seed in zip(outputs, seeds, strict=True)
            ]
            engine: Any = self.engine
            found: Sequence[Tensor | None] = engine.vjp(self.pure, leaves, full)
            return found
        return self.bridge.pull(outputs, leaves, seeds)

    def push(self, point: Array, tangent: Array) -> Array:
        """Return J·tangent as forward mode has it."""
        outputs: list[Tensor] = []

        def function(*tensors: Tensor) -> list[Tensor]:
            outputs.extend(self.call(tensors))
            return outputs

        found = self.bridge.push(
            function, self.tensors(point, False), self.tensors(tangent.copy(), False)
        )
        parts = [
            np.zeros(self.numbers(output)) if t is None else flat(self.bridge.values(t))
            for t, output in zip(found, outputs, strict=False)
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0)

    def gathered(self, gradients: Sequence[Tensor | None], variables: Sequence[Variable]) -> Array:
        """Return gradients of variables as one real vector, zero where there is none."""
        parts: list[Array] = []
        if self._share is not None:
            for variable, gradient in zip(variables, gradients, strict=True):
                if gradient is None:
                    break
                values = self.bridge.values(gradient)
                if values.shape != variable.shape or values.dtype is not DOUBLE:
                    break
                parts.append(values.reshape(-1))
            else:
                return np.concatenate(parts) if len(parts) > 1 else parts[0].copy()
            parts = []
        for variable, gradient in zip(variables, gradients, strict=True):
            size = variable.span.stop - variable.span.start
            if gradient is None:
                parts.append(np.zeros(size))
                continue
            values = self.bridge.values(gradient)
            if variable.is_complex and values.dtype.kind != "c":
                values = values.astype(np.complex128)
            part = flat(values)
            if values.shape != variable.shape:
                raise WrongShape(
                    f"the gradient of {variable.name} has shape {values.shape}; expected"
                    f" {variable.shape}"
                )
            parts.append(part)
        return np.concatenate(parts) if len(parts) > 1 else parts[0].copy()

    def numbers(self, tensor: Tensor) -> int:
        """Return how many real numbers an output tensor has."""
        size: int = math.prod(self.bridge.shape(tensor))
        return size * (2 if self.bridge.dtype_name(tensor).startswith("complex") else 1)

    def like(self, tensor: Tensor, values: Array, arrangement: str) -> Tensor:
        """Return a cotangent for an output tensor."""
        share, bridge = self._share, self.bridge
        if share is not None and tensor.dtype is bridge.double:
            shaped = values.reshape(tensor.shape)
            if arrangement == "plain":
                return share(shaped)
            return bridge.leaf(shaped, "float64", False, arrangement)
        dtype = bridge.dtype_name(tensor)
        shaped = (paired(values) if dtype[0] == "c" else values).reshape(bridge.shape(tensor))
        return bridge.leaf(shaped, dtype, False, arrangement)

    def output_unit(self, recording: Recording) -> float:
        """Return the unit roundoff of the coarsest dtype among the variables and the outputs."""
        if self._share is not None and all(map(self.bridge.is_double, recording.tensors)):
            return self.unit
        dtypes = {self.bridge.dtype_name(t) for t in recording.tensors}
        return max([self.unit, *map(unit_roundoff, dtypes)])

    def _joined(self, outputs: Sequence[Tensor]) -> Array:
        if len(outputs) == 1:
            values = self.bridge.values(outputs[0])
            return values.reshape(-1) if values.dtype is DOUBLE else flat(values)
        parts = [flat(self.bridge.values(tensor)) for tensor in outputs]
        return np.concatenate(parts) if parts else np.zeros(0)


class WrongShape(ValueError):
    """A gradient whose shape is not its tensor's."""


def _gather(result: Any, bridge: Any, found: list[Tensor], whole: list[Tensor]) -> None:
    if isinstance(result, (list, tuple)):
        for item in result:
            _gather(item, bridge, found, whole)
    elif isinstance(result, dict):
        for item in result.values():
            _gather(item, bridge, found, whole)
    elif bridge.is_tensor(result):
        if bridge.is_differentiable(result):
            found.append(result)
        elif bridge.dtype_name(result).startswith("int"):
            whole.append(result)


def _leaves(result: Any) -> tuple[Tensor, ...]:
    if isinstance(result, (list, tuple)):
        return tuple(leaf for item in result for leaf in _leaves(item))
    return (result,)


def _name(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type) and getattr(function, "__name__", "") == "apply":
        function = owner  # an autograd Function's class has the name, not its apply
    own = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    whole = str(own or type(function).__name__).removesuffix(".apply")
    return whole.split("<locals>.")[-1].removeprefix("_VariableFunctionsClass.")
