"""The serving side of engines in other processes: `python -m conformance.serve ADAPTER`.

Reads requests from standard input and answers on standard output, as `docs/protocol.md` says. What
the engine itself prints goes to standard error. Needs the standard library and NumPy alone; run as
a file, `python …/conformance/serve.py ADAPTER`, it needs no installation of this package either.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO


def _find_package() -> None:
    """Make this file's package importable where the file was run as a script.

    Nothing else of the folder that it is installed in becomes importable by that.
    """
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        "conformance", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["conformance"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if not __package__:
    _find_package()

from conformance.adapters.base import Engine  # noqa: E402  (found by the lines above)
from conformance.adapters.load import load_engine  # noqa: E402
from conformance.errors import ConformanceError  # noqa: E402
from conformance.execute import execute  # noqa: E402
from conformance.program import Json  # noqa: E402
from conformance.wire import (  # noqa: E402
    LIMIT,
    PROTOCOL,
    WireError,
    decode_line,
    decode_steps,
    encode_event,
    encode_line,
)

TAKE_FUNCTIONS = frozenset("vjp jvp".split())
"""Capabilities that are given Python functions, which cannot cross."""


class Server:
    """Answers the requests of one client about one adapter."""

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._engine: Engine | None = None
        self._limit = LIMIT

    def answer(self, line: bytes) -> dict[str, Json]:
        """Return the reply to the request of a line; what is wrong with it is an `error`."""
        identifier: Json = None
        try:
            request = decode_line(line)
            identifier = request.get("id")
            kind = request.get("request")
            if kind == "hello":
                return {"id": identifier, **self._hello(request)}
            if kind == "run":
                return {"id": identifier, **self._run(request)}
            raise WireError(f"request {kind!r} is unknown; expected hello or run")
        except (ConformanceError, WireError) as error:
            return {"id": identifier, "error": str(error)}

    def line(self, reply: dict[str, Json]) -> bytes:
        """Return the line of a reply, or of the sentence that it is too long for the client."""
        line = encode_line(reply)
        if len(line) <= self._limit:
            return line
        sentence = f"the answer has {len(line)} bytes; the client takes {self._limit}"
        return encode_line({"id": reply["id"], "unsupported": sentence})

    def _hello(self, request: dict[str, Json]) -> dict[str, Json]:
        if request.get("protocol") != PROTOCOL:
            raise WireError(
                f"this server speaks version {PROTOCOL} of the protocol, the client version"
                f" {request.get('protocol')!r}; install the same release of autograd-conformance"
                " on both sides"
            )
        limit = request.get("limit")
        self._limit = limit if type(limit) is int else LIMIT
        self._engine = engine = load_engine(self._adapter)
        capabilities = engine.session().capabilities - TAKE_FUNCTIONS
        operations = engine.operations
        facts: dict[str, Json] = {
            "name": engine.name,
            "version": engine.version,
            "dtypes": [*engine.dtypes],
            "capabilities": _listed(capabilities),
            "operations": None if operations is None else _listed(operations),
            "conventions": dict(engine.conventions),
        }
        return {"protocol": PROTOCOL, "limit": LIMIT, "engine": facts}

    def _run(self, request: dict[str, Json]) -> dict[str, Json]:
        if self._engine is None:
            raise WireError("`run` came before `hello`")
        dtype = request.get("dtype")
        if not isinstance(dtype, str):
            raise WireError(f"`dtype` is {dtype!r}, not the name of one")
        program, leaves = decode_steps(request.get("steps"))
        observation = execute(self._engine, program, dtype, leaves)
        return {"events": [encode_event(event) for event in observation.events]}


def _listed(names: frozenset[str]) -> list[Json]:
    return [*sorted(names)]


def serve(adapter: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer every line of `requests` on `replies` until it ends."""
    server = Server(adapter)
    while line := requests.readline(LIMIT + 1):
        if len(line) > LIMIT:
            reply: dict[str, Json] = {"id": None, "error": f"a request is over {LIMIT} bytes"}
            replies.write(server.line(reply))
            return  # the rest of the line is no request
        replies.write(server.line(server.answer(line)))
        replies.flush()


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the two streams of the protocol, and keep the engine away from them.

    Whatever prints, Python or not, prints to standard error from now on; whatever reads standard
    input finds it empty.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def _end_with(parent: int) -> None:
    """End this process once its parent has: a hanging engine would outlive both."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    """Serve the adapter that the command line names."""
    if len(sys.argv) != 2:
        print("usage: python -m conformance.serve ADAPTER", file=sys.stderr)
        sys.exit(2)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(sys.argv[1], *_own_streams())


if __name__ == "__main__":
    main()
