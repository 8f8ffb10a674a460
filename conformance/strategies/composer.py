"""Composition: random programs of every kind of step, written with a model of what they may do.

The model knows shapes, intervals of values, shared memory, and which graphs a backward has freed or
a write has spoiled. It makes most programs run; what it lets fail on purpose, or for want of
precision, owes an error that the oracles confirm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from conformance.catalogue import EVERYWHERE, OPERATIONS, Interval, Operation, hull
from conformance.program import Param, Program, Step
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import RANGES
from conformance.strategies.placement import Draw, Placed, Scene, place
from conformance.strategies.shapes import Shape

Pairs = tuple[tuple[str, Param], ...]
TRACKED: Pairs = (("requires_grad", True),)
SEEDS = 4
"""Seeds of the leaves at one place of a program: few, so that their numbers are made once."""
ROOM = 5
"""Leaves of a program at most."""
MOST_ELEMENTS = 16
"""Elements of a tensor at most."""
_ALIASING = frozenset({"reshape", "expand"})
"""Operations of which engines differ whether the result has memory of its own."""
_HIDDEN = frozenset(name for name, op in OPERATIONS.items() if {"input", "output"} <= op.saves)
"""Operations whose gradient may be computed from the operand alone, or from the result with it:
PyTorch and the reference engine differ in which, and nobody documents it."""
_VEILED = _HIDDEN | frozenset(
    (
        "nn.functional.softplus", "square", "sigmoid", "sqrt", "rsqrt", "softmax", "log_softmax",
        "relu", "nn.functional.leaky_relu", "nn.functional.hardtanh",
    )
)  # fmt: skip
"""Operations whose gradient, to be differentiated again, saves the operand or the result in one of
the two, and in the other what was computed from it, or nothing."""


@dataclass(eq=False, slots=True)
class Variable:
    """What is known of a tensor of the program.

    bounds: where its values lie. tracked: whether it requires grad, as far as the model knows.
    memory: the number of the memory it lives in; views share it. graph: the operations behind it,
    a bit for each.
    counted: whether its version counts the program's writes alone; PyTorch's matmul writes into its
    own result. stale: whether the memory that it shares was written to, or it is a gradient:
    nothing is hung onto it. sure: whether all engines track it, if it is tracked; they differ in
    which second derivatives they know to vanish. ghost: a view made without tracking of what is
    tracked: PyTorch says that it requires grad, and gives it none.
    """

    name: str
    shape: Shape
    bounds: Interval
    tracked: bool
    leaf: bool
    memory: int
    graph: int = 0
    watched: bool = False
    counted: bool = True
    stale: bool = False
    sure: bool = True
    written: bool = False
    view: bool = False
    ghost: bool = False


@dataclass(slots=True)
class _Block:
    verb: str
    params: Pairs
    enabled: bool
    left: int
    raises: bool
    steps: list[Step] = field(default_factory=list)


class Composer:
    """A program while it is composed.

    variables: the tensors that operations may take, oldest first. Sets of operations are numbers, a
    bit for each operation. spent: those whose graph is freed or spoiled. kinked, curved: those
    whose second derivative vanishes almost everywhere, and nowhere much. passes: those that stand
    for a backward. sliced: those that stand for a write through a view: some engines free them with
    the graph, others have nothing to free. hidden, veiled: those of which engines differ in what
    they save for their gradient, and for its own. bared, unveiled: the ones among them whose
    operand or result was written to. late: those that saved a constant which was flagged since,
    which shows where a gradient is differentiated again: PyTorch saves the tensor, flag and all,
    others its values. unwritable: memory into which nothing is written. expanded: memory that
    expanded views share, as gradients may. lent: whether a tensor of the program has seeded a
    backward, so that gradients may share its memory.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.variables: list[Variable] = []
        self.handles: list[str] = []
        self.spent = self.kinked = self.curved = self.passes = 0
        self.hidden = self.bared = self.veiled = self.unveiled = 0
        self.sliced = self.late = 0
        self.unwritable: set[int] = set()
        self.expanded: set[int] = set()
        self.hooked = self.ran_backward = self.lent = False
        self._blocks: list[_Block] = []
        self._steps: list[Step] = []
        self._savers: dict[int, int] = {}
        self._leaves = self._results = self._memories = 0
        self._operation = 1

    # writing

    @property
    def enabled(self) -> bool:
        """Whether operations are recorded at this place."""
        return self._blocks[-1].enabled if self._blocks else True

    @property
    def tracked(self) -> list[Variable]:
        """Return the variables that require grad."""
        return [v for v in self.variables if v.tracked]

    def write(self, step: Step) -> None:
        """Append a step."""
        (self._blocks[-1].steps if self._blocks else self._steps).append(step)

    def add(
        self,
        verb: str,
        out: tuple[str, ...] = (),
        args: tuple[str, ...] = (),
        op: str | None = None,
        params: Pairs = (),
    ) -> None:
        """Append a step without a body."""
        self.write(_step(verb, out, args, op, params))

    def open(self, verb: str, params: Pairs, enabled: bool, length: int, raises: bool) -> None:
        """Open a block that holds the next `length` slots."""
        if len(self._blocks) < 2:
            self._blocks.append(_Block(verb, params, enabled, length, raises))

    def passed(self) -> None:
        """Say that a slot is over: blocks end when theirs are."""
        for block in self._blocks:
            block.left -= 1
        while self._blocks and self._blocks[-1].left < 0:
            self._close()

    def inside(self, verb: str) -> bool:
        """Tell whether this place is within such a block."""
        return any(block.verb == verb for block in self._blocks)

    def leave(self) -> None:
        """Close the innermost block."""
        self._close()

    def _close(self) -> None:
        block = self._blocks.pop()
        if not block.steps:
            return
        if block.raises:
            block.steps.append(Step("raise"))
        self.write(Step(block.verb, (), (), None, block.params, tuple(block.steps)))

    def steps(self) -> tuple[Step, ...]:
        """Close all blocks and return the steps."""
        while self._blocks:
            self._close()
        return tuple(self._steps)

    def program(self) -> Program:
        """Close all blocks and return the program, validated."""
        return Program(self.steps())

    # tensors

    def leaf(self, shape: Shape, code: int, seed: int, tracked: bool) -> Variable:
        """Write a leaf of seeded numbers."""
        bounds = RANGES[code % len(RANGES)]
        step = _leaf_step(self._leaves, shape, bounds, seed % SEEDS, tracked)
        self._leaves += 1
        self.write(step)
        return self._new(Variable(step.out[0], shape, bounds, tracked, True, self._memory()))

    def result(
        self,
        step_of: str,
        source: Variable,
        *,
        tracked: bool,
        memory: int | None = None,
        graph: int = 0,
    ) -> Variable:
        """Write a verb of one tensor that makes another: `detach`, `data` or `reload`."""
        name = self.fresh()
        self.add(step_of, (name,), (source.name,))
        place_ = self._memory() if memory is None else memory
        made = Variable(name, source.shape, source.bounds, tracked, not graph, place_, graph)
        made.counted, made.view = source.counted, memory is not None
        return self._new(made)

    def fresh(self) -> str:
        """Return a new name of a result."""
        self._results += 1
        return f"y{self._results}"

    def gradient(self, name: str, shape: Shape, graph: int) -> Variable:
        """Take note of a tensor that a step has bound: a gradient, whose values may be anything."""
        made = Variable(name, shape, EVERYWHERE, graph != 0, graph == 0, self._memory())
        made.stale, made.counted = True, False
        made.sure = self.curved & graph != 0 and self.passes & graph == 0
        if graph:
            self._operation <<= 1
            self.passes |= self._operation
            made.graph = graph | self._operation
        self.unwritable.add(made.memory)
        self.expanded.add(made.memory)
        return self._new(made)

    def apply(self, rows: Sequence[Operation], first: int, operand: int, draw: Draw) -> None:
        """Write the first operation of `rows`, counted on from `first`, that fits and is tame."""
        scene = Scene(
            self.variables,  # type: ignore[arg-type]  # of a vertex only shape and bounds are read
            range(len(self.variables) - 1, -1, -1),
            lambda shape: self._fresh_leaf(shape, draw),
            self.facts.takes,
        )
        count = len(rows)
        for offset in range(count):
            operation = rows[(first + offset) % count]
            placed = place(operation, operand, draw, scene)
            if placed is not None and _size(placed.shape) <= MOST_ELEMENTS:
                self.put(operation, placed)
                return

    def put(self, operation: Operation, placed: Placed) -> None:
        """Write the operation, unless engines differ in whether its result is tracked."""
        if not (self.enabled and self._haunted(placed)):
            self._placed(operation, placed)

    def _haunted(self, placed: Placed) -> bool:
        """Whether an operand is tracked only as far as some engines are concerned."""
        for operand in placed.inputs:
            if not isinstance(operand, Leaf) and self.variables[operand].ghost:
                return True
        return False

    def _placed(self, operation: Operation, placed: Placed) -> Variable:
        inputs = [
            self.leaf(i.shape, RANGES.index(i.bounds), i.seed, i.requires_grad)
            if isinstance(i, Leaf)
            else self.variables[i]
            for i in placed.inputs
        ]
        name = self.fresh()
        args = tuple([v.name for v in inputs])
        self.add("apply", (name,), args, operation.name, placed.params)
        memory = inputs[0].memory if operation.view else self._memory()
        if operation.name in _ALIASING:
            self.unwritable.add(memory)
        if operation.name == "expand":
            self.expanded.add(memory)
        followed = [v for v in inputs if v.tracked]
        tracked, graph = self.enabled and bool(followed), 0
        if tracked:
            saved = [*[v.memory for v in inputs], memory] if operation.saves else []
            graph = self.recorded(inputs, saved)
            if operation.kinks:
                self.kinked |= self._operation
            elif operation.family == "unary" and operation.saves:
                self.curved |= self._operation
            if operation.name in _VEILED:
                self.veiled |= self._operation
                if operation.name in _HIDDEN:
                    self.hidden |= self._operation
        made = Variable(name, placed.shape, placed.bounds, tracked, not graph, memory, graph)
        made.sure = True in [v.sure for v in followed]
        made.counted = inputs[0].counted if operation.view else operation.family != "matmul"
        made.view = operation.view
        made.ghost = made.view and (inputs[0].ghost or (inputs[0].tracked and not tracked))
        return self._new(made)

    def made(self, name: str, source: Variable, bounds: Interval) -> Variable:
        """Take note of a tensor that a verb has computed from another, which it may have saved."""
        tracked, memory = self.enabled and source.tracked, self._memory()
        graph = self.recorded((source,), (source.memory, memory)) if tracked else 0
        made = Variable(name, source.shape, bounds, tracked, not graph, memory, graph)
        made.sure, made.counted = source.sure, False
        self.unwritable.add(memory)
        return self._new(made)

    def recorded(self, inputs: Iterable[Variable], saved: Iterable[int]) -> int:
        """Return the graph of a new operation on `inputs` that saves what lies in `saved`."""
        self._operation <<= 1
        graph, savers = self._operation, self._savers
        for memory in saved:
            savers[memory] = savers.get(memory, 0) | self._operation
        for variable in inputs:
            graph |= variable.graph
        return graph

    def written(self, target: Variable, bounds: Interval, operands: list[Variable]) -> None:
        """Take note of a write: all that shares the memory may now hold the new values."""
        stale = self._savers.get(target.memory, 0)
        self.spent |= stale
        self.unveiled |= stale & self.veiled
        self.bared |= stale & self.hidden
        tracked = self.enabled and any(v.tracked for v in (target, *operands))
        graph = self.recorded((target, *operands), ()) if tracked else 0
        if tracked and target.view:
            self.sliced |= self._operation
        target.written = True
        sharing = [v for v in self.variables if v.memory == target.memory]
        if tracked and any(v.leaf for v in sharing if v is not target):
            self.unwritable.add(target.memory)  # PyTorch takes such views for leaves from now on
        for variable in sharing:
            variable.bounds = hull(variable.bounds, bounds)
            variable.stale = len(sharing) > 1 and variable.view
            if tracked:
                variable.tracked, variable.leaf = True, False
                variable.graph |= graph

    def flagged(self, constant: Variable) -> None:
        """Take note that a tensor is tracked from now on."""
        self.late |= self._savers.get(constant.memory, 0)

    def roots(self) -> list[Variable]:
        """Return the tracked variables from which all engines run a backward, or none does."""
        apart = (self.sliced & self.spent) | self.bared
        sure = [v for v in self.variables if v.tracked and v.sure and not apart & v.graph]
        if self.unveiled:
            sure = [v for v in sure if not (self.unveiled & v.graph and self.passes & v.graph)]
        if not self.hooked and not any(v.watched for v in self.variables):
            return sure
        # a rule may compute from its result or from its operand: who is visited again differs
        return [v for v in sure if not self.passes & v.graph]

    def ends(self) -> list[Variable]:
        """Return those of them from which a backward should run."""
        spent = self.spent
        return [v for v in self.roots() if not spent & v.graph]

    def _fresh_leaf(self, shape: Shape, draw: Draw) -> Leaf | None:
        if self._leaves >= ROOM or _size(shape) > MOST_ELEMENTS:
            return None
        return Leaf(shape, RANGES[draw.fresh % len(RANGES)], draw.seed, draw.fresh < 192)

    def _memory(self) -> int:
        self._memories += 1
        return self._memories

    def _new(self, variable: Variable) -> Variable:
        self.variables.append(variable)
        return variable


@lru_cache(maxsize=4096)
def _leaf_step(number: int, shape: Shape, bounds: Interval, seed: int, tracked: bool) -> Step:
    params: Pairs = (
        ("shape", shape),
        ("seed", number * SEEDS + seed),
        ("low", bounds[0]),
        ("high", bounds[1]),
    )
    return Step("leaf", (f"x{number}",), (), None, params + TRACKED if tracked else params)


@lru_cache(maxsize=16384)  # nine steps of ten were in a program before, and are made once
def _step(
    verb: str, out: tuple[str, ...], args: tuple[str, ...], op: str | None, params: Pairs
) -> Step:
    return Step(verb, out, args, op, params)


def _size(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
