"""Engines in processes of their own, behind the protocol of `docs/protocol.md`.

`process:COMMAND`, with `process[timeout=SECONDS]:COMMAND`, names the server of any engine in any
language. `ENGINE[python=PATH]` serves one of this package's engines, or an adapter
`package.module:attribute`, by another Python, which needs NumPy and the engine, not this package;
`AUTOGRAD_PYTHONS=ENGINE=PATH` in the environment does the same for a name without the option.

A command is started without a shell, once per process of a run; it answers programs with
observations until this side ends. One that dies or hangs is started anew for the next adapter.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from conformance.adapters.remote import EngineLost, RemoteEngine
from conformance.adapters.server_process import PYTHONS, NoAnswer, ServerProcess
from conformance.errors import EngineLoadError, InvalidProgram
from conformance.leaves import dtype_named
from conformance.observation import Event, Observation, Refusal
from conformance.program import Json, Program
from conformance.wire import (
    LIMIT,
    PROTOCOL,
    WireError,
    decode_events,
    decode_line,
    encode_line,
    encode_steps,
)

SECONDS = 30.0
"""How long a server may take for one program, unless the option `timeout` says otherwise."""
HELLO_SECONDS = 90.0
"""How long it may take to import its engine: less than a run waits for an engine to load."""
_servers: dict[tuple[str, ...], ServerProcess] = {}
"""The servers of this process by their commands. They stay: importing a library takes seconds."""

_COMMAND = re.compile(r"process(?:\[(?P<options>[^\[\]]*)\])?:(?P<command>.*)", re.DOTALL)
_PYTHON = re.compile(r"(?P<base>[^\[\]\s]+)(?:\[(?P<options>[^\[\]]*)\])?")
_SERVER = Path(__file__).parents[1] / "serve.py"


def connect(name: str) -> ProcessEngine | None:
    """Return the engine of a name that this module knows; None for any other name.

    Raises `EngineLoadError` where its server cannot be started or greets otherwise than it should.
    """
    try:
        if match := _COMMAND.fullmatch(name.strip()):
            options = _options(match["options"] or "")
            return ProcessEngine(match["command"], **_timeout(options))
        match = _PYTHON.fullmatch(name.strip())
        if match is None:
            return None
        options = _pythons(match["base"]) | _options(match["options"] or "")
        if "python" not in options:
            return None
        command = [options.pop("python"), str(_SERVER)]
        timeout = _timeout({key: options.pop(key) for key in ("timeout",) if key in options})
        rest = ",".join(f"{key}={value}" for key, value in options.items())
        return ProcessEngine([*command, match["base"] + (f"[{rest}]" if rest else "")], **timeout)
    except EngineLoadError as error:
        raise EngineLoadError(f"{name!r}: {error}") from error


def _pythons(engine: str) -> dict[str, str]:
    """Return the option `python` that the environment gives to an engine, if it does."""
    pairs = _options(os.environ.get(PYTHONS, ""))
    return {"python": pairs[engine]} if engine in pairs else {}


def _options(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _timeout(options: dict[str, str]) -> dict[str, str]:
    unknown = ", ".join(sorted(options.keys() - {"timeout"}))
    if unknown:
        raise EngineLoadError(f"unknown option {unknown}; `process` takes: timeout")
    return options


class ProcessEngine(RemoteEngine):
    """The engine that the server of a command tests. command: as for a shell, or its words.

    timeout: seconds that one program may take.
    """

    def __init__(self, command: str | Sequence[str], timeout: str = f"{SECONDS:g}") -> None:
        if os.name != "posix":
            raise EngineLoadError(
                "an engine in a process of its own needs Linux or macOS; use an adapter in Python"
            )
        self._command = _words(command)
        self._seconds = _seconds(timeout)
        self._asked = 0
        self._limit = LIMIT
        self._server = self._connected()

    def run_program(self, program: Program, dtype: str) -> Observation:
        """Send the program and return what the server observed, in one message each way."""
        try:
            if not self._server.running:
                self._server = self._connected()
            steps = encode_steps(program, dtype, self.capabilities)
            request: dict[str, Json] = {"request": "run", "dtype": dtype, "steps": steps}
            line = self._line(request)
            if len(line) > self._limit:
                sentence = f"the program has {len(line)} bytes; the server takes {self._limit}"
                return self._unsupported(program, dtype, sentence)
            return self._observation(self._reply(line, self._seconds), program, dtype)
        except NoAnswer as lost:
            raise EngineLost(lost.how, str(lost), program) from lost
        except WireError as error:
            self._server.close()
            detail = f"the server breaks the protocol: {error}"
            raise EngineLost("crashed", detail, program) from error

    def _observation(self, reply: Mapping[str, Json], program: Program, dtype: str) -> Observation:
        if "unsupported" in reply:
            return self._unsupported(program, dtype, str(reply["unsupported"]))
        if "error" in reply:
            raise WireError(f"it cannot read a program: {reply['error']}")
        return Observation(self.name, dtype, decode_events(reply.get("events"), program))

    def _unsupported(self, program: Program, dtype: str, sentence: str) -> Observation:
        refusal = Refusal("unsupported", "Unsupported", sentence)
        events = [
            Event(number, step.verb, refusal=None if number else refusal, skipped=number > 0)
            for number, step in enumerate(program.walk())
        ]
        return Observation(self.name, dtype, tuple(events))

    # requests

    def _line(self, request: Mapping[str, Json]) -> bytes:
        self._asked += 1
        return encode_line({"id": self._asked, **request})

    def _reply(self, line: bytes, seconds: float) -> dict[str, Json]:
        reply = decode_line(self._server.ask(line, seconds))
        if reply.get("id") != self._asked and not (reply.get("id") is None and "error" in reply):
            raise WireError(f"a reply has id {reply.get('id')!r}; {self._asked} was asked")
        return reply

    def _connected(self) -> ServerProcess:
        """Return the running server of the command, which has made a new adapter of its engine."""
        server = _servers.get(self._command)
        if server is None or not server.running:
            try:
                server = ServerProcess(self._command, LIMIT)
            except OSError as error:
                raise EngineLoadError(
                    f"the command {self._command[0]!r} cannot be started ({error.strerror}); give"
                    " its path, or a name that is found on PATH"
                ) from error
            _servers[self._command] = server
        self._server = server
        try:
            reply = self._reply(
                self._line({"request": "hello", "protocol": PROTOCOL, "limit": LIMIT}),
                HELLO_SECONDS,
            )
            if "error" in reply:
                raise EngineLoadError(str(reply["error"]))
            self._take(reply)
        except NoAnswer as lost:
            self._fail(f"it said no hello: {lost}")
        except WireError as error:
            self._fail(f"its hello cannot be read: {error}")
        return server

    def _fail(self, reason: str) -> NoReturn:
        self._server.close()
        said = self._server.last_words()
        last = f"; it last wrote to standard error: {said!r}" if said else ""
        raise EngineLoadError(f"the server {shlex.join(self._command)!r}: {reason}{last}")

    def _take(self, reply: Mapping[str, Json]) -> None:
        """Read what the hello says of the server and its engine."""
        if reply.get("protocol") != PROTOCOL:
            raise WireError(
                f"it speaks version {reply.get('protocol')!r} of the protocol, this tool version"
                f" {PROTOCOL}; install releases of the two that speak the same"
            )
        facts = reply.get("engine")
        if not isinstance(facts, dict):
            raise WireError("it has no member `engine`")
        limit = reply.get("limit", LIMIT)
        if type(limit) is not int or limit <= 0:
            raise WireError(f"`limit` is {limit!r}, not a number of bytes")
        self._limit = limit
        self.version = _text(facts, "version")
        self.dtypes = _names(facts, "dtypes")
        if not self.dtypes:
            raise WireError("`dtypes` is empty; an engine computes in one at least")
        for name in self.dtypes:
            try:
                dtype_named(name)
            except (InvalidProgram, ImportError) as error:
                raise WireError(f"`dtypes` holds {name!r}, which no array here can have") from error
        self.capabilities = frozenset(
            (*_names(facts, "capabilities"), *(f"dtype:{name}" for name in self.dtypes))
        )
        listed = facts.get("operations")
        self.operations = None if listed is None else frozenset(_names(facts, "operations"))
        conventions = facts.get("conventions", {})
        if not isinstance(conventions, dict):
            raise WireError("`conventions` is not an object")
        self.conventions = {key: str(value) for key, value in conventions.items()}


def _words(command: str | Sequence[str]) -> tuple[str, ...]:
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise EngineLoadError(f"the command {command!r} cannot be split: {error}") from error
    if not words:
        raise EngineLoadError("no command is given; write process:COMMAND, as process:./engine")
    return tuple(words)


def _seconds(timeout: str) -> float:
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise EngineLoadError(f"timeout {timeout!r} is not a number of seconds above 0")
    return seconds


def _text(facts: Mapping[str, Json], member: str) -> str:
    text = facts.get(member)
    if not isinstance(text, str):
        raise WireError(f"`{member}` is {text!r}, not a string")
    return text


def _names(facts: Mapping[str, Json], member: str) -> tuple[str, ...]:
    names = facts.get(member)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WireError(f"`{member}` is {names!r}, not a list of names")
    return tuple(str(name) for name in names)
