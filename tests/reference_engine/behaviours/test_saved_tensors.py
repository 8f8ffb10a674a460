"""Values saved for backward, and hooks that pack and unpack them."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing
from tests.reference_engine.behaviours.test_function import function


def hooks(torch: Any, pack: Any = None, unpack: Any = None) -> Any:
    return torch.autograd.graph.saved_tensors_hooks(pack or (lambda x: x), unpack or (lambda x: x))


def test_every_saved_tensor_is_packed_once_and_unpacked_when_used(torch: Any) -> None:
    packed, unpacked = [], []

    def pack(x: Any) -> Any:
        packed.append(x.tolist())
        return x

    def unpack(x: Any) -> Any:
        unpacked.append(x.tolist())
        return x

    x, w = counting(torch, 2), torch.tensor([5.0, 6.0], requires_grad=True)
    with hooks(torch, pack, unpack):
        y = (x * w).sum()
    assert sorted(packed) == [[1.0, 2.0], [5.0, 6.0]]
    assert unpacked == []
    y.backward(retain_graph=True)
    assert sorted(unpacked) == [[1.0, 2.0], [5.0, 6.0]]
    y.backward()
    assert len(unpacked) == 4
    assert len(packed) == 2


def test_packed_values_may_be_anything_and_unpacking_decides_the_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    with hooks(torch, lambda t: t.tolist(), lambda v: torch.tensor(v) * 10):
        y = (x * x).sum()
    y.backward()
    assert_values(x.grad, [20.0, 40.0])


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_saved_is_detached_in_place_unless_hooks_have_packed_it(
    torch: Any, packed: bool
) -> None:
    x = counting(torch, 2)
    y = x + x
    if packed:
        with hooks(torch):
            z = (y * y).sum()
    else:
        z = (y * y).sum()
    y.detach_()
    if packed:
        z.backward()
        assert_values(x.grad, [8.0, 16.0])
    else:
        with pytest.raises(RuntimeError):
            z.backward()


def test_the_innermost_hooks_are_used(torch: Any) -> None:
    x = counting(torch, 2)
    calls = []
    with hooks(torch, lambda t: calls.append("outer") or t):
        with hooks(torch, lambda t: calls.append("inner") or t):
            x.sin()
        x.cos()
    x.tan()
    assert calls == ["inner", "outer"]


def test_hooks_are_those_of_when_it_was_saved(torch: Any) -> None:
    x = counting(torch, 2)
    with hooks(torch, None, lambda t: t * 100):
        y = (x**2).sum()
    with hooks(torch, None, lambda t: t * 0):
        y.backward()
    assert_values(x.grad, [200.0, 400.0])


def test_what_is_not_saved_is_not_packed(torch: Any) -> None:
    calls = []
    x, c = counting(torch, 2), torch.ones(2)
    with hooks(torch, lambda t: calls.append(t) or t):
        x + c
        c * c
        with torch.no_grad():
            x * x
        x.sum()
    assert calls == []


def test_outputs_are_packed_like_inputs(torch: Any) -> None:
    x = counting(torch, 2)
    calls = []
    with hooks(torch, lambda t: calls.append(t.tolist()) or t):
        y = x.exp()
    assert calls == [y.tolist()]
    y.sum().backward()
    assert_values(x.grad, y)


def test_a_pack_hook_gets_a_leaf_itself_and_records_nothing(torch: Any) -> None:
    seen = []

    def pack(t: Any) -> Any:
        seen.append((t is x, t.requires_grad, (t * 2).requires_grad))
        return t.detach()

    x = counting(torch, 2)
    y = x * 1
    with hooks(torch, pack):
        x.sin()
        y.sin()
    # PyTorch gives results as they are, so that a hook that keeps one may close a cycle; the
    # engine gives their values
    assert seen == [(True, True, False), (False, torch.__name__ == "torch", False)]


def test_a_pack_hook_must_not_write_into_what_it_packs(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    with hooks(torch, lambda t: t.mul_(2)), pytest.raises(RuntimeError):
        y.sin()


def test_an_unpack_hook_must_return_a_tensor(torch: Any) -> None:
    x = counting(torch, 2)
    with hooks(torch, None, lambda t: 3):
        y = x.sin().sum()
    with pytest.raises(TypeError):
        y.backward()


def test_errors_in_hooks_pass_to_the_caller(torch: Any) -> None:
    def fail(_: Any) -> Any:
        raise KeyError("hook")

    x = counting(torch, 2)
    with hooks(torch, fail), pytest.raises(KeyError):
        x.sin()
    with hooks(torch, None, fail):
        y = x.sin().sum()
    with pytest.raises(KeyError):
        y.backward()
    x.sin().sum().backward()
    assert_values(x.grad, x.detach().cos())


def test_hooks_leave_when_an_exception_leaves_their_block(torch: Any) -> None:
    calls = []
    with pytest.raises(KeyError), hooks(torch, lambda t: calls.append(t) or t):
        raise KeyError
    counting(torch, 2).sin()
    assert calls == []


def test_hooks_of_one_thread_are_not_those_of_another(torch: Any) -> None:
    calls = []
    x = counting(torch, 2)
    with hooks(torch, lambda t: calls.append(t) or t):
        thread = threading.Thread(target=lambda: x.sin())
        thread.start()
        thread.join()
    assert calls == []


def test_a_write_after_packing_by_reference_is_not_noticed(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    with hooks(torch, lambda t: t.clone()):
        z = y.sin().sum()
    y.zero_()
    z.backward()
    assert_values(x.grad, x.detach().cos())


def test_what_a_custom_function_saves_is_packed_too(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x, x * 2)
        return x * 1

    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        return g * (a + b)

    calls = []
    x = counting(torch, 2)
    with hooks(torch, lambda t: calls.append(1) or t.clone(), lambda t: t * 10):
        y = function(torch, forward, backward).apply(x).sum()
    assert len(calls) == 2
    y.backward()
    assert_values(x.grad, [30.0, 60.0])


def test_unpacked_values_are_part_of_the_graph_under_create_graph(torch: Any) -> None:
    x = counting(torch, 2)
    with hooks(torch, lambda t: t.clone()):
        y = (x * 1) ** 3
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    assert_values(h, [6.0, 12.0])


def test_a_saved_value_read_off_its_node_is_unpacked(torch: Any) -> None:
    x = counting(torch, 2)
    with hooks(torch, lambda t: (t, 5), lambda v: v[0] * v[1]):
        y = x.sin()
    assert_values(y.grad_fn._saved_self, [5.0, 10.0])


def test_save_on_cpu_keeps_copies_that_writes_do_not_reach(torch: Any) -> None:
    x = counting(torch, 2)
    with torch.autograd.graph.save_on_cpu():
        y = x * 1
        z = (y * y).sum()
    y.add_(1)
    z.backward()
    # PyTorch makes no copy of what is on the CPU already, and has checked no version
    wrong = 2.0 if torch.__name__ == "torch" else 0.0
    assert_values(x.grad, [2.0 + wrong, 4.0 + wrong])


def test_hooks_can_be_disabled_with_a_message(torch: Any) -> None:
    disabled = torch.autograd.graph.disable_saved_tensors_hooks
    with disabled("not in here"), pytest.raises(RuntimeError, match="not in here"), hooks(torch):
        pass
    with hooks(torch), pytest.raises(RuntimeError, match="already"), disabled("already on"):
        pass
    with hooks(torch):
        pass


def test_disabling_nests_with_the_message_of_the_innermost(torch: Any) -> None:
    disabled = torch.autograd.graph.disable_saved_tensors_hooks
    with disabled("outer"):
        with disabled("inner"), pytest.raises(RuntimeError, match="inner"), hooks(torch):
            pass
        with pytest.raises(RuntimeError, match="outer"), hooks(torch):
            pass


def test_saved_values_are_freed_by_backward_and_by_dropping_the_result(torch: Any) -> None:
    class Mark:
        pass

    marks: list[weakref.ref[Mark]] = []

    def pack(t: Any) -> Any:
        mark = Mark()
        marks.append(weakref.ref(mark))
        return mark, t.clone()

    x = counting(torch, 2)
    with hooks(torch, pack, lambda v: v[1]):
        y, z = x.exp().sum(), x.sin()
    assert [m() is not None for m in marks] == [True, True]
    y.backward()
    assert marks[0]() is None
    del z
    assert marks[1]() is None


def test_saved_values_stay_with_retain_graph(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()
    y.sum().backward(retain_graph=True)
    assert_values(y.grad_fn._saved_result, y)
    y.sum().backward()
    with pytest.raises(RuntimeError):
        _ = y.grad_fn._saved_result


def test_a_saved_leaf_comes_back_as_itself(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    z = x.sin() + y.sin()
    left, right = (node for node, _ in z.grad_fn.next_functions)
    assert left._saved_self is x
    saved = right._saved_self
    assert standing(saved) == (True, False, True)
    assert saved.grad_fn is y.grad_fn


def test_a_leaf_modified_in_no_grad_after_it_was_saved_is_noticed(torch: Any) -> None:
    x = counting(torch, 2)
    y = (x * x).sum()
    with torch.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError):
        y.backward()


def test_a_saved_result_that_was_detached_in_place_is_refused_or_right(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    z = y.sin().sum()
    y.detach_()
    # as PyTorch: what was saved is no longer what the graph says it is
    with pytest.raises(RuntimeError):
        z.backward()


def test_numbers_and_shapes_are_saved_without_hooks(torch: Any) -> None:
    calls = []
    x = counting(torch, 4)
    with hooks(torch, lambda t: calls.append(t) or t):
        y = x.reshape(2, 2).sum(0) * 3.0
    assert calls == []
    y.sum().backward()
    assert_values(x.grad, [3.0] * 4)


def test_a_pack_hook_that_keeps_the_tensor_itself_makes_no_trouble(torch: Any) -> None:
    kept: list[Any] = []

    def pack(t: Any) -> int:
        kept.append(t)
        return len(kept) - 1

    x = counting(torch, 2)
    with hooks(torch, pack, lambda i: kept[i]):
        y = ((x * 2).exp() * x).sum()
    y.backward()
    expected = (1 + 2 * x.detach()) * (2 * x.detach()).exp()
    assert_values(x.grad, expected)


def test_operations_inside_a_pack_hook_are_not_packed_again(torch: Any) -> None:
    calls = []

    def pack(t: Any) -> Any:
        calls.append(1)
        return (t * t).sqrt()

    x = counting(torch, 2)
    with hooks(torch, pack):
        y = x.sin().sum()
    y.backward()
    assert calls == [1]
    assert_values(x.grad, x.detach().cos())


def test_graph_nodes_can_share_one_saved_tensor(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    a, b = y.sin(), y.cos()
    a.sum().backward(retain_graph=True)
    b.sum().backward()
    assert_values(x.grad, x.detach().cos() - x.detach().sin())


def test_hooks_take_a_tensor_that_was_detached_in_place_before(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    y = x * 3
    y.detach_()
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved, lambda packed: packed):
        z = y * w
    z.sum().backward()
    assert_values(w.grad, [3.0, 6.0])
