"""A picture of the graph behind a tensor, as SVG. Graphviz draws it: ``pip install pygraphviz``.

Backward runs down the picture: from the tensors drawn, through the nodes, to the leaves. Nodes say
what they saved and at which version; what is stale or freed is marked, and so are hooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from reference_engine.function import FunctionNode
from reference_engine.graph import CONSTANT, AccumulateGrad, Node, OpNode
from reference_engine.inplace import CopySlices
from reference_engine.saved_tensors import Packed
from reference_engine.scope import reachable
from reference_engine.tensor import Tensor

Edge = tuple[Node | None, int]
#: a line of text, after the name of its colour
Row = tuple[str, str]
#: by input of a node, the number of the box that it comes from and as which of its outputs
Inputs = list["tuple[int, int] | None"]


class Box(NamedTuple):
    """What a picture says of a tensor or a node; ``kind`` is the name of its colour."""

    kind: str
    title: str
    outputs: Sequence[str]
    rows: Sequence[Row]
    inputs: Inputs


#: what is drawn in which colour, on light ground and on dark: kinds of boxes, then texts and lines
COLOURS = {
    "op": ("#424a53", "#b1bac4"), "view": ("#8250df", "#a371f7"), "write": ("#bc4c00", "#f0883e"),
    "own": ("#0a7ea4", "#39c5cf"), "leaf": ("#1a7f37", "#3fb950"), "tensor": ("#0969da", "#58a6ff"),
    "plain": ("#1f2328", "#e6edf3"), "soft": ("#656d76", "#8d96a0"), "edge": ("#8c959f", "#6e7681"),
    "stale": ("#cf222e", "#ff7b72"), "paper": ("#ffffff", "#0d1117"),
}  # fmt: skip
_FONT = {"fontname": "Courier", "fontsize": 10}
_NODES = {"shape": "box", "style": "rounded,filled", "height": 0, "margin": "0.08,0.03", **_FONT}
_EDGES = {"color": COLOURS["edge"][0], "arrowsize": 0.6}
#: a node of more outputs says only how many
_SHOWN = 3


def draw(
    tensors: Tensor | Iterable[Tensor], *, names: Mapping[str, Tensor] | None = None,
    max_nodes: int = 400,
) -> str:  # fmt: skip
    """The graph behind one tensor or several, as the text of an SVG image.

    ``names`` are shown with the tensors, e.g. ``dict(model.named_parameters())``. ValueError for a
    graph of more than ``max_nodes`` nodes, ImportError where pygraphviz is not installed.
    """
    try:
        from pygraphviz import AGraph
    except ImportError as error:
        raise ImportError("pictures are drawn by Graphviz; pip install pygraphviz") from error
    boxes = describe(tensors, names=names, max_nodes=max_nodes)
    picture = AGraph(directed=True, strict=False, bgcolor=COLOURS["paper"][0], ranksep=0.35)
    picture.node_attr.update(_NODES)
    picture.edge_attr.update(_EDGES)
    for number, box in enumerate(boxes):
        picture.add_node(number, **_attributes(box))
    for number, box in enumerate(boxes):
        for place, source in enumerate(box.inputs):
            if source is not None:
                ends = {"headport": f"{source[1]}:n"} if len(boxes[source[0]].outputs) > 1 else {}
                ends |= {"tailport": f"in{place}:s"} if len(box.inputs) > 1 else {}
                picture.add_edge(number, source[0], **ends)
    text = picture.draw(format="svg", prog="dot").decode()
    size, _, drawn = text[text.index("<svg") + 4 :].partition(">")
    return f'<svg class="autograd-graph" role="img"{size}>{_style()}{drawn}'


def describe(
    tensors: Tensor | Iterable[Tensor], *, names: Mapping[str, Tensor] | None = None,
    max_nodes: int = 400,
) -> list[Box]:  # fmt: skip
    """What :func:`draw` draws, for whoever draws it differently: the tensors, then the nodes."""
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    known = {id(x): name for name, x in (names or {}).items()}
    named = {x._edge(): name for name, x in (names or {}).items() if x.requires_grad}
    starts = [x._edge() for x in roots]
    nodes = list(reachable([node for node, _ in starts if node is not None]))
    if len(nodes) > max_nodes:
        raise ValueError(
            f"the graph has {len(nodes)} nodes, more than max_nodes={max_nodes}; draw a tensor "
            "nearer to the leaves, or pass a larger max_nodes"
        )
    numbers = {node: number for number, node in enumerate(nodes, len(roots))}

    def inputs(edges: Iterable[Edge]) -> Inputs:
        return [None if node is None else (numbers[node], nr) for node, nr in edges]

    pairs = zip(roots, starts, strict=True)
    boxes = [_of_tensor(x, known.get(id(x), "output"), inputs([edge])) for x, edge in pairs]
    return boxes + [_of_node(node, named, inputs(node.next_functions)) for node in nodes]


def _style() -> str:
    """What the image looks like on dark ground, and which fonts it wants."""
    ours = ".autograd-graph"
    dark = "".join(
        f'{ours} [{what}="{light}"]{{{what}:{dark}}}'
        for light, dark in COLOURS.values()
        for what in ("fill", "stroke")
    )
    font = "ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    return (
        f"<title>autograd graph</title><style>{ours} text{{font-family:{font}}}"
        f"@media (prefers-color-scheme:dark){{{dark}}}</style>"
    )


def save(
    tensors: Tensor | Iterable[Tensor], path: str | PathLike[str], *,
    names: Mapping[str, Tensor] | None = None, max_nodes: int = 400,
) -> None:  # fmt: skip
    """Writes what :func:`draw` gives to a file."""
    Path(path).write_text(draw(tensors, names=names, max_nodes=max_nodes), encoding="utf-8")


# what a box says ----------------------------------------------------------------------------------
def _attributes(box: Box) -> dict[str, str]:
    """The attributes that Graphviz draws a box by: what it computed or is, lines of text, and which
    of several inputs lead on.
    """
    kind, title, outputs, rows, edges = box
    head = f'<TD ALIGN="LEFT"><B>{_text(kind, title)}</B></TD><TD WIDTH="9"></TD>'
    for nr, output in enumerate(outputs):
        head += f'<TD ALIGN="RIGHT" PORT="{nr}">{_text("soft", output)}</TD>'
    line = f'<TD ALIGN="LEFT" COLSPAN="{2 + len(outputs)}">'
    cells = [head, *(f"{line}{_text(*row)}</TD>" for row in rows)]
    inputs = [place for place, edge in enumerate(edges) if edge and len(edges) > 1]
    if inputs:
        ports = (f'<TD PORT="in{n}" WIDTH="24">{_text("soft", str(n))}</TD>' for n in inputs)
        cells.append(line.replace("LEFT", "CENTER") + _table("".join(ports)) + "</TD>")
    colour = COLOURS[kind][0]
    return {"label": f"<{_table(*cells)}>", "color": colour + "99", "fillcolor": colour + "17"}


def _table(*rows: str) -> str:
    lines = "".join(f"<TR>{cells}</TR>" for cells in rows)
    return f'<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{lines}</TABLE>'


def _text(colour: str, text: str) -> str:
    return f'<FONT COLOR="{COLOURS[colour][0]}">{escape(text) or " "}</FONT>'


def _of_tensor(x: Tensor, name: str, inputs: Inputs) -> Box:
    flags = "requires_grad" if x.requires_grad else "requires no grad"
    rows = [("soft", flags + ", retains_grad" * x.retains_grad)]
    return Box("tensor", name, [str(list(x.shape))], rows, inputs)


def _of_node(node: Node, names: Mapping[Edge, str], inputs: Inputs) -> Box:
    if isinstance(node, AccumulateGrad):
        x = node.variable
        flags = "requires_grad" if x.requires_grad else "requires no grad"
        flags += ", no grad yet" if x._extras().grad is None else ", has grad"
        flags += "" if x.is_inference() else f", v{x._version}"
        title, rows = names.get((node, 0), "leaf"), [("soft", flags), *_hooks(node)]
        return Box("leaf", title, [str(list(x.shape))], rows, inputs)
    outputs = [
        f"{names.get((node, nr), '')} {list(shape)}".strip()
        for nr, (shape, _) in enumerate(node.metas)
    ]
    if len(outputs) > _SHOWN:
        outputs = [f"{len(outputs)} outputs"]
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
    return Box(kind, node.name(), outputs, rows + _hooks(node), inputs)


def _hooks(node: Node) -> list[Row]:
    """The numbers of hooks, and the gradients that are retained."""
    hooks = node.hooks
    if hooks is None:
        return []
    tensor = sum(map(len, hooks.output.values()))
    counts = {"tensor": tensor, "pre": len(hooks.pre), "post": len(hooks.post)}
    if isinstance(node, AccumulateGrad):
        counts["post-accumulate"] = len(node.variable._rare.accumulated)
    found = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    rows = [("write", f"hooks: {found}")] if found else []
    kept = [x for x in (held() for held in hooks.retained.values()) if x is not None]
    return rows + [("write", f"retain_grad{', has grad' * (x.grad is not None)}") for x in kept]


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
        return [("soft", f"saved {name}, freed") for name in names]
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


__all__ = ["Box", "describe", "draw", "save"]
