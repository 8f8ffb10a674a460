"""Execution: runs a program on an engine through its adapter and records what happens.

This is the only place where an engine's exception becomes a refusal. A refused step leaves its
names unbound, steps that read an unbound name are skipped, and the run goes on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Literal, TypeVar

from conformance.adapters.base import Engine
from conformance.adapters.remote import RemoteEngine
from conformance.blocks import in_a_thread, manager, without_collector
from conformance.compare.difference import FAULT
from conformance.errors import ConformanceError, Unsupported
from conformance.observation import Array, Event, Observation, Observed, Refusal
from conformance.program import BLOCKS, Program, Ref, Step, step_needs
from conformance.scope import Scope
from conformance.verbs import HANDLERS, UNSEEN, Unseen

Result = TypeVar("Result")
Look = Callable[[int, Scope], None]
_NO_LEAVES: Mapping[str, Array] = MappingProxyType({})


def execute(
    engine: Engine,
    program: Program,
    dtype: str | None = None,
    leaves: Mapping[str, Array] = _NO_LEAVES,
    look: Look | None = None,
) -> Observation:
    """Run `program` on `engine` and return what happened, step by step.

    dtype: the NumPy dtype of leaves that name none; the engine's preferred one by default. leaves:
    arrays of the leaves named, where they are not to be made from their steps. look: called with
    the number of each step that is about to run, and the scope; what it raises refuses the step. It
    is not called for an engine in another process. The engine is reset before the program, and
    after it where the program entered a grad-mode block. Raises `InvalidProgram` for a literal that
    is no array, and `EngineLost` where the process of an engine elsewhere ended; never an exception
    of the engine.
    """
    if isinstance(engine, RemoteEngine):
        return engine.run_program(program, dtype or engine.dtypes[0])
    session = engine.session()
    scope = Scope(session, dtype or engine.dtypes[0], leaves)
    run = _Run(scope, program.needs - session.capabilities, look)
    with warnings.catch_warnings(), without_collector("watch" in program.needs):
        warnings.simplefilter("ignore")  # a warning is advice; under -W error it would be a refusal
        session.reset()
        try:
            run.steps(program.steps)
        finally:
            if any(step.verb in BLOCKS for step in program.steps):
                session.reset()
    return Observation(engine.name, scope.dtype, tuple(run.events))


def unless_raised(run: Callable[[], Result]) -> Result | None:
    """Return what `run` returns, or None where the engine that it asks raises anything."""
    try:
        return run()
    except Exception:  # noqa: BLE001  (whatever an engine raises: the caller runs it step by step)
        return None


def or_fault(run: Callable[[], Result]) -> Result | str:
    """Return what `run` returns; what it raises is a fault of this package, said in one sentence.

    Raises what is the user's mistake, a `ConformanceError`, and `EngineLost`.
    """
    try:
        return run()
    except ConformanceError:
        raise
    except Exception as error:  # noqa: BLE001  (one case is lost, and the run goes on)
        return f"{FAULT}: {type(error).__name__}: {sanitised(error)}"


class _BlockLeft(Exception):
    """Raised by the verb `raise`; caught around the block that it leaves."""


class _Run:
    """One execution: its scope, the capabilities that its engine lacks, its events so far."""

    __slots__ = ("events", "look", "missing", "scope")

    def __init__(self, scope: Scope, missing: frozenset[str], look: Look | None) -> None:
        self.scope, self.missing, self.look = scope, missing, look
        self.events: list[Event] = []

    def steps(self, steps: tuple[Step, ...]) -> None:
        """Run the steps in order; `raise` leaves by `_BlockLeft`."""
        for step in steps:
            if step.verb == "raise":
                self.events.append(Event(len(self.events), "raise"))
                raise _BlockLeft
            if not self.scope.readable(step):
                self._skip(step)
            elif step.verb in BLOCKS:
                self._block(step)
            else:
                self.events.append(self._event(len(self.events), step))

    def _block(self, step: Step) -> None:
        number = len(self.events)
        self.events.append(Event(number, step.verb))  # keeps its place before those of the body
        self.events[number] = self._event(number, step)
        ran = len(self.events) - number - 1
        for inner in _walk(step.body)[ran:]:
            self.events.append(Event(len(self.events), inner.verb, skipped=True))

    def _event(self, number: int, step: Step) -> Event:
        """Run one step, not skipped, and return its event."""
        expected: Array | None = None
        try:
            if self.look is not None:
                self.look(number, self.scope)
            if self.missing:
                self._check_capabilities(step)
            value = (
                self._enter(step) if step.verb in BLOCKS else HANDLERS[step.verb](self.scope, step)
            )
            if step.expect is not None and isinstance(step.expect.value, Ref):
                expected = self.scope.array(self.scope.names[step.expect.value.name])
        except Unsupported as error:
            return _refusal(number, step, "unsupported", error)
        except ConformanceError:
            raise  # the program's or the harness's fault, not the engine's
        except Exception as error:  # noqa: BLE001  (whatever an engine raises is its refusal)
            return _refusal(number, step, "refused", error)
        if isinstance(value, Unseen):
            return Event(number, step.verb)
        return Event(number, step.verb, value, seen=True, expected=expected)

    def _enter(self, step: Step) -> Observed | Unseen:
        """Run the body of a block inside the context manager of its verb, or decorated by it."""
        try:
            if step.verb == "thread":
                in_a_thread(lambda: self.steps(step.body))
            elif not step.param("decorator", False):
                with manager(self.scope, step):
                    self.steps(step.body)
            elif callable(decorator := manager(self.scope, step)):
                decorator(lambda: self.steps(step.body))()
            else:
                raise Unsupported(f"{step.verb} of {self.scope.engine.name} is no decorator")
        except _BlockLeft:
            pass
        return UNSEEN

    def _skip(self, step: Step) -> None:
        for inner in _walk((step,)):
            self.events.append(Event(len(self.events), inner.verb, skipped=True))

    def _check_capabilities(self, step: Step) -> None:
        for need in step_needs(step):
            if need in self.missing:
                raise Unsupported(f"the adapter of {self.scope.engine.name} does not offer {need}")


def _walk(steps: tuple[Step, ...]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        found.append(step)
        found.extend(_walk(step.body))
    return found


_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.+~@-]+)+[/\\](?=[\w.+-])")
_MESSAGE_LIMIT = 500


def _refusal(
    number: int, step: Step, category: Literal["refused", "unsupported"], error: Exception
) -> Event:
    refusal = Refusal(category, type(error).__name__, sanitised(error))
    return Event(number, step.verb, refusal=refusal)


def sanitised(error: BaseException) -> str:
    """Return an exception's message without addresses and folders, so that runs compare equal."""
    text = "an exception whose text cannot be had"
    with suppress(Exception):  # what an engine raises may itself raise when it is asked for a text
        text = str(error)
    message = _FOLDERS.sub("…/", _ADDRESS.sub("0x…", text.strip()))
    return message if len(message) <= _MESSAGE_LIMIT else message[:_MESSAGE_LIMIT] + "…"
