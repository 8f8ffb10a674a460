"""Placement: how an operation takes its operands and parameters from what a graph already has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Union

from conformance.catalogue import Interval, Operation
from conformance.strategies.graphs import Leaf, Params, Vertex
from conformance.strategies.shapes import Shape, broadcast, variants

Operand = Union[int, Leaf]  # noqa: UP007
"""A vertex, by index, or a leaf that is yet to be added."""


class Draw(NamedTuple):
    """The decoded choices of one operation: second operand, parameter, a new leaf's facts."""

    second: int
    parameter: int
    seed: int
    fresh: int


class Scene(NamedTuple):
    """What an operation may take: the visible vertices, latest first, and a new leaf of a shape.

    `fresh` returns None where the graph has no room for one more leaf. takes: whether an operation
    may be applied in a form, as `mul.other`, a Python number in the place of a second operand.
    """

    vertices: Sequence[Vertex]
    visible: Sequence[int]
    fresh: Callable[[Shape], Leaf | None]
    takes: Callable[[str], bool]

    def facts(self, operand: Operand) -> Vertex:
        """Return the shape and bounds of the operand."""
        return operand if isinstance(operand, Leaf) else self.vertices[operand]


class Placed(NamedTuple):
    """An operation with all that it needs."""

    inputs: tuple[Operand, ...]
    params: Params
    shape: Shape
    bounds: Interval


