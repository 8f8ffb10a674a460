"""The wire form: arrays, programs and events survive it, and what is not of the form is refused."""

from __future__ import annotations

import json
import re

import ml_dtypes
import numpy as np
import pytest

from conformance.notation import parse
from conformance.observation import Array, Event, Refusal
from conformance.program import Json
from conformance.wire import (
    WireError,
    decode_array,
    decode_events,
    decode_line,
    decode_steps,
    encode_array,
    encode_event,
    encode_line,
    encode_steps,
)

ARRAYS = [
    np.array(1.5),
    np.zeros((0, 3), np.float32),
    np.array([[1, -2], [3, 4]], np.int16),
    np.array([True, False]),
    np.array([np.nan, np.inf, -0.0], np.float16),
    np.array([1 + 2j], np.complex64),
    np.array([1.0, 3.0], ml_dtypes.bfloat16),
    np.arange(6.0).reshape(2, 3).T,
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_survive_with_every_bit(array: Array) -> None:
    found = decode_array(json.loads(encode_line(encode_array(array))))
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable


def test_arrays_cross_in_little_endian() -> None:
    assert encode_array(np.array([1.0], ">f8")) == encode_array(np.array([1.0], "<f8"))


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (None, "None is not an array object"),
        ({"dtype": "float64", "shape": 2, "data": ""}, "has the members dtype, shape and data"),
        ({"dtype": "float64", "shape": [-1], "data": ""}, "[-1] is not a shape"),
        ({"dtype": "float64", "shape": [True], "data": ""}, "[True] is not a shape"),
        ({"dtype": "float65", "shape": [], "data": ""}, "dtype 'float65' cannot be read"),
        ({"dtype": "object", "shape": [1], "data": "AAAAAAAAAAA="}, "does not cross the wire"),
        ({"dtype": "int8", "shape": [1], "data": "A*=="}, "cannot be read"),
        ({"dtype": "int8", "shape": [2], "data": "AA=="}, "1 bytes are no array of dtype int8"),
    ],
)
def test_what_is_no_array_is_refused(form: Json, sentence: str) -> None:
    with pytest.raises(WireError, match=re.escape(sentence)):
        decode_array(form)


PROGRAM = parse("""
    x = leaf([1.0, 2.0], requires_grad=True)
    w = leaf(shape=(2,), seed=3, dtype="float32")
    with no_grad():
        y = mul(x, x)
    assert value(y) == [1.0, 4.0]
    assert value(y) == x
    with raises():
        backward(y, gradient=w)
""")


def test_steps_carry_arrays_and_readings_and_no_answers() -> None:
    forms = encode_steps(PROGRAM, "float64", frozenset(["backward", "no_grad", "dtype:float32"]))
    text = json.dumps(forms)
    assert '"expect"' not in text
    assert '"refused"' not in text
    assert '"seed"' not in text
    assert [form.get("reads") for form in forms if isinstance(form, dict)] == [
        None, None, None, ["y"], ["y", "x"], ["y", "w"]
    ]  # fmt: skip
    assert isinstance(forms[4], dict)
    assert forms[4]["compare"] == "x"
    assert isinstance(forms[5], dict)
    assert forms[5]["unsupported"] == "backward.gradient"


def test_steps_survive() -> None:
    wire = json.loads(json.dumps(encode_steps(PROGRAM, "float32", frozenset())))
    program, leaves = decode_steps(wire)
    assert [(s.verb, s.out, s.args, s.op) for s in program.walk()] == [
        (s.verb, s.out, s.args, s.op) for s in PROGRAM.walk()
    ]
    np.testing.assert_array_equal(leaves["x"], np.array([1, 2], np.float32), strict=True)
    assert leaves["w"].shape == (2,)


@pytest.mark.parametrize(
    "forms",
    [
        None, ["x"], [{"verb": "sing"}], [{"verb": "leaf", "out": ["x"]}], [{"verb": "leaf"}],
        [{"verb": "value", "args": ["unbound"]}], [{"verb": 3, "params": 4}],
    ],
)  # fmt: skip
def test_what_is_no_program_is_refused(forms: Json) -> None:
    with pytest.raises(WireError):
        decode_steps(forms)


def test_events_survive() -> None:
    program = parse("x = leaf(1.0)\nvalue(x)\ngrad(x)\nis_leaf(x)\nhook_log()\ngrad_fn(x)")
    events = (
        Event(0, "leaf"),
        Event(1, "value", np.array(1.0), seen=True),
        Event(2, "grad", skipped=True),
        Event(3, "is_leaf", True, seen=True),
        Event(4, "hook_log", (np.ones(2),), seen=True),
        Event(5, "grad_fn", refusal=Refusal("refused", "KeyError", "no")),
    )
    forms = json.loads(json.dumps([encode_event(event) for event in events]))
    found = decode_events(forms, program)
    assert [e.describe() for e in found] == [e.describe() for e in events]
    assert [(e.seen, e.skipped, e.refusal) for e in found] == [
        (e.seen, e.skipped, e.refusal) for e in events
    ]


def test_a_value_that_cannot_cross_is_a_refusal() -> None:
    form = encode_event(Event(0, "value", np.array(["a"]), seen=True))
    assert form["refusal"] == {
        "category": "refused",
        "type": "WireError",
        "message": "an array of dtype <U1 cannot cross to another process",
    }


@pytest.mark.parametrize("line", [b"\n", b"hello\n", b"[]\n", b"\xff{}\n", b'{"a": 1\n'])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(WireError, match="is not"):
        decode_line(line)
