"""The page of one gradient check: the verdict, the reason, and the error of every element.

Reads the JSON of `conformance.gradcheck(...).to_json()`, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.errors import UsageError
from conformance.report.html import render

OUTCOMES = {"pass": "holds", "fail": "silently-wrong", "inconclusive": "inconclusive"}
"""The sign and colour of each verdict, by the key of a report's outcome."""
SIDE = 64
"""Cells of a picture along either side; larger inputs show the worst of each block."""
_STEPS = 6
"""Shades between an error at the limit and one of at least a million limits."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A square of a picture. shade: 0 within the bound, up to 6 by the decades beyond it."""

    x: int
    y: int
    shade: int
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The errors of one input, an element or a block of them to a cell."""

    name: str
    shape: str
    columns: int
    rows: int
    cells: tuple[Cell, ...]
    wrong: int
    block: int


def render_gradcheck(text: str) -> str:
    """Return the page for the JSON of a result; raises `UsageError` where it is no such JSON."""
    try:
        result = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"not the JSON of a gradient check: {error}") from error
    if not isinstance(result, dict) or result.get("verdict") not in OUTCOMES:
        raise UsageError("not the JSON of a gradient check: expected an object with a verdict")
    pictures = [picture(item) for item in result.get("elements", [])]
    return render(
        "gradcheck.html",
        ("base.css", "gradcheck.css"),
        result=result,
        departures=[_departure(item) for item in (*result["failures"], *result["doubts"])],
        pictures=pictures,
        key=OUTCOMES[result["verdict"]],
        unasked=_unasked(result),
    )


def _unasked(result: Mapping[str, Any]) -> str:
    """Return why no questions besides the formula were asked."""
    if result["failures"]:
        return "it is wrong, and what a backward can get wrong besides would follow from it"
    if result.get("randomness"):
        return "repeated runs differ, and so would the answers"
    return "no more were asked for, or there was nothing to ask them of"


def picture(item: Mapping[str, Any]) -> Picture:
    """Return the picture of one input's errors."""
    errors, bounds = _numbers(item["error"]), _numbers(item["bound"])
    shape = tuple(item["shape"]) or (1,)
    per_element = max(1, len(errors) // max(1, math.prod(shape)))  # complex: two parts
    columns = shape[-1] * per_element if len(shape) > 1 else min(len(errors), SIDE) or 1
    rows = -(-len(errors) // columns) if errors else 0
    block = max(1, -(-max(columns, rows) // SIDE))
    worst: dict[tuple[int, int], tuple[float, int]] = {}
    for position, (error, bound) in enumerate(zip(errors, bounds, strict=True)):
        ratio = error / bound if bound > 0 else (math.inf if error > 0 else 0.0)
        ratio = math.inf if math.isnan(ratio) else ratio
        place = position % columns // block, position // columns // block
        if ratio >= worst.get(place, (-1.0, 0))[0]:
            worst[place] = ratio, position
    cells = []
    for (x, y), (ratio, position) in sorted(worst.items(), key=lambda cell: cell[0][::-1]):
        shade = 0
        if ratio > 1:
            shade = min(_STEPS, 1 + int(math.log10(min(ratio, 1e9))))
        label = f"element {position}: error {errors[position]:.2g}, bound {bounds[position]:.2g}"
        cells.append(Cell(x, y, shade, label))
    wrong = sum(e > b or math.isnan(e) for e, b in zip(errors, bounds, strict=True))
    return Picture(
        item["input"],
        "×".join(map(str, item["shape"])) or "scalar",
        -(-columns // block),
        -(-rows // block),
        tuple(cells),
        wrong,
        block,
    )


def _numbers(values: Sequence[float | str]) -> list[float]:
    return [float(value) for value in values]


def _departure(item: Mapping[str, Any]) -> dict[str, str]:
    """Return what a row of the table shows."""

    def place(value: Mapping[str, Any] | None) -> str:
        if not value:
            return "–"
        return f"{value['name']}{list(value['index']) if value['index'] else ''}"

    def number(value: float | str) -> str:
        return "–" if value == "nan" else f"{float(value):.9g}"

    return {
        "cause": item["cause"],
        "sentence": item["sentence"],
        "output": place(item["output"]),
        "input": place(item["input"]),
        "analytic": number(item["analytic"]),
        "numeric": number(item["numeric"]),
        "error": number(item["error"]),
        "bound": number(item["bound"]),
    }
