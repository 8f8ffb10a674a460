"""A picture of the graph behind a tensor, as SVG.

Backward runs down the picture: from the tensors drawn, through the nodes, to the leaves. Nodes say
what they saved and at which version; what is stale or freed is marked, and so are hooks.

The layout is that of Sugiyama, Tagawa & Toda 1981, "Methods for visual understanding of
hierarchical system structures": ranks by longest path, order within a rank by barycentres.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

from reference_engine.function import FunctionNode
from reference_engine.graph import CONSTANT, AccumulateGrad, Node, OpNode
from reference_engine.inplace import CopySlices
from reference_engine.saved_tensors import Packed
from reference_engine.scope import reachable
from reference_engine.tensor import Tensor

Edge = tuple[Node | None, int]
#: a line of text, after its class
Row = tuple[str, str]

_CHARACTER, _LINE, _HEAD, _GAP, _RANK_GAP, _MARGIN = 6.65, 16.0, 25.0, 22.0, 42.0, 24.0
_STYLE = """
.autograd-graph { --paper: #fff; --ink: #1f2328; --soft: #656d76; --edge: #8c959f; --op: #424a53;
  --view: #8250df; --write: #bc4c00; --own: #0a7ea4; --leaf: #1a7f37; --tensor: #0969da;
  --bad: #cf222e; font: 11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }
@media (prefers-color-scheme: dark) { .autograd-graph { --paper: #0d1117; --ink: #e6edf3;
  --soft: #8d96a0; --edge: #6e7681; --op: #b1bac4; --view: #a371f7; --write: #f0883e;
  --own: #39c5cf; --leaf: #3fb950; --tensor: #58a6ff; --bad: #ff7b72 } }
.autograd-graph :is(.head, .box) { fill: var(--kind); font-weight: 600 }
.autograd-graph .box { fill-opacity: .09; stroke: var(--kind); stroke-opacity: .6 }
.autograd-graph .paper { fill: var(--paper) } .autograd-graph .plain { fill: var(--ink) }
.autograd-graph :is(.soft, .freed) { fill: var(--soft) } .autograd-graph .end { text-anchor: end }
.autograd-graph .freed { font-style: italic }
.autograd-graph .stale { fill: var(--bad); font-weight: 600 }
.autograd-graph .hook { fill: var(--write) } .autograd-graph .tip { fill: var(--edge) }
.autograd-graph .edge { fill: none; stroke: var(--edge); stroke-width: 1.25 }
"""


@dataclass(eq=False, slots=True)
class _Box:
    """What stands for a node or a tensor; or, of no kind, a bend of an edge that passes a rank."""

    rank: int
    kind: str = ""
    title: str = ""
    aside: str = ""
    rows: list[Row] = field(default_factory=list)
    outputs: int = 1
    #: middle, and top
    x: float = 0.0
    y: float = 0.0
    #: neighbours, each with its distance from where my middle makes the edge straight
    above: list[tuple[_Box, float]] = field(default_factory=list)
    below: list[tuple[_Box, float]] = field(default_factory=list)

    @property
    def width(self) -> float:
        texts = [f"{self.title}  {self.aside}", *(text for _, text in self.rows)]
        return max(map(len, texts)) * _CHARACTER + 22 if self.kind else 6.0

    @property
    def height(self) -> float:
        return _HEAD + _LINE * len(self.rows) + 4 * bool(self.rows) if self.kind else 0.0

    def port(self, place: int, places: int) -> float:
        """Where an edge begins or ends, from the middle."""
        return ((place + 1) / (places + 1) - 0.5) * self.width


def draw(
    tensors: Tensor | Iterable[Tensor], *, names: Mapping[str, Tensor] | None = None,
    max_nodes: int = 400,
) -> str:  # fmt: skip
    """The graph behind one tensor or several, as the text of an SVG image.

    ``names`` are shown with the tensors, e.g. ``dict(model.named_parameters())``. ValueError for a
    graph of more than ``max_nodes`` nodes.
    """
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    known = {id(x): name for name, x in (names or {}).items()}
    named = {x._edge(): name for name, x in (names or {}).items() if x.requires_grad}
    nodes = _nodes([x._edge()[0] for x in roots])
    if len(nodes) > max_nodes:
        raise ValueError(
            f"the graph has {len(nodes)} nodes, more than max_nodes={max_nodes}; draw a tensor "
            "nearer to the leaves, or pass a larger max_nodes"
        )
    boxes = {node: _of_node(node, named) for node in nodes}
    for node in nodes:  # those that lead to it have been there
        for parent in filter(None, node.next):
            boxes[parent].rank = max(boxes[parent].rank, boxes[node].rank + 1)
    starts = [(_of_tensor(x, known.get(id(x), "output")), (x._edge(),)) for x in roots]
    picture = _Picture(boxes, [top for top, _ in starts])
    for source, edges in [*starts, *((boxes[node], node.next_functions) for node in nodes)]:
        for place, (target, nr) in enumerate(edges):
            if target is not None:
                picture.connect(source, place, len(edges), target, nr)
    picture.arrange()
    return picture.svg()


def save(
    tensors: Tensor | Iterable[Tensor], path: str | PathLike[str], *,
    names: Mapping[str, Tensor] | None = None, max_nodes: int = 400,
) -> None:  # fmt: skip
    """Writes what :func:`draw` gives to a file."""
    Path(path).write_text(draw(tensors, names=names, max_nodes=max_nodes), encoding="utf-8")


def _nodes(roots: Iterable[Node | None]) -> list[Node]:
    """All nodes that can be reached, each after those that lead to it."""
    counts = reachable([node for node in roots if node is not None])
    order = [node for node, n in counts.items() if not n]
    for node in order:  # which grows
        for parent in filter(None, node.next):
            counts[parent] -= 1
            if not counts[parent]:
                order.append(parent)
    return order


# what a box says ----------------------------------------------------------------------------------
def _of_tensor(x: Tensor, name: str) -> _Box:
    flags = "requires_grad" if x.requires_grad else "requires no grad"
    rows = [("soft", flags + ", retains_grad" * x.retains_grad)]
    return _Box(0, "tensor", name, str(list(x.shape)), rows)


def _of_node(node: Node, names: Mapping[Edge, str]) -> _Box:
    n = len(node.metas)
    outputs = [f"{names.get((node, i), '')} {list(node.metas[i][0])}".strip() for i in range(n)]
    aside = ", ".join(outputs) if n < 4 else f"{n} outputs"
    if isinstance(node, AccumulateGrad):
        x = node.variable
        flags = ["requires_grad" if x.requires_grad else "requires no grad"]
        flags += ["no grad yet" if x._extras().grad is None else "has grad"]
        flags += [] if x.is_inference() else [f"v{x._version}"]
        rows = [("soft", ", ".join(flags)), *_hooks(node)]
        return _Box(1, "leaf", names.get((node, 0), "leaf"), str(list(x.shape)), rows)
    inner, kind, rows = node, "op", []
    if isinstance(node, CopySlices):
        through = ", ".join(op.name for op, _, _ in node._chain)
        inner, kind = node.inner, "write"
        rows = [("soft", f"{inner.name()} written through {through}")]
    elif isinstance(node, FunctionNode):
        kind = "own"
    elif isinstance(node, OpNode) and node._plan.op.view:
        kind = "view"
    if isinstance(inner, (OpNode, FunctionNode)):
        rows += _saved(inner)
    return _Box(1, kind, node.name(), aside, rows + _hooks(node), n)


def _hooks(node: Node) -> list[Row]:
    """The numbers of hooks, and the gradients that are retained."""
    if node.hooks is None:
        return []
    counts = {
        "tensor": sum(map(len, node.hooks.output.values())), "pre": len(node.hooks.pre),
        "post": len(node.hooks.post),
    }  # fmt: skip
    if isinstance(node, AccumulateGrad):
        counts["post-accumulate"] = len(node.variable._rare.accumulated)
    found = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    rows = [("hook", f"hooks: {found}")] if found else []
    kept = [x for x in (held() for held in node.hooks.retained.values()) if x is not None]
    return rows + [("hook", f"retain_grad{', has grad' * (x.grad is not None)}") for x in kept]


def _saved(node: OpNode | FunctionNode) -> list[Row]:
    """A line for each saved value."""
    held: Any = node._saved
    flat = held._saved if isinstance(held, Packed) else held or ()
    if isinstance(node, FunctionNode):
        names = [f"saved_tensors[{i}]" for i in range(len(flat) // 3)] or ["saved_tensors"]
    else:
        inputs = [name.lstrip("*") for name in node._plan.op.inputs]
        outputs = ["result" if name == "y" else name for name in node._plan.outputs]
        names = [[*inputs, *outputs][source] for source in node._plan.sources]
    if held is None:
        return [("freed", f"saved {name}, freed") for name in names]
    rows = []
    for name, value, storage, then in zip(names, flat[::3], flat[1::3], flat[2::3], strict=False):
        if storage is True:
            rows.append(("soft", f"saved {name}, packed by a hook"))
        elif storage is CONSTANT:
            rows.append(("plain", f"saved {name} = {value}"))
        elif value is not None:
            text, now = f"saved {name} {list(value.shape)} v{int(then)}", storage.version
            rows.append(("stale", f"{text}, now v{int(now)}") if now != then else ("plain", text))
    return rows


# where it stands ----------------------------------------------------------------------------------
class _Picture:
    """Boxes, and edges that go from rank to rank. Edges to one place share their bends."""

    def __init__(self, boxes: Mapping[Node, _Box], tops: Sequence[_Box]) -> None:
        self._boxes = boxes
        self._bends: dict[tuple[Node, int, int], _Box] = {}
        #: (from, distance from its middle, to, likewise) → number of the input, shown at the start
        self._segments: dict[tuple[_Box, float, _Box, float], int | None] = {}
        last = max((box.rank for box in boxes.values()), default=0)
        self._ranks: list[list[_Box]] = [[] for _ in range(last + 1)]
        for box in [*tops, *boxes.values()]:
            self._ranks[box.rank].append(box)

    def connect(self, source: _Box, place: int, places: int, node: Node, nr: int) -> None:
        """Draws the edge from an input of a box, of so many, to an output of a node."""
        target, number = self._boxes[node], place if places > 1 else None
        at, end = source.port(place, places), target.port(nr, target.outputs)
        while source is not target and (source.kind or not source.below):
            step, to, rank = target, end, source.rank + 1
            if rank < target.rank:
                if (node, nr, rank) not in self._bends:
                    self._ranks[rank].append(self._bends.setdefault((node, nr, rank), _Box(rank)))
                step, to = self._bends[node, nr, rank], 0.0
            self._segments[source, at, step, to] = number
            source.below.append((step, to - at))
            step.above.append((source, at - to))
            source, at, number = step, 0.0, None

    def arrange(self) -> None:
        """Orders each rank so that few edges cross, then moves boxes until edges are nearly
        straight.
        """
        for turn in range(40):
            down, ordering = turn % 2 == 0, turn < 12
            for rank in self._ranks if down else reversed(self._ranks):
                for box in rank:
                    both = box.above + box.below
                    near = both if not ordering else box.above if down else box.below
                    if near:
                        box.x = sum(other.x + d for other, d in near) / len(near)
                if ordering:
                    rank.sort(key=lambda box: box.x)
                _spread(rank)
        y = _MARGIN
        edges = (box.x - box.width / 2 for rank in self._ranks for box in rank)
        left = min(edges, default=0.0) - _MARGIN
        for rank in self._ranks:
            for box in rank:
                box.x, box.y = box.x - left, y
            y += max((box.height for box in rank), default=0.0) + _RANK_GAP

    def svg(self) -> str:
        """The image."""
        boxes = [box for rank in self._ranks for box in rank if box.kind]
        floors = [max((box.y + box.height for box in rank), default=0.0) for rank in self._ranks]
        right = max((box.x + box.width / 2 for box in boxes), default=0.0) + _MARGIN
        size = f'width="{right:.0f}" height="{floors[-1] + _MARGIN:.0f}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="autograd-graph" role="img" {size}>'
            f"<title>autograd graph</title><style>{_STYLE}</style>"
            f'<rect class="paper" {size} rx="8"/>'
        ]
        for (a, at, b, to), number in self._segments.items():
            x, end, floor, bottom = a.x + at, b.x + to, floors[a.rank], a.y + a.height
            half = (floor + b.y) / 2
            curve = f"C{x:.1f} {half:.1f} {end:.1f} {half:.1f} {end:.1f} {b.y:.1f}"
            parts.append(f'<path class="edge" d="M{x:.1f} {bottom:.1f}V{floor:.1f}{curve}"/>')
            if number is not None:
                beside = x + (4 if end < x + 1 else -10)
                parts.append(_text("soft", beside, bottom + 11, str(number)))
            if b.kind:
                parts.append(f'<path class="tip" d="M{end:.1f} {b.y:.1f}l-3.5 -7h7z"/>')
        return "\n".join([*parts, *map(_drawn, boxes), "</svg>\n"])


def _spread(rank: Sequence[_Box]) -> None:
    """Moves boxes apart that are nearer than the gap, to either side alike."""
    before = sum(box.x for box in rank)
    for a, b in pairwise(rank):
        b.x = max(b.x, a.x + (a.width + b.width) / 2 + _GAP)
    shift = (sum(box.x for box in rank) - before) / max(1, len(rank))
    for box in rank:
        box.x -= shift


def _drawn(box: _Box) -> str:
    left, right, y = box.x - box.width / 2, box.x + box.width / 2, box.y + 16.5
    lines = [_text("head", left + 10, y, box.title), _text("soft end", right - 10, y, box.aside)]
    for place, (kind, text) in enumerate(box.rows, 1):
        lines.append(_text(kind, left + 10, y + place * _LINE, text))
    return (
        f'<g style="--kind: var(--{box.kind})"><rect class="box" x="{left:.1f}" y="{box.y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="6"/>{"".join(lines)}</g>'
    )


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


__all__ = ["draw", "save"]
