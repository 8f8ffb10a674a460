"""The wire form of programs and of what is observed: JSON with arrays as base64 buffers.

`docs/protocol.md` is the specification; this is its Python, on both sides of the wire, over the
standard library and NumPy alone. A reader raises `WireError` for whatever is not of the form.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping

import numpy as np

from conformance.errors import InvalidProgram
from conformance.leaves import dtype_named, leaf_array
from conformance.observation import Array, Event, Observed, Refusal
from conformance.program import VERBS, Json, Program, Ref, Step, from_json, step_needs, to_json

PROTOCOL = 1
LIMIT = 64 * 1024 * 1024
"""Bytes of the longest line that either side of this implementation takes."""
_EXTENSIONS = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_MADE_FROM = ("value", "shape", "seed", "low", "high")
"""Parameters of a leaf that its array stands for on the wire."""


class WireError(Exception):
    """What was read is not of the form that the protocol demands."""


def encode_line(message: Mapping[str, Json]) -> bytes:
    """Return a message as its line, the newline included."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode_line(line: bytes) -> dict[str, Json]:
    """Return the message that a line holds."""
    try:
        message = json.loads(line)
    except ValueError as error:
        raise WireError(f"{_short(line)} is not JSON ({error})") from error
    if not isinstance(message, dict):
        raise WireError(f"{_short(line)} is not a JSON object")
    return message