def place(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    """Return the operation on the operand, or None where it does not fit or would not be tame."""
    vertex = scene.vertices[operand]
    if 0 in vertex.shape and not (op.elementwise or op.name in ("sum", "transpose", "unsqueeze")):
        return None
    return _PLACES[op.family](op, operand, draw, scene)


def _unary(op: Operation, operand: int, _: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    bounds = op.result((vertex.bounds,))
    return None if bounds is None else Placed((operand,), (), vertex.shape, bounds)


def _number(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    number = op.numbers[draw.parameter % len(op.numbers)]
    bounds = op.result((vertex.bounds,), number)
    name = "exponent" if op.name == "pow" else "other"
    return None if bounds is None else Placed((operand,), ((name, number),), vertex.shape, bounds)


def _binary(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    numbers = bool(op.numbers) and scene.takes(op.name + ".other")
    if draw.second % 4 != 3 or not numbers:
        for other in _partners(operand, draw, scene):
            found = _pair(op, operand, other, draw.fresh % 2 == 1, scene)
            if found is not None:
                return found
    return _number(op, operand, draw, scene) if numbers else None


def _partners(operand: int, draw: Draw, scene: Scene) -> Iterator[Operand]:
    """Yield second operands that broadcast: the drawn one of those there are, or a new leaf first.

    Which of them comes first depends on the draw alone, so that it stays while others are removed.
    """
    shape = scene.vertices[operand].shape
    shapes = variants(shape)
    fresh = scene.fresh(shapes[draw.parameter % len(shapes)])
    if fresh is not None and draw.second >= 128:
        yield fresh
    found = [i for i in scene.visible if broadcast(scene.vertices[i].shape, shape) is not None]
    back = draw.second // 4 % 8 % len(found)
    yield from found[back:] + found[:back]
    if fresh is not None and draw.second < 128:
        yield fresh


def _pair(
    op: Operation, operand: int, other: Operand, swapped: bool, scene: Scene
) -> Placed | None:
    inputs = (other, operand) if swapped else (operand, other)
    first, second = (scene.facts(each) for each in inputs)
    bounds = op.result((first.bounds, second.bounds))
    shape = broadcast(first.shape, second.shape)
    return None if bounds is None or shape is None else Placed(inputs, (), shape, bounds)


def _matmul(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    flat = op.name == "mm"
    if not 1 <= len(vertex.shape) <= 2 or (flat and len(vertex.shape) != 2):
        return None
    inner = vertex.shape[-1]
    others: list[Operand] = [
        i
        for i in scene.visible
        if scene.vertices[i].shape[:1] == (inner,)
        and (2 if flat else 1) <= len(scene.vertices[i].shape) <= 2
    ]
    shapes: tuple[Shape, ...] = ((inner, 2), (inner, 3), (inner, 1), (inner,))
    fresh = scene.fresh(shapes[draw.parameter % (3 if flat else 4)])
    if fresh is not None:
        others.append(fresh)
    for offset in range(len(others)):
        other = others[(draw.second + offset) % len(others)]
        facts = scene.facts(other)
        bounds = op.result((vertex.bounds, facts.bounds), float(inner))
        if bounds is not None:
            shape = vertex.shape[:-1] + facts.shape[1:]
            return Placed((operand, other), (), shape, bounds)
    return None


def _axis(shape: Shape, code: int) -> int:
    """Return an axis; every second one is counted from the end."""
    axis = (code // 2) % len(shape)
    return axis - len(shape) if code % 2 else axis


def _reduce(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    if not vertex.shape:
        return None
    axis = _axis(vertex.shape, draw.parameter)
    size = vertex.shape[axis]
    bounds = op.result((vertex.bounds,), float(size))
    if bounds is None:
        return None
    keepdim = draw.fresh % 2 == 1
    shape = list(vertex.shape)
    shape[axis : axis + 1 or None] = [1] if keepdim else []
    params: Params = (("dim", axis), ("keepdim", True)) if keepdim else (("dim", axis),)
    return Placed((operand,), params, tuple(shape), bounds)


def _along(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    if not vertex.shape:
        return None
    axis = _axis(vertex.shape, draw.parameter)
    bounds = op.result((vertex.bounds,), float(vertex.shape[axis]))
    return None if bounds is None else Placed((operand,), (("dim", axis),), vertex.shape, bounds)


def _join(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    if not vertex.shape:
        return None
    others = [i for i in scene.visible if scene.vertices[i].shape == vertex.shape]
    other = others[draw.second % len(others)]
    axis = _axis(vertex.shape, draw.parameter)
    place_ = axis % len(vertex.shape)
    shape = list(vertex.shape)
    if op.name == "cat":
        shape[place_] *= 2
    else:
        axis = place_
        shape.insert(axis, 2)
    bounds = op.result((vertex.bounds, scene.vertices[other].bounds))
    if bounds is None:
        return None
    return Placed((operand, other), (("dim", axis),), tuple(shape), bounds)


Reshaped = Union[tuple[Params, Shape], None]  # noqa: UP007


def reshaped(name: str, shape: Shape, draw: Draw) -> Reshaped:
    """Return parameters of an operation that only changes the shape, and the shape that it makes.

    None where the operation does nothing sensible on `shape`.
    """
    return _SHAPES[name](shape, draw)


def _shape(op: Operation, operand: int, draw: Draw, scene: Scene) -> Placed | None:
    vertex = scene.vertices[operand]
    found = reshaped(op.name, vertex.shape, draw)
    return None if found is None else Placed((operand,), found[0], found[1], vertex.bounds)


def _transpose(shape: Shape, draw: Draw) -> Reshaped:
    if len(shape) < 2:
        return None
    first = draw.parameter % len(shape)
    second = (first + 1) % len(shape)
    swapped = list(shape)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    return (("dim0", first), ("dim1", second)), tuple(swapped)


def _form(shape: Shape, draw: Draw) -> Shape:
    size = math.prod(shape)
    forms: tuple[Shape, ...] = ((size,), tuple(reversed(shape)), (1, size), (size, 1))
    return forms[draw.parameter % len(forms)]


def _reshape(shape: Shape, draw: Draw) -> Reshaped:
    form = _form(shape, draw)
    return (("shape", form),), form


def _view(shape: Shape, draw: Draw) -> Reshaped:
    form = _form(shape, draw)  # the caller sees to it that the tensor is contiguous
    return (("size", form),), form


def _unsqueeze(shape: Shape, draw: Draw) -> Reshaped:
    if len(shape) > 2:
        return None
    axis = draw.parameter % (len(shape) + 1)
    return (("dim", axis),), (*shape[:axis], 1, *shape[axis:])


def _squeeze(shape: Shape, draw: Draw) -> Reshaped:
    axes = [axis for axis, size in enumerate(shape) if size == 1]
    if not axes:
        return None
    axis = axes[draw.parameter % len(axes)]
    return (("dim", axis),), shape[:axis] + shape[axis + 1 :]


def _permute(shape: Shape, draw: Draw) -> Reshaped:
    if len(shape) < 2:
        return None
    turn = 1 + draw.parameter % (len(shape) - 1)
    order = tuple((axis + turn) % len(shape) for axis in range(len(shape)))
    return (("dims", order),), tuple(shape[axis] for axis in order)


def _narrow(shape: Shape, draw: Draw) -> Reshaped:
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    if not axes:
        return None
    axis = axes[draw.parameter % len(axes)]
    start = draw.second % 2
    length = shape[axis] - 1
    params: Params = (("dim", axis), ("start", start), ("length", length))
    return params, (*shape[:axis], length, *shape[axis + 1 :])


def _select(shape: Shape, draw: Draw) -> Reshaped:
    if not shape:
        return None
    axis = draw.parameter % len(shape)
    index = draw.second % shape[axis]
    index -= shape[axis] if draw.fresh % 2 else 0
    return (("dim", axis), ("index", index)), shape[:axis] + shape[axis + 1 :]


def _expand(shape: Shape, _: Draw) -> Reshaped:
    if len(shape) > 2:
        return None
    grown = tuple(2 if size == 1 else size for size in shape)
    size = grown if grown != shape else (2, *shape)
    return (("size", size),), size


_Place = Callable[[Operation, int, Draw, Scene], Union[Placed, None]]  # noqa: UP007
_PLACES: dict[str, _Place] = {
    "unary": _unary,
    "number": _number,
    "binary": _binary,
    "matmul": _matmul,
    "reduce": _reduce,
    "along": _along,
    "shape": _shape,
    "join": _join,
}
_SHAPES: dict[str, Callable[[Shape, Draw], Reshaped]] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "view": _view,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "permute": _permute,
    "narrow": _narrow,
    "select": _select,
    "expand": _expand,
}
