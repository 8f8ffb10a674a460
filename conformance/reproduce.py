"""Reproduction: a standalone script of at most ten lines that shows a violation again.

For engines with PyTorch's API it is plain code in the engine's own spelling; for others it calls
the adapter. A program too long for that is judged anew from its text form. A script exits with code
1 by an `AssertionError` that names expected and observed, or by the engine's own error, and with
code 0 once the defect is repaired.
"""

from __future__ import annotations

import numpy as np

from conformance.adapters.base import Engine
from conformance.adapters.remote import RemoteEngine
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.compare.arrays import widened
from conformance.compare.tolerance import allowance, is_inexact
from conformance.execute import execute
from conformance.leaves import literal_array
from conformance.notation import literal_text, render
from conformance.observation import Array, Event, Observed
from conformance.oracles.differential import Differential, oracle_for
from conformance.program import BLOCKS, Program, Ref, Step
from conformance.spelling import AdapterSpelling, Spelling, TooLong, TorchSpelling, numpy_text
from conformance.verdict import Finding, Kind

MOST_LINES = 10
_GENEROUS = 100.0
"""Times the allowance of a result's own rounding that a script grants, if the error was larger."""
_COMPOUND = ("with ", "try:", "except ", "else:", "def ", "@")
_INDENT = "    "


def script(
    engine: Engine,
    program: Program,
    dtype: str,
    finding: Finding | None = None,
    oracles: tuple[str, ...] = ("differential",),
) -> str:
    """Return the script for a finding, or for a program that ends the process (no finding).

    engine: the adapter that was judged; its name is what a script loads. The script is plain ASCII
    where the program is.
    """
    try:
        lines = _Script(engine, program, dtype, finding).lines()
        fitted = _fitted(lines)
    except TooLong:
        fitted = []
    if 0 < len(fitted) <= MOST_LINES:
        return "\n".join(fitted) + "\n"
    return _judging(engine, program, dtype, oracles)


def _judging(engine: Engine, program: Program, dtype: str, oracles: tuple[str, ...]) -> str:
    """Return the script that judges the text form of a program anew."""
    named = "" if oracles == ("differential",) else f", oracles={oracles!r}"
    return "\n".join(
        (
            "from conformance.adapters.load import load_engine",
            "from conformance.judge import judge",
            "from conformance.notation import parse",
            f"program = parse({render(program)!r})",
            f"finding = judge(load_engine({engine.name!r}), program, dtype={dtype!r}{named})",
            'print("expected", finding.expected, "observed", finding.observed)',
            'assert finding.outcome.value != "violated", finding.message',
            "",
        )
    )


