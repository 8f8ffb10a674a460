"""Pictures of graphs: well-formed, complete, and true to the state of what they show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import reference_engine as torch
from reference_engine import viz

_SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """An SVG read back: boxes with their lines of text, and edges between them."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        self.boxes = [
            ["".join(line.itertext()) for line in group.iter(_SVG + "text")]
            for group in self.root.iter(_SVG + "g")
        ]
        self.titles = [lines[0] for lines in self.boxes]
        self.frames = [_frame(group) for group in self.root.iter(_SVG + "g")]

    def box(self, title: str) -> list[str]:
        (found,) = [lines for lines in self.boxes if lines[0] == title]
        return found

    def classes(self, text: str) -> list[str | None]:
        return [t.get("class") for t in self.root.iter(_SVG + "text") if t.text == text]

    def edges(self) -> set[tuple[str, str]]:
        """Titles at both ends, of edges that go from one rank to the next."""
        found = set()
        for path in self.root.iter(_SVG + "path"):
            if path.get("class") == "edge":
                numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d", ""))]
                found.add((self._at(*numbers[:2]), self._at(*numbers[-2:])))
        return found

    def _at(self, x: float, y: float) -> str:
        for title, (left, top, width, height) in zip(self.titles, self.frames, strict=True):
            if left <= x <= left + width and min(abs(y - top), abs(y - top - height)) < 0.2:
                return title
        return "bend"


def _frame(group: ElementTree.Element) -> tuple[float, float, float, float]:
    box = group.find(_SVG + "rect")
    assert box is not None
    x, y, width, height = (float(box.get(k, "nan")) for k in ("x", "y", "width", "height"))
    return x, y, width, height


def _leaf(*values: float) -> Any:
    return torch.tensor(list(values), requires_grad=True)


def test_every_node_is_drawn_once_and_joined_to_its_inputs() -> None:
    x, w = _leaf(1.0, 2.0), _leaf(3.0, 4.0)
    y = (x.sin() * w).sum()
    picture = Picture(viz.draw(y, names={"x": x, "w": w, "loss": y}))
    assert sorted(picture.titles) == [
        "MulBackward0", "SinBackward0", "SumBackward0", "loss", "w", "x",
    ]  # fmt: skip
    assert picture.edges() == {
        ("loss", "SumBackward0"), ("SumBackward0", "MulBackward0"),
        ("MulBackward0", "SinBackward0"), ("MulBackward0", "w"), ("SinBackward0", "x"),
    }  # fmt: skip


def test_an_input_used_twice_has_two_numbered_edges() -> None:
    x = _leaf(1.0, 2.0)
    text = viz.draw(x * x)
    picture = Picture(text)
    assert picture.titles.count("leaf") == 1
    assert picture.classes("0") == picture.classes("1") == ["soft"]
    assert text.count('class="edge"') == 3


def test_a_long_edge_bends_round_the_boxes_between() -> None:
    x = _leaf(1.0)
    picture = Picture(viz.draw(x.sin().cos().tanh() * x))
    assert ("bend", "bend") in picture.edges()
    assert ("bend", "leaf") in picture.edges()
    for a in range(len(picture.frames)):
        for b in range(a):
            assert _apart(picture.frames[a], picture.frames[b])


def _apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return (
        a[0] + a[2] < b[0] or b[0] + b[2] < a[0] or a[1] + a[3] < b[1] or b[1] + b[3] < a[1]
    )  # fmt: skip


def test_saved_values_show_the_version_and_whether_it_is_stale() -> None:
    x, w = _leaf(1.0, 2.0), _leaf(3.0, 4.0)
    y = x * w
    assert Picture(viz.draw(y)).classes("saved other [2] v0") == ["plain"]
    with torch.no_grad():
        w.mul_(2.0)
    picture = Picture(viz.draw(y))
    assert picture.classes("saved other [2] v0, now v1") == ["stale"]
    assert picture.classes("saved x [2] v0") == ["plain"]


