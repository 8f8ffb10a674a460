"""Function transforms against ``torch.func``: the same values, structures and refusals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine.outcome import assert_same, outcome

CASES: dict[str, Callable[[Any], Any]] = {}


def case(scenario: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Adds a scenario under its name."""
    assert scenario.__name__ not in CASES
    CASES[scenario.__name__] = scenario
    return scenario


def table(group: str, **cases: Callable[[Any], Any]) -> None:
    """Adds scenarios of one group."""
    for name, scenario in cases.items():
        CASES[f"{group}-{name}"] = scenario


def listed(value: Any) -> Any:
    """Dicts as lists of pairs, which outcomes can be compared in."""
    if isinstance(value, dict):
        return [[key, listed(part)] for key, part in value.items()]
    return [listed(v) for v in value] if isinstance(value, (list, tuple)) else value


def scalar(lib: Any, tracked: bool = False) -> Any:
    return lib.tensor(2.0, dtype=lib.float64, requires_grad=tracked)


def vector(lib: Any, tracked: bool = False) -> Any:
    return lib.tensor([0.5, -1.0, 2.0], dtype=lib.float64, requires_grad=tracked)


def matrix(lib: Any) -> Any:
    return lib.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=lib.float64)


def mixing(lib: Any) -> Callable[[Any], Any]:
    """R³ → R², curved in every pair of inputs."""
    return lambda x: lib.stack([(x.sin() * x.flip(0)).sum(), (x.exp() * x.prod()).sum()])


def energy(lib: Any) -> Callable[[Any], Any]:
    """R³ → R, curved in every pair of inputs."""
    return lambda x: (x.sin() * x.flip(0).exp()).sum() + x.prod() ** 2


def requires(x: Any) -> tuple[Any, bool]:
    return x, x.requires_grad


# grad ---------------------------------------------------------------------------------------------
table(
    "grad",
    scalar=lambda t: t.func.grad(lambda x: x.sin() * x)(scalar(t)),
    vector=lambda t: t.func.grad(energy(t))(vector(t)),
    matrix=lambda t: t.func.grad(lambda x: (x @ x.T).det())(matrix(t)),
    both_arguments=lambda t: t.func.grad(lambda x, y: (x * y.cos()).sum(), (0, 1))(
        vector(t), vector(t) * 2
    ),
    last_argument=lambda t: t.func.grad(lambda x, y: (x * y**3).sum(), -1)(vector(t), vector(t)),
    one_tuple=lambda t: t.func.grad(lambda x: (x**3).sum(), (0,))(vector(t)),
    reversed_arguments=lambda t: t.func.grad(lambda x, y: (x * y**2).sum(), (1, 0))(
        vector(t), vector(t) * 2
    ),
    keywords=lambda t: t.func.grad(lambda x, k: (x * k).sum())(vector(t), k=vector(t)),
    tree=lambda t: listed(
        t.func.grad(lambda p: (p["w"] @ p["b"][0] + p["b"][1]).sum())(
            {"w": matrix(t), "b": [vector(t), scalar(t)]}
        )
    ),
    unused=lambda t: t.func.grad(lambda x, y: x * x, (0, 1))(scalar(t), vector(t)),
    constant=lambda t: t.func.grad(lambda x: t.tensor(1.0))(scalar(t)),
    aux=lambda t: listed(
        t.func.grad(lambda x: ((x**2).sum(), {"twice": x * 2}), has_aux=True)(vector(t))
    ),
    value=lambda t: t.func.grad_and_value(energy(t))(vector(t)),
    value_and_aux=lambda t: t.func.grad_and_value(lambda x: ((x**2).sum(), [x + 1]), has_aux=True)(
        vector(t)
    ),
    complex_input=lambda t: t.func.grad(lambda x: (x * x).abs())(t.tensor(1 + 2j)),
    second=lambda t: t.func.grad(t.func.grad(lambda x: x.sin() * x))(scalar(t)),
    third=lambda t: t.func.grad(t.func.grad(t.func.grad(lambda x: x.sin() * x)))(scalar(t)),
    fourth=lambda t: t.func.grad(t.func.grad(t.func.grad(t.func.grad(lambda x: x**6))))(scalar(t)),
    inner_of_captured=lambda t: t.func.grad(lambda x: t.func.grad(lambda y: x * y * y)(x * 3))(
        scalar(t)
    ),
    perturbation_confusion=lambda t: t.func.grad(
        lambda x: x * t.func.grad(lambda y: x + y)(t.tensor(1.0, dtype=t.float64))
    )(scalar(t)),
    does_not_track=lambda t: requires(t.func.grad(lambda x: x**3)(scalar(t))),
    tracks_a_tracked_input=lambda t: requires(t.func.grad(lambda x: x**3)(scalar(t, True))),
    tracks_a_captured_tensor=lambda t: (
        lambda w: requires(t.func.grad(lambda x: w * x**2)(scalar(t)))
    )(scalar(t, True)),
    does_not_track_what_does_not_depend=lambda t: (
        lambda w: requires(t.func.grad(lambda x: w + x**2)(scalar(t)))
    )(scalar(t, True)),
    untracked_aux=lambda t: requires(
        t.func.grad(lambda x: (x**2, x * 3), has_aux=True)(scalar(t))[1]
    ),
    untracked_value=lambda t: requires(t.func.grad_and_value(lambda x: x**2)(scalar(t))[1]),
    factory_that_requires_grad_inside=lambda t: requires(
        t.func.grad(lambda x: t.ones(2, dtype=t.float64, requires_grad=True).sum() * x)(scalar(t))
    ),
    control_flow=lambda t: t.func.grad(lambda x: x * 2 if x > 0 else x)(scalar(t)),
    item_inside=lambda t: t.func.grad(lambda x: x * x.item())(scalar(t)),
    detach_inside_cuts_every_level=lambda t: t.func.grad(t.func.grad(lambda x: x.detach() * x * x))(
        scalar(t)
    ),
    hook_inside=lambda t: t.func.grad(lambda x: (x.register_hook(lambda g: g * 10), x * x)[1])(
        scalar(t)
    ),
    autograd_grad_inside=lambda t: t.func.grad(
        lambda x: t.autograd.grad(x**3, x, create_graph=True)[0]
    )(scalar(t)),
    in_place_inside=lambda t: t.func.grad(lambda x: (x * 1).mul_(x).sin())(scalar(t)),
    of_a_view_written_inside=lambda t: t.func.grad(
        lambda x: (lambda y: (y[1:].mul_(x[1:]), (y * y).sum())[1])(x * 2)
    )(vector(t)),
    written_into_new_memory=lambda t: t.func.grad(
        lambda x: (lambda y: (y.__setitem__(0, x), y.sum())[1])(t.zeros(3, dtype=t.float64))
    )(scalar(t)),
)