def _short(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return repr(text if len(text) <= 80 else text[:80] + "…")


# arrays


def encode_array(array: Array) -> dict[str, Json]:
    """Return an array as dtype name, shape, and its items in C order, little-endian, in base64."""
    if array.dtype.kind not in "biufc" and array.dtype.name not in _EXTENSIONS:
        raise WireError(f"an array of dtype {array.dtype} cannot cross to another process")
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def decode_array(form: Json) -> Array:
    """Return a new array."""
    if not isinstance(form, dict):
        raise WireError(f"{form!r} is not an array object")
    name, shape, data = form.get("dtype"), form.get("shape"), form.get("data")
    if not isinstance(name, str) or not isinstance(shape, list) or not isinstance(data, str):
        raise WireError("an array object has the members dtype, shape and data")
    sizes = [size for size in shape if type(size) is int and size >= 0]
    if len(sizes) != len(shape):
        raise WireError(f"{shape!r} is not a shape")
    try:
        dtype = dtype_named(name)
        if dtype.kind not in "biufc" and name not in _EXTENSIONS:
            raise WireError(f"dtype {name!r} does not cross the wire")
        items = base64.b64decode(data, validate=True)
    except (InvalidProgram, ImportError, binascii.Error, ValueError) as error:
        raise WireError(f"an array of dtype {name!r} cannot be read: {error}") from error
    if len(items) != math.prod(sizes) * dtype.itemsize:
        raise WireError(f"{len(items)} bytes are no array of dtype {name} and shape {shape}")
    array: Array = np.frombuffer(items, dtype).reshape(sizes).copy()
    return array


# programs


def encode_steps(program: Program, dtype: str, capabilities: frozenset[str]) -> list[Json]:
    """Return the steps for a server with these capabilities.

    Leaves carry their arrays, and steps every name that they read. Figures and owed errors stay
    here: no engine is told the answers. Steps beyond the capabilities are marked, so that no server
    does by halves what it never offered. Raises `InvalidProgram` for a literal that is no array.
    """
    forms = to_json(program)["steps"]
    assert isinstance(forms, list)
    for step, form in zip(program.walk(), _walk(forms), strict=True):
        form.pop("refused", None)
        form.pop("expect", None)
        if step.expect is not None and isinstance(step.expect.value, Ref):
            form["compare"] = step.expect.value.name
        if reads := step.reads():
            form["reads"] = [*dict.fromkeys(reads)]
        if step.verb == "leaf":
            form["array"] = encode_array(leaf_array(step, dtype))
            form["params"] = _without(form.get("params"), _MADE_FROM)
        absent = next((need for need in step_needs(step) if need not in capabilities), None)
        if absent is not None:
            form["unsupported"] = absent
    return forms


def decode_steps(forms: Json) -> tuple[Program, dict[str, Array]]:
    """Return the program and the arrays of its leaves, by name.

    The marks of what is beyond the server are left: `execute` knows the capabilities itself.
    """
    if not isinstance(forms, list):
        raise WireError("`steps` is not a list")
    leaves: dict[str, Array] = {}
    try:
        for form in _walk(forms):
            compared, array = form.pop("compare", None), form.pop("array", None)
            if compared is not None:
                form["expect"] = {"value": {"ref": compared}}
            if form.get("verb") == "leaf":
                names = form["out"]
                assert isinstance(names, list)
                found = decode_array(array)
                leaves.update((str(name), found) for name in names)
                params = _without(form.get("params"), ())
                form["params"] = {**params, "shape": list(found.shape)}
        return from_json({"steps": forms}), leaves
    except (InvalidProgram, AssertionError, KeyError) as error:
        raise WireError(f"`steps` is no program: {error}") from error


def _walk(forms: list[Json]) -> Iterator[dict[str, Json]]:
    for form in forms:
        if not isinstance(form, dict):
            raise WireError(f"{form!r} is not a step")
        body = form.get("body")
        yield form
        if isinstance(body, list):
            yield from _walk(body)


def _without(params: Json, names: tuple[str, ...]) -> dict[str, Json]:
    given = params if isinstance(params, dict) else {}
    return {key: value for key, value in given.items() if key not in names}


# what is observed


def encode_event(event: Event) -> dict[str, Json]:
    """Return an event without its number and verb, which its place in the list says."""
    if event.skipped:
        return {"skipped": True}
    form: dict[str, Json] = {}
    if event.refusal is not None:
        refusal = event.refusal
        return {
            "refusal": {
                "category": refusal.category, "type": refusal.type, "message": refusal.message
            }
        }  # fmt: skip
    try:
        if event.seen:
            form["value"] = _encode_value(event.value)
        if event.expected is not None:
            form["expected"] = encode_array(event.expected)
    except WireError as error:
        return {"refusal": {"category": "refused", "type": "WireError", "message": str(error)}}
    return form


def _encode_value(value: Observed) -> Json:
    if isinstance(value, np.ndarray):
        return encode_array(value)
    if isinstance(value, tuple):
        return [encode_array(item) for item in value]
    return value


def decode_events(forms: Json, program: Program) -> tuple[Event, ...]:
    """Return the events of a program, one for each of its steps."""
    steps = tuple(program.walk())
    if not isinstance(forms, list) or len(forms) != len(steps):
        count = len(forms) if isinstance(forms, list) else "no"
        raise WireError(f"{count} events for a program of {len(steps)} steps")
    return tuple(
        _decode_event(number, step, form)
        for number, (step, form) in enumerate(zip(steps, forms, strict=True))
    )


def _decode_event(number: int, step: Step, form: Json) -> Event:
    where = f"step {number} ({step.verb})"
    if not isinstance(form, dict):
        raise WireError(f"{where}: {form!r} is not an event")
    if form.get("skipped") is True:
        return Event(number, step.verb, skipped=True)
    if "refusal" in form:
        return Event(number, step.verb, refusal=_decode_refusal(form["refusal"], where))
    if ("value" in form) != VERBS[step.verb].observes:
        wanted = "a value" if VERBS[step.verb].observes else "no value"
        raise WireError(f"{where}: {wanted} is due from a step that succeeds")
    expected = None
    if step.expect is not None and isinstance(step.expect.value, Ref):
        expected = decode_array(form.get("expected"))
    if "value" not in form:
        return Event(number, step.verb)
    value = _decode_value(form["value"])
    if not isinstance(value, _KINDS.get(step.verb, (np.ndarray, type(None)))):
        raise WireError(f"{where}: {type(value).__name__} is not what this verb observes")
    return Event(number, step.verb, value, seen=True, expected=expected)


_KINDS: dict[str, tuple[type, ...]] = {
    "hook_log": (tuple,),
    "grad_fn": (str, type(None)),
    "version": (int,),
    **dict.fromkeys(("requires_grad", "is_leaf", "is_grad_enabled", "alive"), (bool,)),
}
"""What the verbs observe that observe no array."""


def _decode_value(form: Json) -> Observed:
    if isinstance(form, dict):
        return decode_array(form)
    if isinstance(form, list):
        return tuple(decode_array(item) for item in form)
    if isinstance(form, float):
        raise WireError(f"{form!r} is not a value; a number is an array of no dimensions")
    return form


def _decode_refusal(form: Json, where: str) -> Refusal:
    if isinstance(form, dict):
        category, kind, message = (form.get(key) for key in ("category", "type", "message"))
        if isinstance(kind, str) and isinstance(message, str):
            if category == "unsupported":
                return Refusal("unsupported", kind, message)
            if category == "refused":
                return Refusal("refused", kind, message)
    raise WireError(f"{where}: a refusal has a category (refused or unsupported), type and message")
