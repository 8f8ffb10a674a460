"""Known failures: clauses that a user has listed, or that an earlier ledger already records.

The file form of expected failures is one clause a line, with an engine where it is meant for one
only, and `#` before a comment:

    ACC-2                           # issue 17: a second backward overwrites
    RET-*    reference[backend=torch]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.difference import PASSING, defects
from conformance.errors import UsageError
from conformance.ledger import Ledger
from conformance.verdict import ClauseResult, Level


@dataclass(frozen=True, slots=True)
class Xfail:
    """One line of the file: a glob over clause ids, for one engine or (None) for all of them."""

    pattern: str
    engine: str | None
    reason: str
    line: int

    def covers(self, engine: str, clause: str) -> bool:
        """Tell whether the entry is about this clause of this engine."""
        return fnmatchcase(clause, self.pattern) and self.engine in (None, engine)

    def __str__(self) -> str:
        words = self.pattern if self.engine is None else f"{self.pattern} {self.engine}"
        return f"{words!r} (line {self.line})"


def read_xfails(path: str | Path) -> tuple[Xfail, ...]:
    """Read a file of expected failures. Raises `UsageError`, naming the line, where it is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(
            f"cannot read the expected failures {str(path)!r}: {reason}; give a text file with one"
            " clause id a line"
        ) from error
    entries = []
    for number, line in enumerate(lines, 1):
        words, _, comment = line.partition("#")
        match words.split():
            case []:
                continue
            case [pattern]:
                entries.append(Xfail(pattern, None, comment.strip(), number))
            case [pattern, engine]:
                entries.append(Xfail(pattern, engine, comment.strip(), number))
            case _:
                raise UsageError(
                    f"{str(path)!r}, line {number}: {line.strip()!r} is not `CLAUSE [ENGINE]`;"
                    " put a remark after `#`"
                )
    return tuple(entries)


@dataclass(frozen=True, slots=True)
class Known:
    """What may fail without failing the run: listed clauses, and the defects of a baseline."""

    xfails: tuple[Xfail, ...] = ()
    baselines: Mapping[str, Ledger] | None = None

    def reason(self, engine: str, result: ClauseResult) -> str | None:
        """Return why an unmet clause is expected to be unmet; None where it is not expected."""
        for entry in self.xfails:
            if entry.covers(engine, result.id):
                listed = f"line {entry.line} of the expected failures lists it"
                return f"{listed} ({entry.reason})" if entry.reason else listed
        baseline = (self.baselines or {}).get(engine)
        for earlier in () if baseline is None else baseline.clauses:
            if earlier.id == result.id and defects(result).keys() <= defects(earlier).keys():
                return "the baseline has it already"
        return None

    def stale(self, ledgers: Sequence[Ledger]) -> tuple[Xfail, ...]:
        """Return the entries that no clause of these runs needed any more.

        An entry about a clause that did not run, or about an engine that did not, is not stale.
        """
        ran = [(led.engine.name, result) for led in ledgers for result in led.clauses]
        stale = []
        for entry in self.xfails:
            concerned = [r for engine, r in ran if entry.covers(engine, r.id)]
            if concerned and all(result.status in PASSING for result in concerned):
                stale.append(entry)
        return tuple(stale)

    def unmatched(self, clauses: Iterable[str]) -> tuple[Xfail, ...]:
        """Return the entries that name none of `clauses`, the whole specification: likely slips."""
        ids = tuple(clauses)
        return tuple(
            entry
            for entry in self.xfails
            if not any(fnmatchcase(clause, entry.pattern) for clause in ids)
        )

    def warnings(self, ledgers: Sequence[Ledger], clauses: Iterable[str]) -> Iterator[str]:
        """Say which entries and baselines are of no use; `clauses` is every id there is."""
        for entry in self.unmatched(clauses):
            yield f"expected failure {entry} matches no clause; correct or delete the line"
        for entry in self.stale(ledgers):
            yield f"expected failure {entry} is stale: nothing fails there; delete the line"
        tested = {ledger.engine.name for ledger in ledgers}
        for engine in sorted((self.baselines or {}).keys() - tested):
            yield f"the baseline of {engine!r} was not used: that engine did not run"


def unmet(result: ClauseResult) -> bool:
    """Tell whether a result fails a run: a MUST clause that neither holds nor is unsupported.

    An inconclusive and an unexercised clause count: neither has been shown to hold.
    """
    return result.level is Level.MUST and result.status not in PASSING


def failures(ledger: Ledger, known: Known) -> tuple[ClauseResult, ...]:
    """Return the clauses for which the run of `ledger` is not a success."""
    name = ledger.engine.name
    return tuple(r for r in ledger.clauses if unmet(r) and known.reason(name, r) is None)