@case
def grad_reaches_a_tracked_input_through_the_result(lib: Any) -> Any:
    x = scalar(lib, True)
    lib.func.grad(lambda y: y**3)(x).backward()
    return x.grad


@case
def grad_reaches_a_captured_tensor_through_the_result(lib: Any) -> Any:
    x, w = scalar(lib), vector(lib, True)
    lib.func.grad(lambda y: (w * y**2).sum())(x).backward()
    return w.grad


@case
def grad_leaves_the_input_as_it_was(lib: Any) -> Any:
    x = scalar(lib, True)
    lib.func.grad(lambda y: y**3)(x)
    return x.grad is None, x.is_leaf, x.requires_grad


@case
def grad_heeds_no_grad_inside(lib: Any) -> Any:
    def f(x: Any) -> Any:
        with lib.no_grad():
            c = x**2
        return x - c

    return lib.func.grad(f)(scalar(lib)), lib.func.grad(lambda x: lib.func.grad_and_value(f)(x)[1])(
        scalar(lib)
    )


@case
def grad_does_not_heed_no_grad_outside(lib: Any) -> Any:
    with lib.no_grad():
        return requires(lib.func.grad(lambda x: x**3)(scalar(lib, True)))


@case
def grad_in_no_grad_in_grad_is_constant(lib: Any) -> Any:
    def f(x: Any) -> Any:
        with lib.no_grad():
            slope = lib.func.grad(lambda y: y**3)(x)
        return slope * x

    return lib.func.grad(f)(scalar(lib))


@case
def grad_may_write_to_a_constant_argument(lib: Any) -> Any:
    count = lib.zeros(1, dtype=lib.float64)
    return lib.func.grad(lambda x, n: (n.add_(1), x * x)[1])(scalar(lib), count), count


@case
def grad_restores_modes_after_an_exception(lib: Any) -> Any:
    def fail(x: Any) -> Any:
        raise KeyError("x")

    with lib.no_grad():
        with contextlib.suppress(KeyError):
            lib.func.grad(fail)(scalar(lib))
        off = lib.is_grad_enabled()
    x = scalar(lib, True)
    (x * x).backward()
    return off, x.grad


