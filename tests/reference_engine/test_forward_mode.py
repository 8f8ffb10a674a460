"""Forward mode against torch: dual tensors, views, writes, modes, mixtures with reverse mode, and
custom Functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reference_engine.misuse_of_functions import function
from tests.reference_engine.outcome import Scenarios, assert_as_in_torch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
scenario = Scenarios()


def dual(lib: Any, primal: Any = (1.0, 2.0), tangent: Any = (1.0, 10.0)) -> Any:
    return lib.autograd.forward_ad.make_dual(lib.tensor(primal), lib.tensor(tangent))


def tangent(lib: Any, x: Any) -> Any:
    return lib.autograd.forward_ad.unpack_dual(x).tangent


@scenario
def a_dual_is_a_view_with_the_tangent_itself(lib: Any) -> Any:
    x, v = lib.ones(2), lib.ones(2)
    d = lib.autograd.forward_ad.make_dual(x, v)
    return d._is_view(), d._base is x, tangent(lib, d) is v, d._version, tangent(lib, x)


@scenario
def a_primal_has_no_tangent_and_can_be_given_one(lib: Any) -> Any:
    fw = lib.autograd.forward_ad
    primal = fw.unpack_dual(dual(lib)).primal
    return tangent(lib, primal), tangent(lib, fw.make_dual(primal, lib.ones(2)))


@scenario
def a_second_tangent_is_refused(lib: Any) -> Any:
    lib.autograd.forward_ad.make_dual(dual(lib), lib.ones(2))


@scenario
def detach_and_data_drop_the_tangent(lib: Any) -> Any:
    d = dual(lib)
    copy = d.clone()
    copy.detach_()
    return [tangent(lib, x) for x in (d.detach(), d.data, copy)]


@scenario
def only_inference_mode_and_the_switch_stop_it(lib: Any) -> Any:
    d = dual(lib)
    with lib.no_grad():
        a = d.sin()
    with lib.inference_mode():
        b = d.sin()
    with lib.autograd.forward_ad._set_fwd_grad_enabled(False):
        c, hidden = d.sin(), tangent(lib, d)
    return [tangent(lib, y) for y in (a, b, c)], hidden


@scenario
def a_tangent_keeps_its_own_dtype(lib: Any) -> Any:
    v = lib.ones(2, dtype=lib.float64)
    d = lib.autograd.forward_ad.make_dual(lib.ones(2), v)
    return str(tangent(lib, d).dtype).split(".")[-1]


@scenario
def an_expanded_tangent_can_be_written(lib: Any) -> Any:
    d = lib.autograd.forward_ad.make_dual(lib.ones(2), lib.ones(1).expand(2))
    d.mul_(lib.tensor([2.0, 3.0]))
    return tangent(lib, d)


@scenario
def an_integer_primal(lib: Any) -> Any:
    lib.autograd.forward_ad.make_dual(lib.ones(2, dtype=lib.int64), lib.ones(2))


@scenario
def levels_have_numbers(lib: Any) -> Any:
    fw = lib.autograd.forward_ad
    d = fw.make_dual(lib.ones(2), lib.ones(2), level=0)
    return fw.unpack_dual(d, level=0).tangent


@scenario
def a_level_that_is_not_there(lib: Any) -> Any:
    lib.autograd.forward_ad.make_dual(lib.ones(2), lib.ones(2), level=1)


@scenario
def unpacking_no_tensor(lib: Any) -> Any:
    lib.autograd.forward_ad.unpack_dual(1.0)


@scenario
def operations_without_a_derivative_have_no_tangent(lib: Any) -> Any:
    d = dual(lib)
    return [tangent(lib, y) for y in (d == d, d.argmax(), d.int())]


# views and writes ---------------------------------------------------------------------------------
@scenario
def the_tangent_of_a_view_is_a_view_of_the_tangent(lib: Any) -> Any:
    v = lib.tensor([1.0, 10.0])
    d = lib.autograd.forward_ad.make_dual(lib.ones(2), v)
    part = tangent(lib, d[0])
    return part, part._is_view(), part._base is v


@scenario
def a_write_updates_the_tangent_in_place(lib: Any) -> Any:
    x, v = lib.ones(2), lib.tensor([1.0, 10.0])
    d = lib.autograd.forward_ad.make_dual(x, v)
    d.mul_(3)
    d[0] = 5.0
    return v, x, tangent(lib, d) is v


@scenario
def a_write_through_a_view_reaches_the_base_and_its_views(lib: Any) -> Any:
    base = lib.zeros(3)
    written, sibling = base[1:], base[2]
    written.copy_(dual(lib))
    return [tangent(lib, x) for x in (base, written, sibling, base * 2)]


@scenario
def a_write_of_a_dual_gives_a_tensor_its_tangent(lib: Any) -> Any:
    y = lib.zeros(2)
    y.add_(dual(lib))
    y.sin_()
    y.data.mul_(2)
    return y, tangent(lib, y)


@scenario
def zeroing_zeroes_the_tangent(lib: Any) -> Any:
    d = dual(lib)
    d.zero_()
    return tangent(lib, d)


@scenario
def indexed_writes(lib: Any) -> Any:
    d = dual(lib, (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
    d[lib.tensor([0, 2])] = dual(lib) * 7
    return tangent(lib, d)


@scenario
def unary_plus_does_not_share_the_tangent(lib: Any) -> Any:
    d = dual(lib)
    y = d + 0
    y.mul_(5)
    return tangent(lib, d), tangent(lib, y)


# with reverse mode --------------------------------------------------------------------------------
@scenario
def a_gradient_has_a_tangent(lib: Any) -> Any:
    fw = lib.autograd.forward_ad
    p = lib.tensor([1.0, 2.0], requires_grad=True)
    d = fw.make_dual(p, lib.tensor([1.0, 10.0]))
    g, _ = lib.autograd.grad((d.exp() * d * d).sum(), [p, d])
    return g, tangent(lib, g)


@scenario
def backward_fills_grad_without_a_tangent(lib: Any) -> Any:
    p = lib.tensor([1.0, 2.0], requires_grad=True)
    d = lib.autograd.forward_ad.make_dual(p, lib.tensor([1.0, 10.0]))
    (d * d * d).sum().backward()
    return p.grad, tangent(lib, p.grad)


@scenario
def a_tangent_that_requires_grad(lib: Any) -> Any:
    p = lib.tensor([1.0, 2.0], requires_grad=True)
    v = lib.tensor([1.0, 10.0], requires_grad=True)
    y = lib.autograd.forward_ad.make_dual(p, v) ** 3
    t = tangent(lib, y)
    return t, t.requires_grad, lib.autograd.grad(t.sum(), (p, v))


@scenario
def a_gradient_of_a_write_has_a_tangent(lib: Any) -> Any:
    p = lib.tensor([1.0, 2.0], requires_grad=True)
    d = lib.autograd.forward_ad.make_dual(p, lib.tensor([1.0, 10.0]))
    y = d * d
    y[0].exp_()
    y.sin_()
    (g,) = lib.autograd.grad(y.sum(), p)
    return g, tangent(lib, g), tangent(lib, y)


@scenario
def a_dual_that_is_made_a_leaf(lib: Any) -> Any:
    d = dual(lib).requires_grad_()
    (g,) = lib.autograd.grad(d.exp().sum(), d)
    return g, tangent(lib, g), d.is_leaf


@scenario
def saved_tensors_under_hooks_keep_their_tangents(lib: Any) -> Any:
    p = lib.tensor([1.0, 2.0], requires_grad=True)
    d = lib.autograd.forward_ad.make_dual(p, lib.tensor([1.0, 10.0]))
    with lib.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        y = d.exp()
    (g,) = lib.autograd.grad(y.sum(), p)
    return g, tangent(lib, g)


# custom Functions ---------------------------------------------------------------------------------
def applied(lib: Any, forward: Callable[..., Any], jvp: Callable[..., Any], **more: Any) -> Any:
    d = dual(lib).clone()
    made = function(lib, forward, None, jvp=staticmethod(jvp), **more).apply(d)
    return [tangent(lib, y) for y in (made if isinstance(made, tuple) else (made,))]


def _saving(ctx: Any, x: Any) -> Any:
    ctx.save_for_forward(x)
    return x * 2


def _dirty(ctx: Any, x: Any) -> Any:
    ctx.mark_dirty(x)
    return x.mul_(2)


def _constant(ctx: Any, x: Any) -> Any:
    y = x * 2
    ctx.mark_non_differentiable(y)
    return y


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "what was saved for forward": (_saving, lambda ctx, t: t * ctx.saved_tensors[0]),
    "two outputs": (lambda ctx, x: (x * 2, x * 3), lambda ctx, t: (t * 2, t * 3)),
    "too few": (lambda ctx, x: (x * 2, x * 3), lambda ctx, t: t),
    "too many": (lambda ctx, x: x * 2, lambda ctx, t: (t, None)),
    "None": (lambda ctx, x: x * 2, lambda ctx, t: None),
    "a number": (lambda ctx, x: x * 2, lambda ctx, t: 3.0),
    "another shape": (lambda ctx, x: x * 2, lambda ctx, t: t[:1]),
    "the input as it is, and its tangent": (lambda ctx, x: x, lambda ctx, t: t),
    "a view, and one of the tangent": (lambda ctx, x: x[:1], lambda ctx, t: t[:1]),
    "a view, and no view": (lambda ctx, x: x[:1], lambda ctx, t: t[:1].clone()),
    "a write": (_dirty, lambda ctx, t: t.mul_(2)),
    "a write, the tangent not written": (_dirty, lambda ctx, t: t * 2),
    "a tangent of a constant": (_constant, lambda ctx, t: t),
    "no tangent of a constant": (_constant, lambda ctx, t: None),
    "an integer output": (lambda ctx, x: (x * 2, x.int()), lambda ctx, t: (t * 2, None)),
    "save_for_backward is not for jvp": (
        lambda ctx, x: (ctx.save_for_backward(x), x * 2)[1],
        lambda ctx, t: t * ctx.saved_tensors[0],
    ),
    "forward sees no tangent": (
        lambda ctx, x: (setattr(ctx, "twice", x + x), x * 2)[1],
        lambda ctx, t: t if ctx.twice.sum() == 6 else t * 0,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jvp_of_a_function_as_in_torch(name: str, engine: Any) -> None:
    def run(lib: Any) -> Any:
        with lib.autograd.forward_ad.dual_level():
            return applied(lib, *FUNCTIONS[name])

    assert_as_in_torch(run, engine)


@scenario
def a_function_with_setup_context(lib: Any) -> Any:
    return applied(
        lib,
        lambda x: x * 2,
        lambda ctx, t: t * ctx.saved_tensors[0],
        setup_context=staticmethod(lambda ctx, inputs, output: ctx.save_for_forward(output)),
    )


@scenario
def arguments_without_a_tangent_have_zeros_or_none(lib: Any) -> Any:
    seen: list[Any] = []

    def jvp(ctx: Any, *ts: Any) -> Any:
        seen.append(ts)
        return ts[0]

    for materialize in (True, False):
        forward = lambda ctx, x, y, n: (ctx.set_materialize_grads(materialize), x * y)[1]  # noqa: B023, E731
        made = function(lib, forward, None, jvp=staticmethod(jvp))
        made.apply(dual(lib), lib.ones(2), 3)
    return [[None if t is None else t.tolist() for t in ts] for ts in seen]


@scenario
def a_function_in_both_modes(lib: Any) -> Any:
    def save(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x * x * x

    cube = function(
        lib,
        save,
        lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2,
        jvp=staticmethod(lambda ctx, t: t * 3 * ctx.saved_tensors[0] ** 2),
    )
    p = lib.tensor([1.0, 2.0], requires_grad=True)
    y = cube.apply(lib.autograd.forward_ad.make_dual(p, lib.tensor([1.0, 10.0])))
    (g,) = lib.autograd.grad(y.sum(), p)
    return tangent(lib, y), g, tangent(lib, g)


@scenario.each()
def test_in_a_dual_level_as_in_torch(scenario: Any, engine: Any) -> None:
    def run(lib: Any) -> Any:
        with lib.autograd.forward_ad.dual_level():
            return scenario(lib)

    assert_as_in_torch(run, engine)


def test_a_write_of_a_tensor_into_itself(engine: Any) -> None:
    """d(x²) = 2x dx. torch 2.13 gives [2, 60]: it writes the tangent before it has been read."""
    with engine.autograd.forward_ad.dual_level():
        d = dual(engine)
        d.mul_(d)
        assert tangent(engine, d).tolist() == [2.0, 40.0]
