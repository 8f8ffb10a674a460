"""Worker processes: a crash or a hang of an engine costs its item, not the run.

Items run in processes that `spawn` starts anew, by `pebble`. Each item may leave a note of what it
is about to do, from which its end is explained if it never returns.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, as_completed
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pebble import ProcessExpired, ProcessPool

from conformance.errors import ConformanceError
from conformance.execute import sanitised
from conformance.exits import cause_of_death

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lost:
    """Why an item returned nothing, and the last note that it left (empty where it left none).

    An item that `faulted` raised: a defect of this package, as an engine's errors are refusals by
    then.
    """

    how: Literal["crashed", "timed-out", "faulted"]
    detail: str
    note: str


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """The end of one item: its place in the list of items, and its result or how it was lost."""

    index: int
    result: Result | Lost
    seconds: float


class Notes:
    """A file that keeps the last text written to it, across the death of the writing process."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def write(self, text: str) -> None:
        """Replace the note; the text is in the kernel's hands when this returns."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        data = text.encode()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, data)
        os.ftruncate(self._descriptor, len(data))

    def close(self) -> None:
        """Close the file and keep it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def processors() -> int:
    """Return how many processors this process may use: what `-n auto` means."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def look_in(folder: str | Path) -> None:
    """Let modules of `folder` be imported here and in workers, as `python -m` does for its own.

    An adapter named `package.module:attribute` is most often a file where its author stands.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


class Workers:
    """A pool of processes; use it as a context manager.

    function(*arguments, notes) is what every item runs; it and its arguments are pickled, so the
    function is a module's. A process that dies or outlives its time is replaced.
    """

    def __init__(self, jobs: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="autograd-conformance-")
        self._pool = ProcessPool(max_workers=jobs, initializer=_prepare, context=_Context())
        self._count = 0

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the processes at once, whatever they are doing, and forget their notes."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
        self._folder.cleanup()

    def run(
        self, function: Callable[..., Result], items: Sequence[tuple[object, ...]], timeout: float
    ) -> Iterator[Done[Result]]:
        """Run `function(*item, notes_path)` for every item; yield the ends as they come.

        timeout: seconds per item. A `ConformanceError` that the function raises is raised here; any
        other exception costs its item, as the death of a process does.
        """
        futures: dict[Future[tuple[Result, float]], tuple[int, Path]] = {}
        for index, item in enumerate(items):
            self._count += 1
            note = Path(self._folder.name) / str(self._count)
            future = self._pool.schedule(_timed, args=(function, item, note), timeout=timeout)
            futures[future] = index, note
        try:
            for ended in as_completed(tuple(futures)):
                yield _done(ended, *futures.pop(ended), timeout)
        finally:
            for waiting in futures:
                waiting.cancel()


def _done(
    future: Future[tuple[Result, float]], index: int, note: Path, timeout: float
) -> Done[Result]:
    error = future.exception()
    if error is None:
        result, seconds = future.result()
        note.unlink(missing_ok=True)
        return Done(index, result, seconds)
    last = note.read_text(encoding="utf-8", errors="replace") if note.exists() else ""
    note.unlink(missing_ok=True)
    if isinstance(error, (FutureTimeoutError, TimeoutError)):
        return Done(index, Lost("timed-out", f"no answer within {timeout:g} s", last), timeout)
    if isinstance(error, ProcessExpired):
        return Done(index, Lost("crashed", cause_of_death(error.exitcode), last), 0.0)
    if isinstance(error, (SystemExit, KeyboardInterrupt, CancelledError)):
        return Done(index, Lost("crashed", f"raised {type(error).__name__}", last), 0.0)
    if isinstance(error, ConformanceError):
        raise error
    return Done(index, Lost("faulted", f"{type(error).__name__}: {sanitised(error)}", last), 0.0)


def _timed(
    function: Callable[..., Result], item: tuple[object, ...], note: Path
) -> tuple[Result, float]:
    started = time.perf_counter()
    notes = Notes(note)
    try:
        result = function(*item, notes)
    finally:
        notes.close()
    return result, time.perf_counter() - started


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _prepare() -> None:
    """Give every process one thread: sums then have one order, and processes do not compete.

    What Hypothesis notes of the modules that it sees goes to the folder for temporary files, not to
    the user's.
    """
    for name in THREADS:
        os.environ[name] = "1"
    folder = Path(tempfile.gettempdir()) / "autograd-conformance-hypothesis"
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(folder))


class _Process(SpawnProcess):
    """A process that does not import the caller's `__main__`: a script needs no guard to `run`."""

    def start(self) -> None:
        with _no_main():
            super().start()


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def _no_main() -> Iterator[None]:
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
