"""The state machine: random programs as Hypothesis rules, for the test files of engine authors.

from conformance.testing import ConformanceMachine

class Machine(ConformanceMachine):
    engine = "mypackage.adapter:MyEngine"

TestMyEngine = Machine.TestCase
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.errors import UsageError
from conformance.notation import render
from conformance.program import Program
from conformance.random_check import RandomCheck
from conformance.strategies import slots
from conformance.strategies.composer import Composer
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import LENGTH, WIDTH, begin, common_facts, decode, finish
from conformance.verdict import Outcome

CHOICES = st.binary(min_size=WIDTH, max_size=WIDTH)
"""What a rule does it to: the bytes of a slot."""


def programs(facts: Facts | None = None) -> st.SearchStrategy[Program]:
    """Return a strategy of random programs over all that an engine of these facts can do.

    facts: `conformance.strategies.facts_of(engine)`; by default those of the reference engine.
    """
    known = facts_of_engine(load_engine("reference")) if facts is None else facts
    return st.binary(min_size=LENGTH, max_size=LENGTH).map(lambda data: decode(data, known))


def facts_of_engine(engine: Engine) -> Facts:
    """Return what both the engine and its oracle can do."""
    return common_facts(engine, RandomCheck(engine).oracle)


class ConformanceMachine(RuleBasedStateMachine):
    """Composes a program rule by rule, and judges it when Hypothesis has no more to add.

    engine: the engine, or its name as on the command line. dtype: by default its preferred one.
    A failure shows the program and what was expected.
    """

    engine: ClassVar[Engine | str] = ""
    dtype: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        if not self.engine:
            raise UsageError(f"{type(self).__name__} names no engine; set its attribute `engine`")
        loaded = load_engine(self.engine) if isinstance(self.engine, str) else self.engine
        self._check = RandomCheck(loaded, self.dtype)
        self._composer = Composer(facts_of_engine(loaded))
        begin(self._composer, bytes(WIDTH))

    def _slot(self, slot: slots.Slot, data: bytes) -> None:
        slot(self._composer, data)
        self._composer.passed()

    def _can(self, needs: str) -> bool:
        return self._composer.facts.can(*needs.split())

    @rule(data=CHOICES)
    def apply(self, data: bytes) -> None:
        """Apply an operation."""
        self._slot(slots.apply, data)

    @rule(data=CHOICES)
    def view(self, data: bytes) -> None:
        """Make a view."""
        self._slot(slots.view, data)

    @rule(data=CHOICES)
    def leaf(self, data: bytes) -> None:
        """Make a leaf."""
        self._slot(slots.leaf, data)

    @precondition(lambda self: self._can("apply_"))
    @rule(data=CHOICES)
    def write_in_place(self, data: bytes) -> None:
        """Write in place."""
        self._slot(slots.in_place, data)

    @precondition(lambda self: self._can("backward"))
    @rule(data=CHOICES)
    def backward(self, data: bytes) -> None:
        """Run backward."""
        self._slot(slots.backward, data)

    @precondition(lambda self: self._can("backward_many backward.gradient"))
    @rule(data=CHOICES)
    def backward_many(self, data: bytes) -> None:
        """Run backward from two roots."""
        self._slot(slots.backward_many, data)

    @precondition(lambda self: self._can("grad_of"))
    @rule(data=CHOICES)
    def grad_of(self, data: bytes) -> None:
        """Ask for a gradient."""
        self._slot(slots.grad_of, data)

    @rule(data=CHOICES)
    def block(self, data: bytes) -> None:
        """Open a grad-mode block."""
        self._slot(slots.block, data)

    @precondition(lambda self: self._can("detach"))
    @rule(data=CHOICES)
    def detach(self, data: bytes) -> None:
        """Detach a tensor."""
        self._slot(slots.detach, data)

    @precondition(lambda self: self._can("set_grad"))
    @rule(data=CHOICES)
    def set_grad(self, data: bytes) -> None:
        """Set a gradient to None."""
        self._slot(slots.set_grad, data)

    @precondition(lambda self: self._can("register_hook"))
    @rule(data=CHOICES)
    def hook(self, data: bytes) -> None:
        """Register a hook."""
        self._slot(slots.hook, data)

    @precondition(lambda self: self._can("retain_grad"))
    @rule(data=CHOICES)
    def retain_grad(self, data: bytes) -> None:
        """Keep a result's gradient."""
        self._slot(slots.retain_grad, data)

    @rule(data=CHOICES)
    def observe(self, data: bytes) -> None:
        """Observe something."""
        self._slot(slots.observe, data)

    def teardown(self) -> None:
        """Judge the program."""
        finish(self._composer)
        checked = self._check.check(self._composer.program())
        finding = checked.finding
        if finding.outcome is Outcome.VIOLATED:
            raise AssertionError(
                f"{finding.message}\nexpected {finding.expected}, observed {finding.observed}\n\n"
                f"{render(checked.program)}"
            )