class _Script:
    """The lines of one script, before they are fitted."""

    def __init__(
        self, engine: Engine, program: Program, dtype: str, finding: Finding | None
    ) -> None:
        self.engine, self.program, self.dtype, self.finding = engine, program, dtype, finding
        self.events: tuple[Event, ...] = ()
        if finding is not None:
            self.events = execute(engine, program, dtype).events
        self.spelling = _spelling(engine, dtype)
        self._number = -1

    def lines(self) -> list[str]:
        """Return the lines up to the diverging step. Raises `TooLong`."""
        body = self._steps(self.program.steps, "")
        text = "\n".join(body)
        head = ["import numpy as np"] if "np." in text else []
        if "suppress(" in text:
            head.insert(0, "from contextlib import suppress")
        if "StorageWeakRef(" in text:
            head.append("from torch.multiprocessing.reductions import StorageWeakRef")
        logs = any(step.verb in ("hook", "hook_log") for step in self.program.walk())
        logs = logs or "log.append(" in text
        return [*head, *self.spelling.head, *(["log = []"] if logs else []), *body]

    def _steps(self, steps: tuple[Step, ...], indent: str) -> list[str]:
        lines: list[str] = []
        for step in steps:
            self._number += 1
            number = self._number
            if self.finding is not None and number == self.finding.step:
                return [*lines, *(indent + line for line in self._divergence(step, number))]
            lines += self._step(step, number, indent)
            if self.finding is not None and self._number >= self.finding.step:
                return lines
        return lines

    def _step(self, step: Step, number: int, indent: str) -> list[str]:
        if step.verb in BLOCKS:
            return self._block(step, indent)
        if step.verb == "raise":
            return [f"{indent}raise KeyError"]
        if self._idle(step, number):
            return []
        line = self.spelling.line(step)
        refused = step.refused or (self.events and self.events[number].refusal is not None)
        return [f"{indent}with suppress(Exception): {line}" if refused else indent + line]

    def _idle(self, step: Step, number: int) -> bool:
        """Whether a step only observes, or was never run."""
        if self.events and self.events[number].skipped:
            return True
        return step.verb not in self._acting and not step.out

    _acting = frozenset(
        "leaf reload apply apply_ detach detach_ data requires_grad_ backward grad_of retain_grad"
        " set_grad hook post_hook remove_hook custom_function make_dual watch drop".split()
    )

    def _block(self, step: Step, indent: str) -> list[str]:
        manager = self.spelling.manager(step)
        leaves = bool(step.body) and step.body[-1].verb == "raise"
        caught = "suppress(KeyError), " if leaves else ""
        inner = self._steps(step.body, indent + _INDENT)
        if not step.param("decorator", False):
            return [f"{indent}with {caught}{manager}:", *(inner or [f"{indent}{_INDENT}pass"])]
        if indent or not inner:
            raise TooLong("a decorated function inside a block")
        names = sorted({name for s in step.body for name in s.out})
        shared = [f"{_INDENT}global {', '.join(names)}"] if names else []
        call = "with suppress(KeyError): block()" if leaves else "block()"
        return [f"@{manager}", "def block():", *shared, *inner, call]

    # the diverging step

    def _divergence(self, step: Step, number: int) -> list[str]:
        assert self.finding is not None
        kind = self.finding.kind
        if step.verb in BLOCKS or step.verb == "raise":
            raise TooLong("a block diverges")
        if kind is Kind.NOT_REFUSED:
            return [
                f"try: {self._statement(step)}",
                'except Exception as error: print("refused, as it should be:", error)',
                'else: raise AssertionError("expected an error; none came")',
            ]
        if kind is Kind.REFUSED_LOUDLY:
            return [f"{self._statement(step)}  # expected: no error"]
        return self._comparison(step, self.events[number])

    def _statement(self, step: Step) -> str:
        if step.verb in self._acting or step.out:
            return self.spelling.line(step)
        return self.spelling.reading(step)

    def _comparison(self, step: Step, event: Event) -> list[str]:
        reading, expected = self.spelling.reading(step), self._expected(step, event)
        if step.verb in ("hook_log", "tangent"):
            raise TooLong("a log of gradients, or a tangent that may be absent")
        if isinstance(step.expect.value if step.expect else None, Ref):
            assert step.expect is not None
            assert isinstance(step.expect.value, Ref)
            wanted = self.spelling.numbers(step.expect.value.name)
            if isinstance(event.value, np.ndarray) and event.expected is not None:
                return [_close(reading, wanted, event.value, event.expected)]
        if isinstance(event.value, np.ndarray) and isinstance(expected, np.ndarray):
            return [_close(reading, numpy_text(expected), event.value, expected)]
        if step.verb in ("grad", "value"):
            plain = self.spelling.call(step) if step.verb == "grad" else step.args[0]
            return [_presence(plain, wanted_present=expected is not None, figure=expected)]
        if step.verb == "grad_fn" and step.expect is None:
            return [_presence(reading, wanted_present=expected is not None, figure=expected)]
        message = f'f"expected {expected}, observed {{{reading}}}"'
        return [f"assert {reading} == {expected!r}, {message}"]

    def _expected(self, step: Step, event: Event) -> Observed:
        """Return what was due, an array in the dtype that was due."""
        if step.expect is not None:
            value = step.expect.value
            if isinstance(value, Ref):
                return event.expected
            if not isinstance(event.value, np.ndarray) or value is None:
                if isinstance(value, tuple | float | complex):
                    return literal_array(value)
                assert value is None or isinstance(value, (bool, int, str))
                return value
            return _in_dtype(literal_array(value), self._due_dtype(event.value))
        differential = Differential(oracle_for(self.engine), self.program, self.dtype)
        if differential.unsupported is not None or not differential.events[event.step].seen:
            raise TooLong("no oracle has a figure to compare with")
        if self.finding is not None and self.finding.oracle != differential.name:
            raise TooLong(f"{self.finding.oracle} has no figure to compare with")
        theirs = differential.events[event.step].value
        if not isinstance(theirs, np.ndarray) or not isinstance(event.value, np.ndarray):
            return theirs
        return _in_dtype(theirs, self._due_dtype(event.value))

    def _due_dtype(self, observed: Array) -> str:
        """Return the dtype that a figure is due in: the observed one unless that is the defect."""
        assert self.finding is not None
        wrong = "dtype" in self.finding.cause.split("/")
        return self.finding.expected if wrong else str(observed.dtype.name)