@case
def grad_of_a_custom_function(lib: Any) -> Any:
    class Cube(lib.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(x: Any) -> Any:
            return x**3

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 5 * x**2  # not 3: one sees who computed it

    grad = lib.func.grad
    return grad(Cube.apply)(scalar(lib)), grad(grad(Cube.apply))(scalar(lib))


table(
    "grad-refuses",
    vectors=lambda t: t.func.grad(lambda x: x * x)(vector(t)),
    one_element_vectors=lambda t: t.func.grad(lambda x: x * x)(vector(t)[:1]),
    numbers=lambda t: t.func.grad(lambda x: 1.0)(scalar(t)),
    tuples=lambda t: t.func.grad(lambda x: (x, x))(scalar(t)),
    complex_outputs=lambda t: t.func.grad(lambda x: x * x)(t.tensor(1 + 2j)),
    integer_inputs=lambda t: t.func.grad(lambda x: x * 1.0)(t.tensor(1)),
    number_inputs=lambda t: t.func.grad(lambda d: d["a"] * d["b"])({"a": scalar(t), "b": 2}),
    too_far_argnums=lambda t: t.func.grad(lambda x: x * 1.0, 1)(scalar(t)),
    float_argnums=lambda t: t.func.grad(lambda x: x * 1.0, 1.5)(scalar(t)),
    no_argnums=lambda t: t.func.grad(lambda x: x * 1.0, ())(scalar(t)),
    repeated_argnums=lambda t: t.func.grad(lambda x, y: x * y, (0, 0))(scalar(t), scalar(t)),
    aux_without_a_pair=lambda t: t.func.grad(lambda x: x * x, has_aux=True)(scalar(t)),
    aux_that_is_no_tensor=lambda t: t.func.grad(lambda x: (x * x, 3), has_aux=True)(scalar(t)),
    writing_to_its_input=lambda t: t.func.grad(lambda x: x.mul_(2).sin())(scalar(t)),
    writing_to_its_tracked_input=lambda t: t.func.grad(lambda x: x.mul_(2).sin())(scalar(t, True)),
    writing_to_a_captured_tensor=lambda t: (
        lambda c: t.func.grad(lambda x: (c.add_(1), x)[1])(scalar(t))
    )(vector(t)),
    writing_to_its_argument_through_a_capture=lambda t: (
        lambda c: t.func.grad(lambda x: (c.add_(1), x)[1])(c)
    )(scalar(t)),
    writing_to_a_view_of_a_captured_tensor=lambda t: (
        lambda c: t.func.grad(lambda x: (c[0].fill_(1), x)[1])(scalar(t))
    )(vector(t)),
    backward_inside=lambda t: t.func.grad(lambda x: ((x * x).backward(), x)[1])(scalar(t)),
    requires_grad_inside=lambda t: t.func.grad(lambda x: (x.requires_grad_(), x)[1])(scalar(t)),
    retain_grad_inside=lambda t: t.func.grad(lambda x: (x.retain_grad(), x)[1])(scalar(t)),
)

# vjp, jvp, linearize ------------------------------------------------------------------------------
table(
    "vjp",
    value_and_product=lambda t: (lambda y, f: (y, f(y)))(*t.func.vjp(mixing(t), vector(t))),
    twice=lambda t: (lambda y, f: (f(y), f(y * 2)))(*t.func.vjp(mixing(t), vector(t))),
    trees=lambda t: listed(
        (lambda y, f: f((y[0], {"c": y[1]["c"]})))(
            *t.func.vjp(lambda a, b: (a * b, {"c": a + b}), scalar(t), vector(t))
        )
    ),
    aux=lambda t: (lambda y, f, aux: (y, f(y), aux, aux.requires_grad))(
        *t.func.vjp(lambda x: (x**2, x + 1), vector(t), has_aux=True)
    ),
    of_a_constant=lambda t: t.func.vjp(lambda x: t.ones(2), scalar(t))[1](t.ones(2)),
    without_primals=lambda t: t.func.vjp(lambda: scalar(t))[0],
    tracked_primal=lambda t: [
        requires(t.func.vjp(lambda x: x.sin(), scalar(t, True))[0]),
        requires(t.func.vjp(lambda x: x.sin(), scalar(t, True))[1](scalar(t))[0]),
    ],
    tracked_cotangent=lambda t: requires(
        t.func.vjp(lambda x: x.sin(), scalar(t))[1](scalar(t, True))[0]
    ),
    product_in_no_grad=lambda t: requires(
        t.no_grad()(t.func.vjp(lambda x: x.sin(), scalar(t, True))[1])(scalar(t))[0]
    ),
    grad_of_its_product=lambda t: t.func.grad(lambda x: t.func.vjp(lambda y: y.sin(), x)[1](x)[0])(
        scalar(t)
    ),
    product_mapped=lambda t: t.func.vmap(t.func.vjp(mixing(t), vector(t))[1])(
        t.eye(2, dtype=t.float64)
    ),
    refuses_other_structure=lambda t: t.func.vjp(lambda x: x, scalar(t))[1]((scalar(t),)),
    refuses_other_shape=lambda t: t.func.vjp(lambda x: x * 2, scalar(t))[1](vector(t)),
    refuses_numbers=lambda t: t.func.vjp(lambda x, y: x * y, scalar(t), 2.0),
    refuses_returned_numbers=lambda t: t.func.vjp(lambda x: 2.0, scalar(t)),
    refuses_nothing=lambda t: t.func.vjp(lambda x: (), scalar(t)),
    refuses_aux_without_a_pair=lambda t: t.func.vjp(lambda x: x * 2, scalar(t), has_aux=True),
)
table(
    "jvp",
    value_and_product=lambda t: t.func.jvp(mixing(t), (vector(t),), (vector(t),)),
    trees=lambda t: listed(
        t.func.jvp(
            lambda d: {"o": d["a"] * d["b"][0]},
            ({"a": scalar(t), "b": [vector(t)]},),
            ({"a": scalar(t), "b": [vector(t)]},),
        )
    ),
    aux=lambda t: t.func.jvp(lambda x: (x**2, x + 1), (scalar(t),), (scalar(t),), has_aux=True),
    of_a_constant=lambda t: t.func.jvp(lambda x: t.ones(2), (scalar(t),), (scalar(t),)),
    tracked=lambda t: [requires(y) for y in t.func.jvp(t.sin, (scalar(t, True),), (scalar(t),))],
    nested=lambda t: t.func.jvp(
        lambda x: t.func.jvp(lambda y: y**4, (x,), (x,))[1], (scalar(t),), (scalar(t),)
    ),
    confusion=lambda t: t.func.jvp(
        lambda x: x * t.func.jvp(lambda y: x + y, (scalar(t),), (scalar(t) / 2,))[1],
        (scalar(t),),
        (scalar(t),),
    ),
    of_grad=lambda t: t.func.jvp(t.func.grad(energy(t)), (vector(t),), (vector(t),)),
    grad_of=lambda t: t.func.grad(lambda x: t.func.jvp(energy(t), (x,), (x,))[1])(vector(t)),
    of_vjp=lambda t: t.func.jvp(
        lambda x: t.func.vjp(mixing(t), x)[1](t.ones(2, dtype=t.float64))[0],
        (vector(t),),
        (vector(t),),
    ),
    linearized=lambda t: (lambda y, f: (y, f(vector(t)), f(vector(t) * 2)))(
        *t.func.linearize(mixing(t), vector(t))
    ),
    refuses_a_tensor_for_a_tuple=lambda t: t.func.jvp(t.sin, scalar(t), scalar(t)),
    refuses_other_structure=lambda t: t.func.jvp(t.sin, (scalar(t),), (scalar(t),) * 2),
    refuses_other_shape=lambda t: t.func.jvp(t.sin, (scalar(t),), (vector(t),)),
    refuses_independence_if_strict=lambda t: t.func.jvp(
        lambda x: t.ones(2), (scalar(t),), (scalar(t),), strict=True
    ),
    refuses_nothing=lambda t: t.func.jvp(lambda: scalar(t), (), ()),
    refuses_numbers=lambda t: t.func.jvp(lambda x: 2.0, (scalar(t),), (scalar(t),)),
    refuses_aux_without_a_pair=lambda t: t.func.jvp(
        lambda x: x, (scalar(t),), (scalar(t),), has_aux=True
    ),
    refuses_writing_to_a_captured_tensor=lambda t: (
        lambda c: t.func.jvp(lambda x: (c.add_(1), x)[1], (scalar(t),), (scalar(t),))
    )(vector(t)),
    linearized_refuses_other_shape=lambda t: t.func.linearize(t.sin, scalar(t))[1](vector(t)),
)


@pytest.mark.parametrize("name", CASES)
def test_a_transform_comes_to_what_it_does_in_torch(engine: Any, name: str) -> None:
    # torch's linearize warns of what its tracer does
    expected = replace(outcome(CASES[name], pytorch), warned=())
    assert_same(expected, outcome(CASES[name], engine))


def test_vmap_says_why_it_takes_no_branch(engine: Any) -> None:
    for shape in ((2,), (2, 3)):
        with pytest.raises(RuntimeError, match=r"cannot take a branch .*use where\(\)"):
            engine.func.vmap(lambda u: u if u > 0 else -u)(engine.ones(*shape))
