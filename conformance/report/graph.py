"""Pictures of graphs: where the boxes that a ledger holds stand, and how the lines between them go.

Layers from top to bottom, as far as each box is from the tensors that the graph is behind; within a
layer the boxes stand in the order of what they come from (Sugiyama, Tagawa, Toda 1981,
https://doi.org/10.1109/TSMC.1981.4308636). Lines that pass a layer have a place of their own there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.program import Json

KINDS = ("op", "view", "write", "own", "leaf", "tensor", "plain", "soft", "stale")
"""Names of colours: of boxes, then of lines of text."""
MOST = 60
"""Boxes beyond which a picture shows nothing."""
_CHARACTER, _LINE, _PAD = 6.35, 15.0, 8.0
_APART, _BELOW, _LANE = 20.0, 30.0, 8.0
_LONGEST = 64
"""Characters of a line that are shown."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text within a box; `end`: it stands at the right, its last character at x."""

    x: float
    y: float
    kind: str
    text: str
    end: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A tensor or a node, in pixels from the picture's upper left corner."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph drawn: boxes, lines as SVG paths, and the tips of their arrows."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    tips: tuple[str, ...]


def picture(graph: Sequence[Mapping[str, Json]]) -> Picture | None:
    """Return the picture of a violation's graph.

    None where there is none, where it is damaged, and where it has more than MOST boxes.
    """
    if not 0 < len(graph) <= MOST or not all(isinstance(box, Mapping) for box in graph):
        return None
    try:
        return _Layout([_Node(box) for box in graph]).picture()
    except (KeyError, TypeError, ValueError, IndexError):
        return None


class _Node:
    """A box to be placed, or a lane (without one) in which a line passes a layer."""

    def __init__(self, box: Mapping[str, Any] | None = None) -> None:
        self.x = self.y = 0.0
        self.layer = 0
        self.width, self.height = _LANE, 0.0
        self.kind, self.title, self.outputs, self.rows = "", "", list[str](), list[Any]()
        self.inputs: list[Any] = []
        if box is None:
            return
        self.kind, self.title = _known(box["kind"]), _short(box["title"])
        self.outputs = [_short(text) for text in box["outputs"]]
        self.rows = [(_known(kind), _short(text)) for kind, text in box["rows"]]
        self.inputs = list(box["inputs"])
        head = f"{self.title}  {'  '.join(self.outputs)}"
        longest = max(map(len, (head, *(text for _, text in self.rows))))
        self.width = 2 * _PAD + longest * _CHARACTER
        self.height = _PAD + _LINE * (1 + len(self.rows))

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def leaving(self, place: int) -> tuple[float, float]:
        """Where the line of an input leaves."""
        return self.x + self.width * (place + 1) / (len(self.inputs) + 1), self.y + self.height

    def arriving(self, nr: int) -> tuple[float, float]:
        """Where the lines to an output arrive."""
        known = nr if nr < len(self.outputs) else 0
        return self.x + self.width * (known + 1) / (len(self.outputs) + 1), self.y

    def drawn(self) -> Box:
        y = self.y + _PAD / 2 + _LINE * 0.72
        texts = [Text(self.x + _PAD, y, "title", self.title)]
        if self.outputs:
            end = self.x + self.width - _PAD
            texts.append(Text(end, y, "soft", "  ".join(self.outputs), end=True))
        for number, (kind, text) in enumerate(self.rows, 1):
            texts.append(Text(self.x + _PAD, y + number * _LINE, kind, text))
        return Box(self.kind, self.x, self.y, self.width, self.height, tuple(texts))


class _Layout:
    """Boxes in layers, and the lines between them."""

    def __init__(self, nodes: list[_Node]) -> None:
        self.nodes = nodes
        self.edges = [
            (node, place, nodes[edge[0]], int(edge[1]))
            for node in nodes
            for place, edge in enumerate(node.inputs)
            if edge is not None
        ]
        for _ in nodes:  # a path has no more edges than there are nodes
            for source, _place, target, _nr in self.edges:
                target.layer = max(target.layer, source.layer + 1)
        if any(node.layer >= len(nodes) for node in nodes):
            raise ValueError("the boxes lead in a circle")
        self.layers: list[list[_Node]] = [[] for _ in range(1 + max(n.layer for n in nodes))]
        for node in nodes:
            self.layers[node.layer].append(node)
        self.above: dict[_Node, list[_Node]] = {node: [] for node in nodes}
        self.chains = [self._chain(source, target) for source, _, target, _ in self.edges]

    def _chain(self, source: _Node, target: _Node) -> list[_Node]:
        """The lanes of a line in the layers between its ends."""
        chain = [_Node() for _ in range(source.layer + 1, target.layer)]
        for layer, lane in enumerate(chain, source.layer + 1):
            self.layers[layer].append(lane)
        for upper, lower in zip([source, *chain], [*chain, target], strict=True):
            self.above.setdefault(lower, []).append(upper)
        return chain

    def picture(self) -> Picture:
        y = 1.0
        for layer in self.layers:
            layer.sort(key=self._wish)  # stable: of equals the first met stays first
            width = sum(node.width for node in layer) + _APART * (len(layer) - 1)
            x = -width / 2
            tall = max(node.height for node in layer)
            for node in layer:
                node.x, node.y = x, y
                node.height = node.height or tall  # a lane is as tall as its layer
                x += node.width + _APART
            y += tall + _BELOW
        left = min(node.x for layer in self.layers for node in layer) - 1
        for layer in self.layers:
            for node in layer:
                node.x = round(node.x - left, 1)
        width = max(node.x + node.width for layer in self.layers for node in layer) + 1
        pairs = zip(self.edges, self.chains, strict=True)
        lines = [self._line(*edge, chain) for edge, chain in pairs]
        tips = [_tip(*target.arriving(nr)) for _, _, target, nr in self.edges]
        boxes = tuple(node.drawn() for node in self.nodes)
        return Picture(width, y - _BELOW + 1, boxes, tuple(lines), tuple(tips))

    def _wish(self, node: _Node) -> float:
        above = self.above[node]
        return sum(upper.middle for upper in above) / len(above) if above else 0.0

    def _line(
        self, source: _Node, place: int, target: _Node, nr: int, chain: Sequence[_Node]
    ) -> str:
        x, y = source.leaving(place)
        path = f"M{x:.1f} {y:.1f}"
        for lane in chain:
            path += _curve(y, x, lane.middle, lane.y) + f"V{lane.y + lane.height:.1f}"
            x, y = lane.middle, lane.y + lane.height
        end, top = target.arriving(nr)
        return path + _curve(y, x, end, top - 5)


def _curve(y: float, x: float, end: float, below: float) -> str:
    """From (x, y) to (end, below), upright at both ends."""
    half = (y + below) / 2
    return f"C{x:.1f} {half:.1f} {end:.1f} {half:.1f} {end:.1f} {below:.1f}"


def _tip(x: float, y: float) -> str:
    return f"M{x - 3:.1f} {y - 6:.1f}h6l-3 6z"


def _known(kind: object) -> str:
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of box or text")
    return str(kind)


def _short(text: object) -> str:
    found = str(text)
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"
