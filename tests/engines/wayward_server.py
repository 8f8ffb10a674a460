"""A server over the standard library alone that breaks the protocol as its argument says."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

ENGINE = {
    "name": "wayward",
    "version": "0",
    "dtypes": ["float64"],
    "capabilities": [],
    "operations": [],
    "conventions": {},
}
VALUE = {"dtype": "float64", "shape": [], "data": "AAAAAAAA8D8="}
HELLO = {"protocol": 1, "limit": 4096, "engine": ENGINE}
HELLOS = {
    "old": {**HELLO, "protocol": 0},
    "refusing": {"error": "no licence was found"},
    "nameless": {"protocol": 1, "limit": 4096},
    "odd-dtype": {**HELLO, "engine": {**ENGINE, "dtypes": ["float65"]}},
    "no-dtypes": {**HELLO, "engine": {**ENGINE, "dtypes": []}},
    "odd-limit": {**HELLO, "limit": "much"},
}
RUNS: dict[str, dict[str, Any]] = {
    "good": {"events": [{}, {"value": VALUE}]},
    "few-events": {"events": [{}]},
    "no-events": {},
    "odd-event": {"events": [{}, 7]},
    "no-value": {"events": [{}, {}]},
    "odd-value": {"events": [{}, {"value": True}]},
    "short-array": {"events": [{}, {"value": {**VALUE, "shape": [3]}}]},
    "odd-refusal": {"events": [{}, {"refusal": {"category": "sad"}}]},
    "refusing-run": {"error": "too tired"},
    "too-long": {"unsupported": "the answer is too long"},
    "other-id": {"id": 99, "events": [{}, {"value": VALUE}]},
}


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def misbehave(mode: str) -> None:
    if mode == "dying":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "leaving":
        print("see you", file=sys.stderr, flush=True)
        sys.exit(4)
    if mode == "hanging":
        time.sleep(600)
    if mode == "garbage":
        write("Loading weights...\n")
    if mode == "list":
        write("[1, 2]\n")
    if mode == "endless":
        while True:
            write("x" * 65536)
    if mode == "loud":
        sys.stderr.write("noise\n" * 100_000)
    if mode == "closing":
        os.close(1)
        time.sleep(600)


def main() -> None:
    mode = sys.argv[1]
    if mode.startswith("early-"):
        misbehave(mode.removeprefix("early-"))
    for line in sys.stdin:
        request = json.loads(line)
        if request["request"] == "hello":
            reply = HELLOS.get(mode, HELLO)
        else:
            misbehave(mode)
            reply = RUNS.get(mode, RUNS["good"])
        write(json.dumps({"id": request["id"], **reply}) + "\n")


if __name__ == "__main__":
    main()
