"""A process that answers lines with lines: started, asked within limits, and ended with the tool.

Nothing that the process does can block the caller: its standard error is drained while an answer is
awaited, an answer has a limit of bytes and of seconds, and its end is noticed at once.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NoReturn

from conformance.exits import cause_of_death

_CHUNK = 1 << 18
_LAST_WORDS = 2000
_GRACE = 0.5
"""Seconds that a process has to end once its standard input or output is closed."""

PYTHONS = "AUTOGRAD_PYTHONS"
"""An environment variable: `ENGINE=PATH,ENGINE=PATH`. It stands for the option `python`, so that
ledgers and reproductions name the engine and no path of one machine. Servers do not inherit it:
they are that Python."""


class NoAnswer(Exception):
    """The process ended, stayed silent or said too much; it does not run any more."""

    def __init__(self, how: Literal["crashed", "timed-out"], detail: str) -> None:
        super().__init__(detail)
        self.how: Literal["crashed", "timed-out"] = how


class ServerProcess:
    """A running command with pipes to its three streams. Raises `OSError` where it cannot start.

    limit: the most bytes that one answer may have.
    """

    def __init__(self, command: Sequence[str], limit: int) -> None:
        self._limit = limit
        self._process = process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={name: value for name, value in os.environ.items() if name != PYTHONS},
            start_new_session=True,  # an interrupt is the tool's to handle; a group can be ended
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        os.set_blocking(self._in.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self._selector.register(self._err, selectors.EVENT_READ)
        self._read = bytearray()
        self._said = b""
        self._end = weakref.finalize(self, _end, process, self._selector)

    @property
    def running(self) -> bool:
        """Tell whether the process can still be asked."""
        return self._end.alive and self._process.poll() is None

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Write a line and return the one that comes back, without its newline.

        Raises `NoAnswer` where none comes back within `seconds` and the limit of bytes.
        """
        deadline = time.monotonic() + seconds
        waiting = self._write(memoryview(line))
        if waiting:
            self._selector.register(self._in, selectors.EVENT_WRITE)
        while True:
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                self._lose("timed-out", f"no answer within {seconds:g} s")
            for key, _ in ready:
                if key.fileobj is self._in:
                    waiting = self._write(waiting)
                    if not waiting:
                        self._selector.unregister(self._in)
                elif key.fileobj is self._err:
                    self._hear()
                elif (answer := self._receive()) is not None:
                    if waiting:
                        self._lose("crashed", "the server answered before it had read the request")
                    return answer

    def last_words(self) -> str:
        """Return the last line that the process wrote to standard error, or nothing."""
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def close(self) -> None:
        """End the process."""
        self._end()

    def _write(self, data: memoryview) -> memoryview:
        """Write what the pipe takes; return the rest, nothing where the process stopped reading."""
        while data:
            try:
                data = data[os.write(self._in.fileno(), data) :]
            except BlockingIOError:
                return data
            except OSError:  # its end is noticed at the pipe that is read
                return memoryview(b"")
        return data

    def _receive(self) -> bytes | None:
        chunk = os.read(self._out.fileno(), _CHUNK)
        if not chunk:
            self._died()
        before = len(self._read)
        self._read += chunk
        end = self._read.find(b"\n", before)
        if max(end, len(self._read) if end < 0 else 0) > self._limit:
            self._lose("crashed", f"the server wrote a line of more than {self._limit} bytes")
        if end < 0:
            return None
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def _hear(self) -> None:
        chunk = os.read(self._err.fileno(), _CHUNK)
        if not chunk:
            self._selector.unregister(self._err)
        self._said = (self._said + chunk)[-_LAST_WORDS:]

    def _died(self) -> NoReturn:
        """Say how the process ended that has closed its standard output."""
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._lose("crashed", "the server closed its standard output and went on")
        os.set_blocking(self._err.fileno(), False)
        with suppress(OSError, KeyError):
            self._hear()
        self._lose("crashed", cause_of_death(code))

    def _lose(self, how: Literal["crashed", "timed-out"], detail: str) -> NoReturn:
        self._end()
        raise NoAnswer(how, detail)


def _end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    """End the process and whatever it started, at once: it holds nothing that is worth saving."""
    selector.close()
    with suppress(OSError):  # the group is gone, or not to be signalled once its leader is
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    process.wait()
