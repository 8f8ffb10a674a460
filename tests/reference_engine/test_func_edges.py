"""The edges of ``torch.func``: arguments of unusual structure, dtype or number, and randomness."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine.outcome import assert_same, outcome
from tests.reference_engine.test_func import matrix, scalar, vector

Pair = namedtuple("Pair", "a b")
CASES: dict[str, Callable[[Any], Any]] = {}


def table(group: str, **cases: Callable[[Any], Any]) -> None:
    """Adds scenarios of one group."""
    for name, scenario in cases.items():
        CASES[f"{group}-{name}"] = scenario


def z(t: Any) -> Any:
    return t.tensor([1 + 2j, 0.5 - 1j], dtype=t.complex128)


def total(*xs: Any) -> Any:
    return sum((x**3).sum() for x in xs)


for name in ("grad", "jacrev", "jacfwd", "hessian"):

    def way(t: Any, function: Any, name: str = name, **options: Any) -> Any:
        return getattr(t.func, name)(function, **options)

    table(
        name,
        several=lambda t, way=way: way(t, total, argnums=(1, 0))(vector(t), scalar(t)),
        one_in_a_tuple=lambda t, way=way: way(t, total, argnums=(1,))(vector(t), scalar(t)),
        the_same_twice=lambda t, way=way: way(t, total, argnums=(0, -2))(vector(t), scalar(t)),
        none=lambda t, way=way: way(t, total, argnums=())(vector(t)),
        a_list_of_numbers=lambda t, way=way: way(t, total, argnums=[0])(vector(t)),
        complex_input=lambda t, way=way: way(t, lambda x: (x * x.conj()).real.sum())(z(t)),
        complex_output=lambda t, way=way: way(t, lambda x: (x * (1 + 2j)).sum())(vector(t)),
        integers=lambda t, way=way: way(t, total)(t.arange(3)),
        integer_output=lambda t, way=way: way(t, lambda x: x.argmax())(vector(t)),
        bool_output=lambda t, way=way: way(t, lambda x: (x > 0).any())(vector(t)),
        no_output=lambda t, way=way: way(t, lambda x: None)(vector(t)),
        number_output=lambda t, way=way: way(t, lambda x: 2.0)(vector(t)),
        nothing_used=lambda t, way=way: way(t, lambda x: scalar(t, True) * 1)(vector(t)),
        constant_argument_written=lambda t, way=way: (
            lambda y: (way(t, lambda x, y: (x * y.add_(1)).sum())(vector(t), y), y)
        )(vector(t)),
        input_written=lambda t, way=way: way(t, lambda x: x.mul_(2).sum())(vector(t)),
        mapped_in_chunks=lambda t, way=way: t.func.vmap(way(t, total), chunk_size=1)(matrix(t)),
        in_no_grad_of_tracked=lambda t, way=way: t.no_grad()(
            lambda: way(t, total)(vector(t, True))
        )(),
        in_inference_mode=lambda t, way=way: t.inference_mode()(
            lambda: way(t, total)(vector(t)).tolist()
        )(),
        of_captured_inference_tensors=lambda t, way=way: t.inference_mode()(
            lambda: (lambda w: way(t, lambda x: (x**2 * w).sum())(vector(t)).tolist())(vector(t))
        )(),
        autograd_inside=lambda t, way=way: way(
            t, lambda x: t.autograd.grad(total(x), x, create_graph=True)[0].sum()
        )(vector(t)),
    )  # fmt: skip
    if name != "hessian":
        table(
            f"{name}-aux",
            tracked=lambda t, way=way: way(t, lambda x: (total(x), x * 2), has_aux=True)(
                vector(t, True)
            ),
            number=lambda t, way=way: way(t, lambda x: (total(x), 3), has_aux=True)(vector(t)),
            list=lambda t, way=way: way(t, lambda x: [total(x), x], has_aux=True)(vector(t)),
            three=lambda t, way=way: way(t, lambda x: (total(x), x, x), has_aux=True)(vector(t)),
        )
table(
    "vjp",
    number_as_cotangent=lambda t: t.func.vjp(total, vector(t))[1](1.0),
    other_shape=lambda t: t.func.vjp(lambda x: x**2, vector(t))[1](scalar(t)),
    list_for_tuple=lambda t: t.func.vjp(lambda x: (x, x), vector(t))[1]([vector(t), vector(t)]),
    integer_output=lambda t: t.func.vjp(lambda x: x.long(), vector(t)),
    of_nothing=lambda t: t.func.vjp(lambda: vector(t))[0],
    after_it_was_let_go=lambda t: (
        lambda pull: (pull(vector(t), retain_graph=False), pull(vector(t)))
    )(t.func.vjp(lambda x: x**2, vector(t))[1]),
)
table(
    "jvp",
    in_inference_mode=lambda t: t.inference_mode()(
        lambda: t.func.jvp(total, (vector(t),), (vector(t),))[1].tolist()
    )(),
    integers=lambda t: t.func.jvp(lambda x: x, (t.arange(3),), (t.arange(3),)),
    integer_tangent=lambda t: t.func.jvp(lambda x: x, (vector(t),), (t.arange(3),)),
    list_of_tangents=lambda t: t.func.jvp(lambda x: x, (vector(t),), [vector(t)]),
    too_few=lambda t: t.func.jvp(lambda x, y: x, (vector(t), vector(t)), (vector(t),)),
    aux_that_is_no_tensor=lambda t: t.func.jvp(
        lambda x: (x**2, 3), (vector(t),), (vector(t),), has_aux=True
    ),
)
table(
    "in_dims",
    list_of_all=lambda t: t.func.vmap(lambda a, b: a * b, in_dims=[0, None])(vector(t), scalar(t)),
    list_inside=lambda t: t.func.vmap(lambda p: p[0] * p[1], in_dims=([0, None],))(
        [vector(t), 2.0]
    ),
    tuple_for_list=lambda t: t.func.vmap(lambda p: p[0], in_dims=((0,),))([vector(t)]),
    named_tuple=lambda t: t.func.vmap(lambda p: p.a * p.b, in_dims=(Pair(0, None),))(
        Pair(vector(t), scalar(t))
    ),
    ordered_dict=lambda t: t.func.vmap(lambda p: p["a"], in_dims=({"a": 0},))(
        OrderedDict(a=vector(t))
    ),
    part_of_a_dict=lambda t: t.func.vmap(lambda p: p["a"] * p["b"], in_dims=({"a": 0},))(
        {"a": vector(t), "b": vector(t)}
    ),
    keyword_only=lambda t: t.func.vmap(lambda k: k)(k=vector(t)),
)  # fmt: skip
table(
    "out_dims",
    tuple_for_list=lambda t: t.func.vmap(lambda x: [x, x], out_dims=(0, 0))(vector(t)),
    list_for_tuple=lambda t: t.func.vmap(lambda x: (x, x), out_dims=[0, 0])(vector(t)),
    dict_of_tuples=lambda t: list(
        t.func.vmap(lambda x: {"a": x, "b": (x, x * 2)}, out_dims={"a": 0, "b": 0})(
            vector(t)
        ).values()
    ),
    too_many=lambda t: t.func.vmap(lambda x: (x, x), out_dims=(0, 0, 0))(vector(t)),
    far_behind=lambda t: t.func.vmap(lambda x: x * 1, out_dims=-3)(matrix(t)),
    nothing=lambda t: t.func.vmap(lambda x: None)(vector(t)),
    nothing_as_none=lambda t: t.func.vmap(lambda x: None, out_dims=None)(vector(t)),
    empty=lambda t: t.func.vmap(lambda x: ())(vector(t)),
)


def agree(y: Any) -> bool:
    return bool((y[0] == y[1]).all())


for how in ("same", "different", "error"):
    for chunk in (None, 1):
        table(
            f"randomness={how},chunk_size={chunk}",
            drawn=lambda t, how=how, chunk=chunk: agree(
                t.func.vmap(lambda x: t.rand(9) + 0 * x, randomness=how, chunk_size=chunk)(
                    vector(t)
                )
            ),
            like=lambda t, how=how, chunk=chunk: agree(
                t.func.vmap(t.randn_like, randomness=how, chunk_size=chunk)(t.ones(2, 9))
            ),
            dropped=lambda t, how=how, chunk=chunk: agree(
                t.func.vmap(t.nn.functional.dropout, randomness=how, chunk_size=chunk)(
                    t.ones(2, 60)
                )
            ),
        )


def written(write: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """The sum of the squares of x + 1 after an in-place write to it."""

    def function(x: Any) -> Any:
        y = x + 1.0
        write(y, x)
        return (y * y).sum()

    return function


for name, write in {
    "mul": lambda y, x: y.mul_(x),
    "twice": lambda y, x: y.mul_(x).mul_(x),
    "div": lambda y, x: y.div_(x.exp()),
    "pow": lambda y, x: y.pow_(3),
    "exp": lambda y, x: y.exp_(),
    "slice": lambda y, x: y[:2].mul_(x[1:]),
    "view": lambda y, x: y.view(3, 1).mul_(x.view(3, 1)),
    "item": lambda y, x: y.__setitem__(0, y[1] * y[2]),
    "addcmul": lambda y, x: y.addcmul_(x, x),
}.items():
    for outer, inner in (("jacfwd", "jacrev"), ("jacrev", "jacfwd"), ("jacfwd", "jacfwd")):
        table(
            f"in_place-{outer}-{inner}",
            **{
                name: lambda t, write=write, outer=outer, inner=inner: getattr(t.func, outer)(
                    getattr(t.func, inner)(written(write))
                )(vector(t))
            },
        )


def ruled(t: Any, **options: Any) -> Any:
    """x³ by a Function whose rule for batches multiplies by 10, and whose derivatives are 5."""

    class Cube(t.autograd.Function):  # type: ignore[misc]
        generate_vmap_rule = options.get("generate", False)

        @staticmethod
        def forward(x: Any, k: int = 3) -> Any:
            return x**k

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any, k: int = 3) -> Any:
            assert x.shape[in_dims[0]] == info.batch_size
            assert in_dims[1:] == (None,) * len(in_dims[1:])
            factor = {"error": 10, "same": 20, "different": 30}[info.randomness]
            return options.get("returned", lambda y, d: (y, d))(x**k * factor, in_dims[0])

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 5, None

        @staticmethod
        def jvp(ctx: Any, t: Any, _: Any = None) -> Any:
            return t * 5

    return Cube.apply


table(
    "vmap_of_a_function",
    plain=lambda t: t.func.vmap(ruled(t))(matrix(t)),
    randomly=lambda t: t.func.vmap(ruled(t), randomness="same")(matrix(t)),
    with_a_number=lambda t: t.func.vmap(lambda x: ruled(t)(x, 2))(matrix(t)),
    twice=lambda t: t.func.vmap(t.func.vmap(ruled(t)))(matrix(t)),
    of_the_outer_batch=lambda t: t.func.vmap(
        lambda x: t.func.vmap(lambda y: ruled(t)(x).sum() * y)(vector(t))
    )(matrix(t)),
    gradient_inside=lambda t: t.func.vmap(t.func.grad_and_value(lambda x: ruled(t)(x).sum()))(
        matrix(t)
    ),
    gradient_outside=lambda t: t.func.grad_and_value(lambda x: t.func.vmap(ruled(t))(x).sum())(
        matrix(t)
    ),
    tangent_inside=lambda t: t.func.vmap(lambda x: t.func.jvp(ruled(t), (x,), (x,)))(matrix(t)),
    tangent_outside=lambda t: t.func.jvp(t.func.vmap(ruled(t)), (matrix(t),), (matrix(t),)),
    not_in_a_batch=lambda t: ruled(t)(matrix(t)),
    shared_by_all=lambda t: t.func.vmap(
        ruled(t, returned=lambda y, d: (y.sum(d), None)), out_dims=None
    )(matrix(t)),
    no_dimensions=lambda t: t.func.vmap(ruled(t, returned=lambda y, d: y))(matrix(t)),
    other_structure=lambda t: t.func.vmap(ruled(t, returned=lambda y, d: (y, (d, d))))(matrix(t)),
    two_rules=lambda t: t.func.vmap(ruled(t, generate=True))(matrix(t)),
)


def layer(t: Any, **options: Any) -> Any:
    made = t.nn.Linear(2, 2, **options).double()
    with t.no_grad():
        for p in made.parameters():
            p.fill_(0.5)
    return made


def called(t: Any, state: Any, module: Any = None, **options: Any) -> Any:
    x = vector(t)[:2]
    return t.func.functional_call(layer(t) if module is None else module, state, x, **options)


def stacked(t: Any, *models: Any) -> Any:
    parameters, buffers = t.func.stack_module_state(models)
    return [[name, x, x.requires_grad] for name, x in parameters.items()], list(buffers)


table(
    "functional_call",
    number_among_dicts=lambda t: called(t, [{}, 3]),
    name_in_another_module=lambda t: called(t, {"other.weight": matrix(t)[:, :2]}),
    unknown_name=lambda t: called(t, {"other": vector(t)}),
    none=lambda t: called(t, {"bias": None}),
    what_is_none=lambda t: called(t, {"bias": vector(t)[:2]}, layer(t, bias=False)),
    strictly_what_is_none=lambda t: called(
        t, {"weight": matrix(t)[:, :2]}, layer(t, bias=False), strict=True
    ),
    strictly_too_little=lambda t: called(t, {"weight": matrix(t)[:, :2]}, strict=True),
    number=lambda t: called(t, {"weight": 2.0}),
    leaves_the_rest=lambda t: (
        lambda m: (called(t, {"weight": matrix(t)[:, :2]}, m).sum().backward(), m.bias.grad)
    )(layer(t)),
)
table(
    "stack_module_state",
    two=lambda t: stacked(t, layer(t), layer(t)),
    none=stacked,
    two_types=lambda t: stacked(t, layer(t), t.nn.Tanh()),
    one_in_training=lambda t: stacked(t, layer(t), layer(t).eval()),
    constant=lambda t: stacked(t, layer(t).requires_grad_(False), layer(t).requires_grad_(False)),
)


table(
    "vmap in chunks",
    written=lambda t: (lambda x: (t.func.vmap(lambda v: v.mul_(2), chunk_size=2)(x), x))(
        vector(t, True) * 1
    ),
)
table(
    "inference mode",
    of_a_gradient=lambda t: t.inference_mode()(
        lambda: t.func.grad(total)(vector(t)).is_inference()
    )(),
    of_jacobians=lambda t: t.inference_mode()(
        lambda: [
            made.is_inference()
            for made in (
                t.func.jacrev(lambda x: x**2)(vector(t)),
                t.func.jacrev(lambda x: x**2, chunk_size=1)(vector(t)),
                t.func.jacfwd(lambda x: x**2)(vector(t)),
                t.func.hessian(total)(vector(t)),
                t.func.vmap(t.func.grad(lambda x: x**2))(vector(t)),
                t.func.vmap(lambda x: x**2)(vector(t)),
            )
        ]
    )(),
    of_maps_of_inference_tensors=lambda t: [
        t.func.vmap(way)(t.inference_mode()(lambda: vector(t))()).is_inference()
        for way in (lambda x: x, lambda x: x * 2)
    ],
    of_a_map=lambda t: t.inference_mode()(
        lambda: t.func.vmap(lambda x: x * t.is_inference_mode_enabled())(vector(t)).tolist()
    )(),
    written_in_a_map=lambda t: t.inference_mode()(
        lambda: (lambda w: (t.func.vmap(lambda x: (w.add_(1), x)[1])(vector(t)), w)[1].tolist())(
            scalar(t)
        )
    )(),
    gradients_of_entries=lambda t: t.inference_mode()(
        lambda: t.func.vmap(t.func.grad(lambda x, w: (x**2 * w).sum()))(
            matrix(t), matrix(t)
        ).tolist()
    )(),
    captured_in_a_map_of_tracked=lambda t: (
        lambda w: t.func.vmap(lambda x: x * w)(vector(t, True))
    )(t.inference_mode()(lambda: scalar(t))()),
)


def written_view(x: Any) -> Any:
    """What is written saves its output, whose derivative is then that of a view."""
    y = x * 2
    y[1:].exp_()
    return y.cos().sum()


table(
    "a written view",
    jvp_of_grad=lambda t: t.func.jvp(t.func.grad(written_view), (vector(t),), (vector(t),)),
    hessian=lambda t: t.func.hessian(written_view)(vector(t)),
    grad_of_jvp=lambda t: t.func.grad(lambda x: t.func.jvp(written_view, (x,), (vector(t),))[1])(
        vector(t)
    ),
    jacfwd_of_grad=lambda t: t.func.jacfwd(t.func.grad(written_view))(vector(t)),
)


@pytest.mark.parametrize("name", CASES)
def test_an_edge_of_a_transform_is_as_in_torch(engine: Any, name: str) -> None:
    assert_same(replace(outcome(CASES[name], pytorch), warned=()), outcome(CASES[name], engine))


@pytest.mark.parametrize("name", ["jacfwd", "hessian"])
def test_an_argument_may_be_counted_from_behind(engine: Any, name: str) -> None:
    """PyTorch's ``jacfwd`` gives zeros here: it puts the dual number in another place."""
    transform = getattr(engine.func, name)
    given = vector(engine), scalar(engine)
    behind, before = transform(total, argnums=-1)(*given), transform(total, argnums=1)(*given)
    assert behind.tolist() == before.tolist() == 12.0
