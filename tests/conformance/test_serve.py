"""The serving side: what it answers, what it needs, and that its streams are its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.serve import Server, serve
from conformance.wire import LIMIT, PROTOCOL

ROOT = Path(__file__).resolve().parents[2]
HELLO = {"id": 1, "request": "hello", "protocol": PROTOCOL, "limit": LIMIT}
TAPE = "tests.engines.tiny_tape:TinyTape"


def answered(adapter: str, *requests: object) -> list[dict[str, Any]]:
    lines = b"".join(json.dumps(request).encode() + b"\n" for request in requests)
    replies = io.BytesIO()
    serve(adapter, io.BytesIO(lines), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_hello_says_what_the_engine_is() -> None:
    (reply,) = answered(TAPE, HELLO)
    assert reply["engine"] == {
        "name": TAPE,
        "version": "0.1",
        "dtypes": ["float64"],
        "capabilities": ["accumulates", "backward", "backward.gradient", "dtype:float64", "grad"],
        "operations": ["mul", "sin", "sum"],
        "conventions": {},
    }
    assert (reply["id"], reply["protocol"], reply["limit"]) == (1, PROTOCOL, LIMIT)


def test_capabilities_that_take_functions_stay() -> None:
    (reply,) = answered("tests.engines.tiny_functional:TinyFunctional", HELLO)
    assert not {"vjp", "jvp"} & set(reply["engine"]["capabilities"])
    assert "grad_of" in reply["engine"]["capabilities"]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({**HELLO, "protocol": 2}, "speaks version 1 of the protocol, the client version 2"),
        ({"id": 1, "request": "run", "dtype": "float64", "steps": []}, "came before `hello`"),
        ({"id": 1, "request": "dance"}, "request 'dance' is unknown; expected hello or run"),
    ],
)
def test_a_wrong_request_is_answered_by_a_sentence(
    request_: dict[str, object], sentence: str
) -> None:
    (reply,) = answered(TAPE, request_)
    assert reply["id"] == 1
    assert sentence in reply["error"]


def test_an_adapter_that_cannot_be_loaded_is_a_sentence() -> None:
    (reply,) = answered("no.such:Engine", HELLO)
    assert "cannot import no.such" in reply["error"]


def test_it_goes_on_after_what_is_no_program() -> None:
    odd = {"id": 2, "request": "run", "dtype": "float64", "steps": [{"verb": "sing"}]}
    undated = {"id": 3, "request": "run", "dtype": None, "steps": []}
    none = {"id": 4, "request": "run", "dtype": "float64", "steps": []}
    replies = answered(TAPE, HELLO, odd, undated, none)
    assert "unknown verb 'sing'" in replies[1]["error"]
    assert "`dtype` is None" in replies[2]["error"]
    assert replies[3] == {"id": 4, "events": []}


def test_an_answer_over_the_clients_limit_says_so() -> None:
    server = Server(TAPE)
    server.answer(json.dumps({**HELLO, "limit": 60}).encode())
    reply = json.loads(server.line({"id": 5, "events": [{}] * 50}))
    assert reply["id"] == 5
    assert reply["unsupported"].endswith("the client takes 60")


def test_it_needs_numpy_alone() -> None:
    code = (
        "import sys, conformance.serve;"
        "allowed = set(sys.stdlib_module_names) | {'numpy', 'conformance'};"
        "found = {name.split('.')[0] for name in sys.modules} - allowed;"
        "print(sorted(n for n in found if not n.startswith(('_', 'sitecustomize'))))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", _PATH + code], capture_output=True, text=True, check=True,
        cwd=ROOT,
    )  # fmt: skip
    assert ended.stdout.strip() == "[]"


_PATH = f"import sys; sys.path += {[entry for entry in sys.path if 'site-packages' in entry]!r};"


def test_the_file_alone_serves_and_makes_nothing_else_importable() -> None:
    code = (
        "import runpy, sys; sys.argv = ['serve.py', 'tests.engines.tiny_tape:TinyTape'];"
        f"runpy.run_path({str(ROOT / 'conformance' / 'serve.py')!r}, run_name='__main__')"
    )
    line = json.dumps(HELLO) + "\n"
    ended = subprocess.run(
        [sys.executable, "-c", code], input=line, capture_output=True, text=True, check=True,
        cwd=ROOT,
    )  # fmt: skip
    assert json.loads(ended.stdout)["engine"]["version"] == "0.1"
    assert ended.stderr == ""


def test_a_missing_adapter_is_wrong_usage() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "conformance.serve"], capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 2
    assert "usage: python -m conformance.serve ADAPTER" in ended.stderr
