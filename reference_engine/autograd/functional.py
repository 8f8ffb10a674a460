"""The names of ``torch.autograd.functional``: products with Jacobians and Hessians, and these.

Inputs, outputs and vectors are tensors or tuples of them. Results can be differentiated if
``create_graph``. With ``strict``, RuntimeError for an output that does not depend on every input,
and with ``create_graph`` also for a result that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from reference_engine import forward
from reference_engine.backward import grad
from reference_engine.func import reverse
from reference_engine.func.tangents import jacfwd
from reference_engine.modes import enable_grad
from reference_engine.tensor import Tensor

Tensors: TypeAlias = "Tensor | tuple[Tensor, ...]"
Function: TypeAlias = "Callable[..., Any]"


def _several(what: str, given: Any) -> tuple[Tensor, ...]:
    found = given if isinstance(given, (tuple, list)) else (given,)
    for x in found:
        if not isinstance(x, Tensor):
            raise TypeError(f"{what} must be Tensors, got {type(x).__name__}")
    return tuple(found)


def _like(given: Any, results: Sequence[Any]) -> Any:
    """A tuple where ``given`` is one, else the only result."""
    return tuple(results) if isinstance(given, (tuple, list)) else results[0]


def _inputs(inputs: Any, create_graph: bool) -> tuple[Tensor, ...]:
    """The inputs as the function gets them: joined to the given ones, or leaves of their own."""
    found = _several("inputs", inputs)
    return tuple(
        x.view(x.shape) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in found
    )


def _vector(v: Any, like: Sequence[Tensor], what: str) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) != 1 or like[0].shape.numel() != 1:
            raise RuntimeError(f"v can be left out only for {what} of one element in all")
        return (like[0].detach().new_ones(tuple(like[0].shape)),)
    found = _several("v", v)
    if [x.shape for x in found] != [x.shape for x in like]:
        shapes = [list(x.shape) for x in found], [list(x.shape) for x in like]
        raise RuntimeError(f"v has shapes {shapes[0]}; it needs those of {what}, {shapes[1]}")
    return found


def _scalar(name: str, func: Function, xs: Sequence[Tensor], strict: bool) -> Tensor:
    made = func(*xs)
    outputs = _several(f"what the function given to {name} returns", made)
    if isinstance(made, tuple) or outputs[0].shape.numel() != 1:
        raise RuntimeError(f"{name} needs a function that returns one tensor of one element")
    _check_tracked(outputs, strict)
    return outputs[0].reshape(())  # type: ignore[no-any-return]


def _check_tracked(outputs: Sequence[Tensor], strict: bool) -> None:
    for i, y in enumerate(outputs):
        if strict and not y.requires_grad:
            raise RuntimeError(f"output {i} does not depend on the inputs, as strict=True demands")


def _gradients(
    outputs: Sequence[Tensor],
    xs: Sequence[Tensor],
    v: Sequence[Tensor] | None,
    create_graph: bool,
    strict: bool,
) -> list[Tensor]:
    """Vector-Jacobian products, zeros where there is no dependence."""
    weights: Sequence[Any] = [None] * len(outputs) if v is None else v
    pairs = [(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    followed = [x.requires_grad for x in xs]
    found = iter(
        grad(
            [y for y, _ in pairs], [x for x in xs if x.requires_grad], [w for _, w in pairs],
            retain_graph=True, create_graph=create_graph, allow_unused=True,
        ) if pairs and any(followed) else [None] * sum(followed)
    )  # fmt: skip
    made = [next(found) if follow else None for follow in followed]
    return [
        _filled(g, x, i, create_graph, strict)
        for i, (g, x) in enumerate(zip(made, xs, strict=True))
    ]


def _filled(g: Tensor | None, like: Tensor, i: int, create_graph: bool, strict: bool) -> Tensor:
    if strict and (g is None or (create_graph and not g.requires_grad)):
        what = "the output" if g is None else "its derivative"
        raise RuntimeError(f"{what} does not depend on input {i}, as strict=True demands")
    return like.detach().new_zeros(tuple(like.shape)) if g is None else g


def _done(results: Sequence[Tensor], create_graph: bool) -> list[Tensor]:
    return list(results) if create_graph else [x.detach() for x in results]


def vjp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, and the product of ``v`` with its Jacobian."""
    with enable_grad():
        xs = _inputs(inputs, create_graph)
        made = func(*xs)
        outputs = _several("what the function given to vjp returns", made)
        _check_tracked(outputs, strict)
        v = _vector(v, outputs, "an output")
        products = _gradients(outputs, xs, v, create_graph, strict)
    return _like(made, _done(outputs, create_graph)), _like(inputs, _done(products, create_graph))


def jvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, and the product of its Jacobian with ``v``."""
    with enable_grad(), forward.Level() as level:
        xs = _inputs(inputs, create_graph)
        v = _vector(v, xs, "an input")
        made = func(*(forward.make_dual(x, t, level) for x, t in zip(xs, v, strict=True)))
        outputs = _several("what the function given to jvp returns", made)
        pairs = [forward.unpack(y, level) for y in outputs]
        products = [_filled(t, y, 0, create_graph, strict) for y, t in pairs]
    primals = _done([y for y, _ in pairs], create_graph)
    return _like(made, primals), _like(made, _done(products, create_graph))


def _hessian_product(
    name: str, func: Function, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        xs = _inputs(inputs, create_graph)
        output = _scalar(name, func, xs, strict)
        v = _vector(v, xs, "an input")
        slopes = _gradients([output], xs, None, True, strict)
        products = _gradients(slopes, xs, v, create_graph, strict)
    return _done([output], create_graph)[0], _like(inputs, _done(products, create_graph))


def vhp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, a scalar, and the product of ``v`` with its Hessian."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, a scalar, and the product of its (symmetric) Hessian with ``v``."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def jacobian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian: of shape output + input, for each output a tuple over the inputs.

    ``strategy="forward-mode"`` needs ``vectorize``, and cannot create a graph
    (NotImplementedError): its result can be differentiated anyway where an input requires grad.
    RuntimeError for ``strict`` with ``vectorize``.
    """
    assert strategy in ("forward-mode", "reverse-mode"), f"no strategy is called {strategy!r}"
    if strict and vectorize:
        raise RuntimeError("strict=True cannot be had with vectorize=True; leave one out")
    with enable_grad():
        if strategy == "forward-mode":
            return _by_columns(func, inputs, create_graph, vectorize)
        xs = _inputs(inputs, create_graph)
        made = func(*xs)
        outputs = _several("what the function given to jacobian returns", made)
        _check_tracked(outputs, strict)
        blocks = []
        for y in outputs:
            rows = [
                _gradients([element], xs, None, create_graph, strict)
                for element in (y.reshape(-1)[i] for i in range(y.shape.numel()))
            ]
            blocks.append(_like(inputs, _done([
                _stacked([row[k] for row in rows], (*y.shape, *x.shape), x)
                for k, x in enumerate(xs)
            ], create_graph)))  # fmt: skip
    return _like(made, blocks)


def _stacked(rows: Sequence[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    from reference_engine.ops.namespace import TENSORS

    made: Tensor = TENSORS.stack(*rows, dim=0).reshape(shape) if rows else like.new_zeros(shape)
    return made


def _by_columns(func: Function, inputs: Any, create_graph: bool, vectorize: bool) -> Any:
    if create_graph or not vectorize:
        raise NotImplementedError(
            "strategy='forward-mode' needs vectorize=True, create_graph=False"
        )
    xs = _several("inputs", inputs)
    tupled: list[bool] = []

    def outputs(*given: Tensor) -> tuple[Tensor, ...]:
        made = func(*given)
        tupled.append(isinstance(made, (tuple, list)))
        return _several("what the function given to jacobian returns", made)

    blocks = jacfwd(outputs, tuple(range(len(xs))))(*xs)
    made = [_like(inputs, block) for block in blocks]
    return tuple(made) if tupled[0] else made[0]


def hessian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Hessian of a scalar: of shape input + input, a tuple of tuples for several inputs."""
    assert outer_jacobian_strategy in ("forward-mode", "reverse-mode"), outer_jacobian_strategy

    def slopes(*xs: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            gradient = reverse.grad(
                lambda *given: _scalar("hessian", func, given, strict), tuple(range(len(xs)))
            )
            return gradient(*xs)
        output = _scalar("hessian", func, xs, strict)
        return tuple(_gradients([output], xs, None, True, strict))

    made = jacobian(slopes, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return made if isinstance(inputs, (tuple, list)) else made[0]


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