def _in_dtype(array: Array, dtype: str) -> Array:
    """Return a figure in the dtype it is compared in; NumPy's printed form has no bfloat16."""
    wanted = "float32" if dtype == "bfloat16" else dtype
    with np.errstate(all="ignore"):
        return array.astype(wanted) if array.dtype.kind in "fc" or wanted[0] in "fc" else array


def _spelling(engine: Engine, dtype: str) -> Spelling:
    if isinstance(engine, RemoteEngine):
        raise TooLong("an engine elsewhere has no calls that a script could spell")
    prelude = getattr(engine, "prelude", "")
    own = type(engine).__module__.startswith("conformance.adapters.")
    if isinstance(engine, TorchLikeEngine) and prelude and own:
        return TorchSpelling(dtype, prelude, engine.module)
    return AdapterSpelling(dtype, engine.name)


def _close(reading: str, wanted: str, observed: Array, expected: Array) -> str:
    """Return the assertion that two arrays are close; shape and dtype are compared too."""
    bound = _bound(observed, expected)
    return f"np.testing.assert_allclose({reading}, {wanted}, rtol=0, atol={bound}, strict=True)"


def _bound(observed: Array, expected: Array) -> str:
    """Return a tolerance that a right answer meets with ease and the wrong one does not."""
    dtype = observed.dtype.name
    if not is_inexact(observed.dtype):
        return "0"
    allowed = float(np.max(allowance(widened(expected), dtype, expected.size), initial=0.0))
    bound = _GENEROUS * allowed
    if observed.shape == expected.shape:
        with np.errstate(all="ignore"):
            error = np.abs(widened(observed) - widened(expected))
        largest = float(np.max(error, initial=0.0, where=np.isfinite(error)))
        bound = min(bound, largest / 2) if largest > 0 else bound
    return f"{bound:.0e}"


def _presence(reading: str, *, wanted_present: bool, figure: Observed) -> str:
    if wanted_present:
        short = literal_text(figure) if isinstance(figure, str) else "a value"
        return f'assert {reading} is not None, "expected {short}, observed None"'
    return f'assert {reading} is None, f"expected None, observed {{{reading}}}"'


# Fitting: fewer, longer lines.


def _fitted(lines: list[str]) -> list[str]:
    """Join neighbouring simple lines, the shortest first, until they are few enough."""
    lines = list(lines)
    while len(lines) > MOST_LINES:
        joints = [i for i in range(len(lines) - 1) if _joinable(lines[i], lines[i + 1])]
        if not joints:
            break
        best = min(joints, key=lambda i: len(lines[i]) + len(lines[i + 1]))
        lines[best : best + 2] = [f"{lines[best]}; {lines[best + 1].strip()}"]
    while len(lines) > MOST_LINES:
        bodies = [i for i in range(len(lines) - 1) if _only_body(lines, i)]
        if not bodies:
            break
        lines[bodies[0] : bodies[0] + 2] = [f"{lines[bodies[0]]} {lines[bodies[0] + 1].strip()}"]
    return lines


def _joinable(first: str, second: str) -> bool:
    same = _depth(first) == _depth(second)
    compound = any(line.strip().startswith(_COMPOUND) for line in (first, second))
    return same and not compound and "  # " not in first


def _only_body(lines: list[str], header: int) -> bool:
    opens = lines[header].endswith(":") and not lines[header].strip().startswith("@")
    after = lines[header + 2] if header + 2 < len(lines) else ""
    inner = _depth(lines[header + 1])
    simple = not lines[header + 1].strip().startswith(_COMPOUND)
    return opens and simple and _depth(after) < inner


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
