"""Pictures of graphs: well-formed, complete, and true to the state of what they show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import reference_engine as torch
from reference_engine import viz
from tests.reference_engine.pictures import Picture


def _leaf(*values: float) -> Any:
    return torch.tensor(list(values), requires_grad=True)


def test_every_node_is_drawn_once_and_joined_to_its_inputs() -> None:
    x, w = _leaf(1.0, 2.0), _leaf(3.0, 4.0)
    y = (x.sin() * w).sum()
    picture = Picture(viz.draw(y, names={"x": x, "w": w, "loss": y}))
    assert sorted(picture.titles) == [
        "MulBackward0", "SinBackward0", "SumBackward0", "loss", "w", "x",
    ]  # fmt: skip
    assert picture.edges() == [
        ("MulBackward0", "SinBackward0"), ("MulBackward0", "w"), ("SinBackward0", "x"),
        ("SumBackward0", "MulBackward0"), ("loss", "SumBackward0"),
    ]  # fmt: skip


def test_an_input_used_twice_has_two_numbered_edges() -> None:
    x = _leaf(1.0, 2.0)
    picture = Picture(viz.draw(x * x))
    assert sorted(picture.titles) == ["MulBackward0", "leaf", "output"]
    assert picture.edges() == [("MulBackward0", "leaf")] * 2 + [("output", "MulBackward0")]
    assert picture.inputs[picture.titles.index("MulBackward0")] == [0, 1]
    assert [0] in Picture(viz.draw(x * torch.ones(2))).inputs  # the other leads nowhere


def test_edges_leave_from_the_number_of_their_input_and_arrive_at_their_output() -> None:
    a, b = torch.ones(1000, requires_grad=True).split(700)
    picture = Picture(viz.draw(b.sum() * a.sum()))
    leaving = [x for (source, _), (x, _) in picture.curves() if source == "MulBackward0"]
    assert leaving == pytest.approx(picture.places("0") + picture.places("1"), abs=6)
    arriving = [x for (_, target), (_, x) in picture.curves() if target == "SplitBackward0"]
    outputs = picture.places("[300]") + picture.places("[700]")
    assert arriving == pytest.approx(outputs, abs=20)
    assert abs(outputs[0] - outputs[1]) > 20


def test_saved_values_show_the_version_and_whether_it_is_stale() -> None:
    x, w = _leaf(1.0, 2.0), _leaf(3.0, 4.0)
    y = x * w
    assert Picture(viz.draw(y)).colours("saved other [2] v0") == ["plain"]
    with torch.no_grad():
        w.mul_(2.0)
    picture = Picture(viz.draw(y))
    assert picture.colours("saved other [2] v0, now v1") == ["stale"]
    assert picture.colours("saved x [2] v0") == ["plain"]


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
    picture = Picture(viz.draw(chain[2_000], max_nodes=20_000))
    assert picture.titles.count("AddBackward0") == 2_000


def test_a_picture_follows_light_and_dark_and_is_saved(tmp_path: Path) -> None:
    x = _leaf(1.0)
    viz.save(x * 2.0, tmp_path / "graph.svg", names={"x": x})
    text = (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert text == viz.draw(x * 2.0, names={"x": x})
    light, dark = viz.COLOURS["leaf"]
    assert f'[fill="{light}"]{{fill:{dark}}}' in text.partition("prefers-color-scheme:dark")[2]
    assert f'fill="{light}"' in text.partition("</style>")[2]


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(ImportError, match="pip install pygraphviz"):
        viz.draw(_leaf(1.0))


def test_a_picture_of_nothing_is_empty() -> None:
    assert Picture(viz.draw([])).boxes == []


def test_hooks_of_a_leaf_s_node_are_shown() -> None:
    x = _leaf(1.0)
    y = x * 2.0
    (((accumulate, _), _),) = [y.grad_fn.next_functions]
    accumulate.register_prehook(lambda grads: None)
    assert Picture(viz.draw(y)).box("leaf")[-1] == "hooks: 1 pre"
