"""Views and in-place operations: values, gradients, flags and refusals as in PyTorch."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.outcome import (
    Scenario,
    Scenarios,
    assert_as_in_torch,
)
from tests.reference_engine.outcome import (
    counting_leaf as leaf,
)
from tests.reference_engine.outcome import (
    node_name as name,
)

SCENARIOS = Scenarios()


@SCENARIOS
def write_through_a_view_reaches_the_base(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    y = x * 2
    y[0].mul_(10)
    y.sum().backward()
    return y, x.grad, y._version, name(y.grad_fn)


@SCENARIOS
def write_to_the_base_reaches_the_view(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    y = x * 2
    v = y[1]
    y.mul_(x)
    v.sum().backward()
    return v, x.grad, v._version


@SCENARIOS
def sibling_views_follow_each_other(lib: Any) -> Any:
    x = leaf(lib, 4)
    y = x * 1
    a, b = y[:3], y[1:]
    a.mul_(a.detach() + 1)
    (b * b).sum().backward()
    # (torch regenerates the views' history as AsStridedBackward0, the engine as what it was)
    return x.grad, b.is_leaf, a.is_leaf, name(y.grad_fn)


@SCENARIOS
def chain_of_views_written_at_its_end(lib: Any) -> Any:
    x = leaf(lib, 2, 3, 4)
    y = x * 1
    v = y.transpose(0, 2)[1:].permute(1, 0, 2)[0].unsqueeze(0)
    v.exp_()
    (y * y).sum().backward()
    return y, x.grad


@SCENARIOS
def several_writes_through_several_views(lib: Any) -> Any:
    x = leaf(lib, 3, 3)
    y = x.sin()
    y[0].mul_(2)
    y[:, 0].add_(x[0])
    y.t()[1].copy_(x[2] * x[1])
    y.view(9)[4:6].zero_()
    (y * x).sum().backward()
    return y, x.grad, y._version


@SCENARIOS
def view_written_with_a_tracked_operand_tracks_its_base(lib: Any) -> Any:
    x, b = leaf(lib, 2), lib.zeros(4, dtype=lib.float64)
    v, w = b[1:3], b[2:]
    v.copy_(x)
    (w * w).sum().backward()
    return b, b.requires_grad, v.requires_grad, w.requires_grad, b.is_leaf, x.grad


@SCENARIOS
def the_value_before_an_in_place_write_is_kept_for_its_own_gradient(lib: Any) -> Any:
    x, w = leaf(lib, 3), leaf(lib, 3)
    y = x * 1
    y.mul_(w)
    y.sin_()
    y.sum().backward()
    return x.grad, w.grad


@SCENARIOS
def in_place_with_itself(lib: Any) -> Any:
    y = leaf(lib, 3) * 1
    y.mul_(y)
    y.sum().backward()


@SCENARIOS
def in_place_output_is_saved_at_its_new_version(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 1
    y.exp_()
    y.sum().backward()
    return x.grad


@SCENARIOS
def in_place_output_of_a_view_is_saved_at_its_new_version(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 1
    y[:2].exp_()
    y.sum().backward()
    return x.grad


@SCENARIOS
def second_order_through_a_written_view(lib: Any) -> Any:
    x = leaf(lib, 4)
    y = x * x
    y[1:3].exp_()
    y[2:].mul_(x[:2])
    (g,) = lib.autograd.grad((y * y).sum(), x, create_graph=True)
    (h,) = lib.autograd.grad(g.sum(), x)
    return g, h


@SCENARIOS
def expand_shares_memory_and_refuses_writes(lib: Any) -> Any:
    lib.ones(3, 1).expand(3, 4).add_(1)


@SCENARIOS
def rows_of_an_expanded_tensor(lib: Any) -> Any:
    b = lib.ones(3)
    b.expand(2, 3)[0].mul_(2)
    return b


@SCENARIOS
def setitem_of_every_kind(lib: Any) -> Any:
    x = leaf(lib, 4, 3)
    y = x * 1
    y[0] = 5
    y[1, 1] = x[0, 0] * 3
    y[-1] = lib.tensor([1.0, 2.0, 3.0], dtype=lib.float64)
    y[2, ...] = x[1]
    y[lib.tensor([0, 2])] = x[:2] * 7
    y[y > 20] = 0.5
    y[:, None, 2] = x[:, :1]
    (y * x).sum().backward()
    return y, x.grad


@SCENARIOS
def setitem_that_does_not_fit(lib: Any) -> Any:
    lib.ones(4, 3)[0] = lib.ones(4)


@SCENARIOS
def version_counters(lib: Any) -> Any:
    x = lib.ones(4)
    v, d, data = x[:2], x.detach(), x.data
    x.add_(1)
    v.add_(1)
    d[0] = 3
    with lib.no_grad():
        x.mul_(2)
    data.add_(1)
    x.data.mul_(3)
    return [t._version for t in (x, v, d, data)], x


@SCENARIOS
def what_is_a_view_of_what(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    v = x[0]
    w = v[1:]
    d = w.detach()
    return [
        v._base is x, w._base is x, d._base is None, d._is_view(), x._is_view(), w._is_view(),
        v.is_leaf, w.requires_grad, x.reshape(6)._is_view(), x.t().reshape(6)._is_view(),
        x.t().contiguous()._is_view(), x.view(3, 2)._base is x, x.contiguous() is x,
    ]  # fmt: skip


@SCENARIOS
def views_in_no_grad(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 2
    with lib.no_grad():
        v, w, p = y[:2], x[:2], (y * 2)[:1]
        y.mul_(2)
    return [(t.requires_grad, t.is_leaf, name(t.grad_fn)) for t in (v, w, p)]


@SCENARIOS
def a_view_made_in_no_grad_requires_grad_but_gets_none(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 2
    with lib.no_grad():
        v = y[:2]
    z = v.sin() * v
    z.sum().backward()
    return v.requires_grad, v.is_leaf, z.requires_grad, v.grad, x.grad


@SCENARIOS
def expanded_tensors_can_be_filled_with_one_number(lib: Any) -> Any:
    b = lib.ones(3, 1)
    b.expand(3, 4).zero_()
    b.expand(3, 2)[:2].fill_(5.0)
    return b


@SCENARIOS
def grad_of_a_view_whose_history_is_lost(lib: Any) -> Any:
    x = leaf(lib, 4)
    v = x.chunk(2)[0]
    with lib.no_grad():
        x.mul_(2)
    return v.grad, v.requires_grad


@SCENARIOS
def a_no_grad_write_through_a_view_keeps_the_history(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 2
    v = y[:2]
    with lib.no_grad():
        v.add_(10)
    (v * 3).sum().backward()
    return v, x.grad


@SCENARIOS
def multi_output_views_can_be_read(lib: Any) -> Any:
    x = leaf(lib, 4, 2)
    a, b = (x * x).split(2)
    c, d = b.unbind()
    (a.sum() + (c * d).sum()).backward()
    return x.grad, name(a.grad_fn), name(c.grad_fn), a.output_nr, b.output_nr, d.output_nr


@SCENARIOS
def one_of_several_outputs_unused(lib: Any) -> Any:
    x = leaf(lib, 4)
    a, _, c, _ = x.unbind()
    (a * c).backward()
    return x.grad


@SCENARIOS
def multi_output_view_after_its_base_was_written(lib: Any) -> Any:
    y = leaf(lib, 4) * 1
    a, _ = y.chunk(2)
    y.mul_(2)
    return name(a.grad_fn)


@SCENARIOS
def diagonal_and_strided_views(lib: Any) -> Any:
    x = leaf(lib, 3, 3)
    y = x * 1
    y.diagonal().mul_(x[0])
    y[::2, 1].add_(x[:2, 2])
    y.sum().backward()
    return y, x.grad


@SCENARIOS
def real_and_imag_are_views(lib: Any) -> Any:
    x = lib.tensor([1 + 2j, 3 - 1j], dtype=lib.complex128, requires_grad=True)
    z = x * (2 + 1j)
    z.real.mul_(3)
    z.imag[0] = 7.0
    (z * z.conj()).real.sum().backward()
    return z, x.grad


@SCENARIOS
def integer_views_are_never_tracked(lib: Any) -> Any:
    x = lib.arange(6)
    v = x[2:4]
    v.add_(10)
    return x, v.requires_grad, v._version


@SCENARIOS
def in_place_keeps_the_object_and_its_dtype(lib: Any) -> Any:
    x = lib.ones(2)
    y = x.add_(lib.ones(2, dtype=lib.float64))
    return y is x, y.dtype == lib.float32


@SCENARIOS
def in_place_refuses_a_greater_category(lib: Any) -> Any:
    lib.ones(2, dtype=lib.int64).add_(0.5)


@SCENARIOS
def in_place_refuses_a_greater_shape(lib: Any) -> Any:
    lib.ones(2).add_(lib.ones(3, 2))


@SCENARIOS
def in_place_operators(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 1
    z = y
    y += x
    y *= 2
    y -= 1
    y /= x
    y **= 2
    y.sum().backward()
    return z is y, x.grad


def views_taken_before(change: str, *args: Any) -> None:
    """Writes after a tensor's shape was changed in place: to it, and through views of before and
    after.
    """

    def scenario(lib: Any) -> Any:
        x = lib.arange(6.0).reshape((2, 1, 3) if change == "squeeze_" else (2, 3)).detach()
        base = x.requires_grad_() * 1
        before, written = base[0], base[1:]
        getattr(base, change)(*args)
        after = base[:1]
        seen = [base._version, base.shape, before.tolist(), before._base is base]
        base.mul_(2 * lib.ones_like(base))
        written.mul_(3)
        after.mul_(5)
        weights = lib.arange(1.0, 1 + before.numel()).reshape(before.shape)
        (before * weights).sum().backward(retain_graph=True)
        return *seen, before, written, after, x.grad, lib.autograd.grad(base.exp().sum(), x)

    scenario.__name__ = f"views_taken_before_{change}{args}"
    SCENARIOS(scenario)


for change, *args in (
    ("t_",), ("transpose_", 0, 1), ("swapaxes_", 0, -1), ("squeeze_",), ("squeeze_", 1),
    ("unsqueeze_", 0), ("unsqueeze_", -1),
):  # fmt: skip
    views_taken_before(change, *args)


@SCENARIOS
def views_taken_before_several_changes_of_shape(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    base = x * 1
    first = base[0]
    base.t_()
    second = base[0]
    base.unsqueeze_(0)
    first.mul_(2)
    second.mul_(3)
    base.squeeze_(0)
    first.mul_(x[1])
    base.sum().backward()
    return first, second, base, x.grad


@SCENARIOS
def a_changed_shape_makes_what_was_saved_too_old(lib: Any) -> Any:
    y = leaf(lib, 2, 3).exp()
    z = y * 1
    y.t_()
    z.sum().backward()


@SCENARIOS
def a_view_of_a_view_changes_its_shape(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    base = x * 1
    view = base[:, 1:]
    view.t_()
    view.mul_(x[:, 1:].t())
    base.mul_(2)
    (view * view).sum().backward()
    return view, x.grad


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)
