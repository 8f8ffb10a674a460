"""Nodes and gradient edges: what the graph shows, and runs that start or end at an edge."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, node_names


def test_nodes_have_names_and_parents_in_the_order_of_inputs(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    z = (x.sin() * y).sum()
    assert node_names(z) == [
        "SumBackward0", "MulBackward0", "SinBackward0", "AccumulateGrad", "AccumulateGrad",
    ]  # fmt: skip
    (product, nr), *_ = z.grad_fn.next_functions
    assert (product.name(), nr) == ("MulBackward0", 0)


def test_an_untracked_input_leaves_a_gap_among_the_parents(torch: Any) -> None:
    y = torch.ones(2) * counting(torch, 2)
    first, second = y.grad_fn.next_functions
    assert first == (None, 0)
    assert second[0].variable.is_leaf


def test_the_parent_says_which_of_several_outputs_was_used(torch: Any) -> None:
    parts = counting(torch, 3).unbind()
    y = parts[2] * parts[1]
    assert [nr for _, nr in y.grad_fn.next_functions] == [2, 1]
    assert y.grad_fn.next_functions[0][0] is parts[0].grad_fn


def test_a_leaf_has_one_accumulator_however_often_it_is_used(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * x
    (a, _), (b, _) = y.grad_fn.next_functions
    assert a is b
    assert a.variable is x
    assert (x * 3).grad_fn.next_functions[0][0] is a


def test_grad_fn_is_the_same_object_each_time(torch: Any) -> None:
    y = counting(torch, 2) * 2
    assert y.grad_fn is y.grad_fn
    v = y[:1]
    assert v.grad_fn is v.grad_fn


def test_metadata_belongs_to_the_node_not_to_who_looks_at_it(torch: Any) -> None:
    y = counting(torch, 2) * 2
    y.grad_fn.metadata["note"] = 5
    z = y + 1
    assert z.grad_fn.next_functions[0][0].metadata == {"note": 5}
    assert z.grad_fn.metadata == {}


def test_saved_values_can_be_read_off_a_node(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    z = x * y
    assert z.grad_fn._saved_self is x
    assert z.grad_fn._saved_other is y
    e = x.exp()
    assert_values(e.grad_fn._saved_result, e)
    p = x**3
    assert p.grad_fn._saved_exponent == 3


def test_saved_values_cannot_be_read_after_they_were_freed_or_modified(torch: Any) -> None:
    x = counting(torch, 2)
    e = x.exp()
    e.sum().backward()
    with pytest.raises(RuntimeError):
        _ = e.grad_fn._saved_result
    y = x * 1
    s = y.sin()
    y.add_(1)
    with pytest.raises(RuntimeError):
        _ = s.grad_fn._saved_self


def test_what_a_node_did_not_need_is_not_saved(torch: Any) -> None:
    c, x = torch.ones(2), counting(torch, 2)
    z = c * x
    saved = z.grad_fn._saved_self
    assert_values(saved, c)
    assert (saved.data_ptr(), saved.requires_grad) == (c.data_ptr(), False)
    assert z.grad_fn._saved_other is None


def test_a_node_is_an_instance_of_node(torch: Any) -> None:
    y = counting(torch, 2) * 2
    assert isinstance(y.grad_fn, torch.autograd.graph.Node)
    assert isinstance(y.grad_fn.next_functions[0][0], torch.autograd.graph.Node)
    assert not isinstance(y, torch.autograd.graph.Node)


def test_the_edge_of_a_result_and_of_a_leaf(torch: Any) -> None:
    x = counting(torch, 3)
    parts = x.unbind()
    edge = torch.autograd.graph.get_gradient_edge(parts[1])
    assert edge.node is parts[1].grad_fn
    assert edge.output_nr == 1
    leaf = torch.autograd.graph.get_gradient_edge(x)
    assert leaf.node.variable is x
    with pytest.raises(RuntimeError):
        torch.autograd.graph.get_gradient_edge(torch.ones(2))


def test_an_edge_stands_for_its_tensor_as_an_input(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    edges = [torch.autograd.graph.get_gradient_edge(t) for t in (x, y)]
    z = (y**2).sum()
    del y
    a, b = torch.autograd.grad(z, edges)
    assert_values(a, [18.0, 36.0])
    assert_values(b, [6.0, 12.0])


def test_an_edge_stands_for_its_tensor_as_a_root(torch: Any) -> None:
    x = counting(torch, 2)
    edge = torch.autograd.graph.get_gradient_edge((x * 3).sum())
    (g,) = torch.autograd.grad(edge, x, retain_graph=True)
    assert_values(g, [3.0, 3.0])
    torch.autograd.backward(edge)
    assert_values(x.grad, [3.0, 3.0])


def test_an_edge_keeps_its_node_alive(torch: Any) -> None:
    x = counting(torch, 2)
    edge = torch.autograd.graph.get_gradient_edge(x.exp() * 2)
    gc.collect()
    (g,) = torch.autograd.grad(edge, x, torch.ones(2))
    assert_values(g, 2 * x.detach().exp())


def test_an_edge_of_before_an_in_place_write_is_the_value_before(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    before = torch.autograd.graph.get_gradient_edge(y)
    y.mul_(5)
    z = y.sum()
    old, new = torch.autograd.grad(z, [before, y])
    assert_values(old, [5.0, 5.0])
    assert_values(new, [1.0, 1.0])


def test_backward_to_an_edge_fills_the_leaf_only(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    edge = torch.autograd.graph.get_gradient_edge(x)
    (x * w).sum().backward(inputs=[edge])
    assert_values(x.grad, [1.0, 2.0])
    assert w.grad is None


def test_edges_compare_as_pairs_of_node_and_number(torch: Any) -> None:
    parts = counting(torch, 2).unbind()
    edge = torch.autograd.graph.get_gradient_edge
    assert edge(parts[0])[:2] == edge(parts[0])[:2]
    assert edge(parts[0])[:2] != edge(parts[1])[:2]
    assert edge(parts[0]).node is edge(parts[1]).node


def test_materialize_grads_and_edges_do_not_go_together(torch: Any) -> None:
    x = counting(torch, 2)
    edge = torch.autograd.graph.get_gradient_edge(x * 2)
    with pytest.raises(RuntimeError):
        torch.autograd.grad((x * 3).sum(), [edge], materialize_grads=True)


def test_zeros_are_made_for_tensors_not_for_edges(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    edge, apart = map(torch.autograd.graph.get_gradient_edge, (y, counting(torch, 2)))
    (g,) = torch.autograd.grad(y.sum(), edge, retain_graph=True, materialize_grads=True)
    assert_values(g, [1.0, 1.0])
    with pytest.raises(RuntimeError):
        torch.autograd.grad(y.sum(), apart, materialize_grads=True)
