"""``jacrev``, ``jacfwd``, ``hessian``, ``vmap`` and ``functional_call`` against ``torch.func``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.outcome import assert_as_in_torch
from tests.reference_engine.test_func import (
    energy,
    listed,
    matrix,
    mixing,
    requires,
    scalar,
    vector,
)

CASES: dict[str, Any] = {}


def table(group: str, **cases: Any) -> None:
    """Adds scenarios of one group."""
    for name, scenario in cases.items():
        CASES[f"{group}-{name}"] = scenario


def two(t: Any) -> Any:
    """Two inputs, two outputs."""
    return lambda x, y: (x.sin() * y, (x * y).sum())


for way in ("jacrev", "jacfwd"):
    table(
        way,
        vector=lambda t, w=way: getattr(t.func, w)(mixing(t))(vector(t)),
        scalar=lambda t, w=way: getattr(t.func, w)(lambda x: x.sin())(scalar(t)),
        matrix=lambda t, w=way: getattr(t.func, w)(lambda x: x @ x.T)(matrix(t)),
        second_argument=lambda t, w=way: getattr(t.func, w)(two(t), 1)(vector(t), vector(t)),
        two_arguments=lambda t, w=way: getattr(t.func, w)(two(t), (0, 1))(vector(t), vector(t)),
        one_tuple=lambda t, w=way: getattr(t.func, w)(lambda x: (x * 2,), (0,))(vector(t)),
        tree=lambda t, w=way: listed(
            getattr(t.func, w)(lambda d: {"o": d["a"] * d["b"][0]})(
                {"a": vector(t), "b": [scalar(t)]}
            )
        ),
        aux=lambda t, w=way: getattr(t.func, w)(lambda x: (x**2, x + 1), has_aux=True)(vector(t)),
        constant=lambda t, w=way: getattr(t.func, w)(lambda x: (x * 2, t.ones(2, dtype=t.float64)))(
            vector(t)
        ),
        tracked=lambda t, w=way: requires(getattr(t.func, w)(mixing(t))(vector(t, True))),
        untracked=lambda t, w=way: requires(getattr(t.func, w)(mixing(t))(vector(t))),
        once=lambda t, w=way: (
            lambda calls: (
                getattr(t.func, w)(lambda x: (calls.append(1), x * 2)[1])(vector(t)),
                calls,
            )
        )([])[1],
        of_itself=lambda t, w=way: getattr(t.func, w)(getattr(t.func, w)(mixing(t)))(vector(t)),
        three_deep=lambda t, w=way: getattr(t.func, w)(
            getattr(t.func, w)(getattr(t.func, w)(lambda x: (x.sin() * x.prod()).sum()))
        )(vector(t)),
        of_grad=lambda t, w=way: getattr(t.func, w)(t.func.grad(energy(t)))(vector(t)),
        mapped=lambda t, w=way: t.func.vmap(getattr(t.func, w)(mixing(t)))(matrix(t)),
        refuses_numbers=lambda t, w=way: getattr(t.func, w)(lambda x: 2.0)(vector(t)),
        refuses_no_arguments=lambda t, w=way: getattr(t.func, w)(lambda: vector(t))(),
    )
table(
    "jacobians",
    in_chunks=lambda t: t.func.jacrev(mixing(t), chunk_size=1)(vector(t)),
    chunk_of_nothing=lambda t: t.func.jacrev(mixing(t), chunk_size=0)(vector(t)),
    of_integers=lambda t: t.func.jacrev(lambda x: x * 1.0)(t.arange(3)),
    forward_of_reverse=lambda t: t.func.jacfwd(t.func.jacrev(mixing(t)))(vector(t)),
    reverse_of_forward=lambda t: t.func.jacrev(t.func.jacfwd(mixing(t)))(vector(t)),
    hessian=lambda t: t.func.hessian(energy(t))(vector(t)),
    hessian_of_two=lambda t: t.func.hessian(lambda x, y: (x.sin() * y.exp()).sum(), (0, 1))(
        vector(t), vector(t)
    ),
    hessian_of_a_vector=lambda t: t.func.hessian(mixing(t))(vector(t)),
    untracked_hessian=lambda t: requires(t.func.hessian(energy(t))(vector(t))),
    hessian_vector_product=lambda t: t.func.jvp(t.func.grad(energy(t)), (vector(t),), (vector(t),))[
        1
    ],
    mapped_hessian=lambda t: t.func.vmap(t.func.hessian(energy(t)))(matrix(t)),
)
table(
    "vmap",
    one=lambda t: t.func.vmap(lambda x: x.sin())(vector(t)),
    rows=lambda t: t.func.vmap(lambda x: (x * x).sum())(matrix(t)),
    columns=lambda t: t.func.vmap(lambda x: x.prod(), in_dims=1)(matrix(t)),
    last_dimension=lambda t: t.func.vmap(lambda x: x * 2, in_dims=-1, out_dims=-1)(matrix(t)),
    dot=lambda t: t.func.vmap(t.dot)(matrix(t), matrix(t)),
    shared=lambda t: t.func.vmap(t.dot, in_dims=(0, None))(matrix(t), vector(t)),
    captured=lambda t: t.func.vmap(lambda x: x * vector(t))(matrix(t)),
    matmul=lambda t: t.func.vmap(lambda x: matrix(t) @ x)(matrix(t)),
    tuples=lambda t: t.func.vmap(lambda x: (x, [x.sum()]), out_dims=(1, [0]))(matrix(t)),
    tree=lambda t: listed(
        t.func.vmap(lambda d: {"o": d["a"] * d["b"][0]}, in_dims=({"a": 0, "b": [None]},))(
            {"a": vector(t), "b": [scalar(t)]}
        )
    ),
    prefix=lambda t: t.func.vmap(lambda p, y: p[0] * p[1] * y, in_dims=(0, None))(
        (vector(t), vector(t)), scalar(t)
    ),
    keywords=lambda t: t.func.vmap(lambda x, k: x * k)(vector(t), k=vector(t)),
    unbatched_result=lambda t: t.func.vmap(lambda x: t.ones(2))(vector(t)),
    shared_result=lambda t: t.func.vmap(lambda x: (x, t.ones(2)), out_dims=(0, None))(vector(t)),
    empty=lambda t: t.func.vmap(lambda x: x.sin().sum())(t.zeros(0, 3)),
    chunks=lambda t: t.func.vmap(lambda x: (x * 2, x.sum()), out_dims=(1, 0), chunk_size=2)(
        t.arange(15.0).reshape(5, 3)
    ),
    chunk_of_nothing=lambda t: t.func.vmap(lambda x: x, chunk_size=0)(vector(t)),
    nested=lambda t: t.func.vmap(
        t.func.vmap(lambda x, y: x * y, in_dims=(0, None)), in_dims=(None, 0)
    )(vector(t), vector(t) * 10),
    three_deep=lambda t: t.func.vmap(t.func.vmap(t.func.vmap(lambda x: x * x + 1)))(
        t.arange(24.0).reshape(2, 3, 4)
    ),
    of_grad=lambda t: t.func.vmap(t.func.grad(energy(t)))(matrix(t)),
    per_sample_gradients=lambda t: t.func.vmap(
        t.func.grad(lambda w, x, y: ((w * x).sum() - y) ** 2), in_dims=(None, 0, 0)
    )(vector(t), matrix(t), vector(t)[:2]),
    grad_of=lambda t: t.func.grad(lambda x: t.func.vmap(energy(t))(x).sum())(matrix(t)),
    grad_to_captured=lambda t: t.func.grad(
        lambda w: t.func.vmap(lambda x: (w * x).sin().sum())(matrix(t)).sum()
    )(vector(t)),
    grad_to_inner_of_captured_twice=lambda t: t.func.grad(
        lambda w: t.func.vmap(t.func.vmap(lambda x: w * x * w))(matrix(t)).sum()
    )(scalar(t)),
    grad_grad_of=lambda t: t.func.grad(
        lambda x: t.func.grad(lambda y: t.func.vmap(lambda z: z.sin() * z)(y).sum())(x).prod()
    )(vector(t)),
    hessian_of=lambda t: t.func.hessian(
        lambda x: t.func.vmap(lambda z: z.sin() * x.sum())(x).sum()
    )(vector(t)),
    of_vmap_of_grad=lambda t: t.func.vmap(
        lambda x: t.func.vmap(t.func.grad(lambda y: x * y**3))(vector(t))
    )(vector(t)),
    of_grad_of_vmap=lambda t: t.func.vmap(
        t.func.grad(lambda x: t.func.vmap(lambda y: (x * y).sum())(vector(t)).sum())
    )(matrix(t)),
    of_second_derivative=lambda t: t.func.vmap(t.func.grad(t.func.grad(lambda x: x.sin() * x)))(
        vector(t)
    ),
    of_jvp=lambda t: t.func.vmap(lambda x, v: t.func.jvp(energy(t), (x,), (v,))[1])(
        matrix(t), matrix(t)
    ),
    jvp_of=lambda t: t.func.jvp(t.func.vmap(energy(t)), (matrix(t),), (matrix(t),)),
    of_vjp=lambda t: t.func.vmap(lambda x: t.func.vjp(mixing(t), x)[1](x[:2])[0])(matrix(t)),
    of_autograd_grad=lambda t: (
        lambda x: (
            lambda y: t.func.vmap(lambda v: t.autograd.grad(y, x, v, retain_graph=True)[0])(
                t.eye(3, dtype=t.float64)
            )
        )(x.sin() * x)
    )(vector(t, True)),
    index_by_batch=lambda t: t.func.vmap(lambda i: vector(t)[i.reshape(1)])(t.tensor([2, 0])),
    gather_by_batch=lambda t: t.func.vmap(lambda x, i: x.gather(0, i))(
        matrix(t), t.tensor([[2], [0]])
    ),
    where=lambda t: t.func.vmap(lambda x: t.where(x > 0, x, x * 10))(vector(t)),
    linear_algebra=lambda t: t.func.vmap(
        lambda x: t.linalg.inv(t.outer(x, x) + t.eye(3, dtype=t.float64))
    )(matrix(t)),
    softmax=lambda t: t.func.vmap(lambda x: t.softmax(x, 0))(matrix(t)),
    views=lambda t: t.func.vmap(lambda x: x[1:].unsqueeze(0).expand(2, 2).T)(matrix(t)),
    written_entry=lambda t: t.func.vmap(lambda x: (lambda y: (y.__setitem__(1, 7.0), y)[1])(x * 1))(
        matrix(t)
    ),
    new_zeros=lambda t: t.func.vmap(lambda x: x.new_zeros(()).add_(x))(vector(t)),
    zeros_like=lambda t: t.func.vmap(lambda x: t.zeros_like(x).add_(x))(vector(t)),
    captured_written_alike=lambda t: (
        lambda c: (t.func.vmap(lambda x: (c.add_(1), x)[1])(vector(t)), c)
    )(t.zeros(2)),
    input_written=lambda t: (lambda x: (t.func.vmap(lambda r: r.add_(1))(x), x))(matrix(t)),
    once=lambda t: (
        lambda calls: (t.func.vmap(lambda x: (calls.append(1), x)[1])(vector(t)), calls)[1]
    )([]),
    same_randomness=lambda t: (
        lambda y: [bool((y[0] == y[1]).all()), bool((y[0] == y[0, 0]).all())]
    )(t.func.vmap(lambda x: x * 0 + t.rand(2), randomness="same")(vector(t))),
    different_randomness=lambda t: bool(
        (lambda y: y[0, 0] != y[1, 0])(
            t.func.vmap(lambda x: t.rand(2), randomness="different")(vector(t))
        )
    ),
    same_dropout=lambda t: (lambda y: bool((y[0] == y[1]).all()))(
        t.func.vmap(t.nn.functional.dropout, randomness="same")(t.ones(2, 50))
    ),
    different_dropout=lambda t: (lambda y: bool((y[0] == y[1]).all()))(
        t.func.vmap(t.nn.functional.dropout, randomness="different")(t.ones(2, 50))
    ),
    as_torch_vmap=lambda t: t.vmap(lambda x: x + 1)(vector(t)),
)
table(
    "vmap-refuses",
    control_flow=lambda t: t.func.vmap(lambda x: x if x > 0 else -x)(vector(t)),
    item=lambda t: t.func.vmap(lambda x: x.item())(vector(t)),
    tolist=lambda t: t.func.vmap(lambda x: x.tolist())(vector(t)),
    numpy=lambda t: t.func.vmap(lambda x: x.numpy())(vector(t)),
    nonzero=lambda t: t.func.vmap(lambda x: x.nonzero())(matrix(t)),
    masks=lambda t: t.func.vmap(lambda x: x[x > 0])(matrix(t)),
    backward=lambda t: t.func.vmap(lambda x: ((x * x).backward(), x)[1])(vector(t, True)),
    batched_into_unbatched=lambda t: t.func.vmap(
        lambda x: (lambda y: (y.__setitem__(0, x), y)[1])(t.zeros(3, dtype=t.float64))
    )(vector(t)),
    random_numbers=lambda t: t.func.vmap(lambda x: x + t.rand(2))(vector(t)),
    dropout=lambda t: t.func.vmap(t.nn.functional.dropout)(matrix(t)),
    odd_randomness=lambda t: t.func.vmap(lambda x: x, randomness="odd")(vector(t)),
    no_inputs=lambda t: t.func.vmap(lambda: vector(t))(),
    no_mapped_inputs=lambda t: t.func.vmap(lambda x: x, in_dims=None)(vector(t)),
    only_shared_inputs=lambda t: t.func.vmap(lambda x: x, in_dims=(None,))(vector(t)),
    sizes=lambda t: t.func.vmap(lambda x, y: x + y)(vector(t), t.ones(2)),
    scalars=lambda t: t.func.vmap(lambda x: x)(scalar(t)),
    numbers=lambda t: t.func.vmap(lambda x: x)(2),
    far_in_dims=lambda t: t.func.vmap(lambda x: x, in_dims=3)(vector(t)),
    other_in_dims=lambda t: t.func.vmap(lambda x: x, in_dims=(0, 0))(vector(t)),
    string_in_dims=lambda t: t.func.vmap(lambda x: x, in_dims="a")(vector(t)),
    float_in_dims=lambda t: t.func.vmap(lambda x: x, in_dims=(0.5,))(vector(t)),
    far_out_dims=lambda t: t.func.vmap(lambda x: x, out_dims=3)(vector(t)),
    other_out_dims=lambda t: t.func.vmap(lambda x: x, out_dims=(0, 0))(vector(t)),
    returned_numbers=lambda t: t.func.vmap(lambda x: 1.0)(vector(t)),
    shared_out_dim_of_batched=lambda t: t.func.vmap(lambda x: x, out_dims=None)(vector(t)),
    random_jacobian=lambda t: t.func.jacfwd(lambda x: x * t.rand(3))(vector(t)),
)


@pytest.mark.parametrize("name", CASES)
def test_a_transform_comes_to_what_it_does_in_torch(engine: Any, name: str) -> None:
    assert_as_in_torch(CASES[name], engine)


# functional_call ----------------------------------------------------------------------------------
def layer(t: Any) -> Any:
    made = t.nn.Linear(2, 1).double()
    with t.no_grad():
        made.weight.copy_(t.tensor([[2.0, 3.0]]))
        made.bias.fill_(1.0)
    return made


def tied(t: Any) -> Any:
    made = t.nn.Sequential(t.nn.Linear(2, 2, bias=False), t.nn.Linear(2, 2, bias=False))
    made[1].weight = made[0].weight
    return made


def call(t: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
    return t.func.functional_call(module, *args, **kwargs)


def failing(t: Any) -> Any:
    """A module whose forward writes to its buffer, then fails; what is left of both."""

    class Failing(t.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.w = t.nn.Parameter(t.ones(1))
            self.register_buffer("n", t.zeros(1))

        def forward(self, x: Any) -> Any:
            self.n.add_(1)
            raise KeyError("x")

    module, n = Failing(), t.zeros(1)
    try:
        call(t, module, {"w": t.zeros(1), "n": n}, t.ones(1))
    except KeyError:
        return module.w, module.n, n


FUNCTIONAL: dict[str, Any] = {
    "own": lambda t: call(t, layer(t), dict(layer(t).named_parameters()), vector(t)[:2]),
    "other": lambda t: call(t, layer(t), {"weight": vector(t)[None, :2]}, vector(t)[:2]),
    "tuple_of_arguments": lambda t: call(t, layer(t), {}, (vector(t)[:2],)),
    "several_dicts": lambda t: call(
        t, layer(t), ({"weight": matrix(t)[:1, :2]}, {"bias": vector(t)[:1]}), vector(t)[:2]
    ),
    "unknown_name": lambda t: call(t, layer(t), {"foo": vector(t)}, vector(t)[:2]),
    "gradient": lambda t: listed(
        t.func.grad(lambda p: call(t, layer(t), p, vector(t)[:2]).sum())(
            {"weight": matrix(t)[:1, :2], "bias": vector(t)[:1]}
        )
    ),
    "ensemble": lambda t: t.func.vmap(lambda p: call(t, layer(t), p, vector(t)[:2]))({
        "weight": t.ones(4, 1, 2, dtype=t.float64),
        "bias": t.arange(4.0, dtype=t.float64)[:, None],
    }),
    "tied": lambda t: call(t, tied(t), {"0.weight": t.ones(2, 2)}, t.ones(2)),
    "tied_two_values": lambda t: call(
        t, tied(t), {"0.weight": t.ones(2, 2), "1.weight": t.zeros(2, 2)}, t.ones(2)
    ),
    "untied_two_values": lambda t: call(
        t, tied(t), {"0.weight": t.ones(2, 2), "1.weight": t.ones(2, 2) * 2}, t.ones(2),
        tie_weights=False,
    ),
    "restores_after_an_exception": failing,
    "refuses_a_name_twice": lambda t: call(
        t, layer(t), ({"bias": vector(t)}, {"bias": vector(t)}), vector(t)[:2]
    ),
    "refuses_no_dict": lambda t: call(t, layer(t), 3, vector(t)[:2]),
    "refuses_no_tensor": lambda t: call(t, layer(t), {"weight": 3.0}, vector(t)[:2]),
    "refuses_unknown_if_strict": lambda t:
        call(t, layer(t), {"foo": vector(t)}, vector(t), strict=True),
    "refuses_missing_if_strict": lambda t:
        call(t, layer(t), {"bias": vector(t)}, vector(t), strict=True),
    "refuses_without_arguments": lambda t: call(t, layer(t), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional_call_comes_to_what_it_does_in_torch(engine: Any, name: str) -> None:
    assert_as_in_torch(FUNCTIONAL[name], engine)