def test_freed_values_are_shown_as_freed() -> None:
    x = _leaf(1.0, 2.0)
    y = x.exp().sum()
    y.backward()
    picture = Picture(viz.draw(y, names={"x": x}))
    assert picture.box("ExpBackward0")[2:] == ["saved result, freed"]
    assert picture.box("x")[2:] == ["requires_grad, has grad, v0"]


def test_hooks_and_retained_gradients_are_marked() -> None:
    x = _leaf(1.0, 2.0)
    y = x * 2.0
    y.retain_grad()
    y.register_hook(lambda grad: None)
    y.grad_fn.register_prehook(lambda grads: None)
    x.register_hook(lambda grad: None)
    x.register_post_accumulate_grad_hook(lambda leaf: None)
    picture = Picture(viz.draw(y))
    assert picture.box("MulBackward0")[3:] == ["hooks: 1 tensor, 1 pre", "retain_grad"]
    assert picture.box("leaf")[2:] == [
        "requires_grad, no grad yet, v0", "hooks: 1 tensor, 1 post-accumulate",
    ]  # fmt: skip
    assert picture.box("output")[2:] == ["requires_grad, retains_grad"]


def test_a_write_through_a_view_shows_what_was_written() -> None:
    x = _leaf(1.0, 2.0)
    y = x * 1.0
    y[0].mul_(3.0)
    picture = Picture(viz.draw(y))
    assert picture.box("CopySlices")[2:] == [
        "MulBackward0 written through select", "saved other = 3.0",
    ]  # fmt: skip


def test_custom_functions_packed_values_and_text_that_looks_like_xml() -> None:
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0

    x = _leaf(1.0)
    y = Scale.apply(x)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        z = y.exp()
    picture = Picture(viz.draw(z, names={"<a & b>": x}))
    assert picture.box("ScaleBackward")[2:] == ["saved saved_tensors[0] [1] v0"]
    assert picture.box("ExpBackward0")[2:] == ["saved result, packed by a hook"]
    assert "<a & b>" in picture.titles


def test_several_tensors_and_one_without_a_graph() -> None:
    x = _leaf(1.0, 2.0)
    a, b = x.split(1)
    picture = Picture(viz.draw([a, b, x, torch.ones(3)], names={"b": b}))
    assert picture.titles.count("SplitBackward0") == 1
    assert sorted(picture.titles) == ["SplitBackward0", "b", "leaf", "output", "output", "output"]
    assert Picture(viz.draw(torch.ones(2))).boxes == [["output", "[2]", "requires no grad"]]


def test_a_long_chain_is_refused_by_its_number_or_drawn_without_recursion() -> None:
    chain = [_leaf(1.0)]
    for _ in range(10_000):
        chain.append(chain[-1] + 1.0)
    with pytest.raises(ValueError, match=r"10001 nodes.*max_nodes=400"):
        viz.draw(chain[-1])
    assert viz.draw(chain[2_000], max_nodes=20_000).count("AddBackward0") == 2_000


def test_a_picture_follows_light_and_dark_and_is_saved(tmp_path: Path) -> None:
    x = _leaf(1.0)
    viz.save(x * 2.0, tmp_path / "graph.svg", names={"x": x})
    text = (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert text == viz.draw(x * 2.0, names={"x": x})
    assert "prefers-color-scheme: dark" in text


def test_a_picture_of_nothing_is_empty() -> None:
    assert Picture(viz.draw([])).boxes == []


def test_hooks_of_a_leaf_s_node_are_shown() -> None:
    x = _leaf(1.0)
    y = x * 2.0
    (((accumulate, _), _),) = [y.grad_fn.next_functions]
    accumulate.register_prehook(lambda grads: None)
    assert Picture(viz.draw(y)).box("leaf")[-1] == "hooks: 1 pre"
