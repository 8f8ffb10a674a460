"""The names of ``torch.autograd.functional``: products with Jacobians and Hessians, and these.

Inputs, outputs and vectors are tensors or tuples of them. Results can be differentiated if
``create_graph``. With ``strict``, RuntimeError for an output that does not depend on every input,
and with ``create_graph`` also for a result that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from reference_engine import forward
from reference_engine import func as transforms
from reference_engine.func.jacobians import check_real, standard_basis
from reference_engine.func.transform import pulled
from reference_engine.modes import enable_grad
from reference_engine.ops.namespace import TENSORS
from reference_engine.tensor import Tensor

Tensors: TypeAlias = "Tensor | tuple[Tensor, ...]"
Function: TypeAlias = "Callable[..., Any]"


def _as_tuple(given: Any, what: str) -> tuple[Tensor, ...]:
    found = given if isinstance(given, tuple) else (given,)
    for x in found:
        if not isinstance(x, Tensor):
            raise TypeError(f"{what} must be a Tensor or a tuple of them, got {type(x).__name__}")
    return found


def _like(given: Any, results: Sequence[Tensor], create_graph: bool) -> Any:
    """Results as they are handed out: a tuple where ``given`` is one, else the only one."""
    made = tuple(results if create_graph else (x.detach() for x in results))
    return made if isinstance(given, tuple) else made[0]


def _inputs(inputs: Any, create_graph: bool) -> tuple[Tensor, ...]:
    """The inputs as the function gets them: joined to the given ones, or leaves of their own."""
    return tuple(
        x.view(x.shape) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in _as_tuple(inputs, "inputs")
    )


def _outputs(made: Any, strict: bool) -> tuple[Tensor, ...]:
    """What the function returned, if it may."""
    found = _as_tuple(made, "what the function returns")
    for i, y in enumerate(found):
        if strict and not y.requires_grad:
            raise RuntimeError(f"output {i} does not depend on the inputs, as strict=True demands")
    return found


def _scalar(made: Any, strict: bool) -> Tensor:
    outputs = _outputs(made, strict)
    if isinstance(made, tuple) or outputs[0].shape.numel() != 1:
        raise RuntimeError("a Hessian needs a function that returns one tensor of one element")
    return outputs[0].reshape(())  # type: ignore[no-any-return]


def _vector(v: Any, like: Sequence[Tensor], what: str) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) != 1 or like[0].shape.numel() != 1:
            raise RuntimeError(f"v can be left out only for {what} of one element in all")
        return (like[0].detach().new_ones(tuple(like[0].shape)),)
    found = _as_tuple(v, "v")
    if [x.shape for x in found] != [x.shape for x in like]:
        shapes = [list(x.shape) for x in found], [list(x.shape) for x in like]
        raise RuntimeError(f"v has shapes {shapes[0]}; it needs those of {what}, {shapes[1]}")
    return found


def _pulled(
    outputs: Sequence[Tensor], xs: Sequence[Tensor], v: Sequence[Tensor | None],
    create_graph: bool, strict: bool, batch: tuple[int, ...] = (),
) -> list[Tensor]:  # fmt: skip
    """Vector-Jacobian products; with a ``batch`` size those of as many vectors. Zeros where there
    is no dependence.
    """
    found = pulled(outputs, xs, v, True, create_graph, bool(batch))
    return [
        _filled(g, x, (*batch, *x.shape), i, create_graph and strict, strict)
        for i, (g, x) in enumerate(zip(found, xs, strict=True))
    ]


def _filled(
    g: Tensor | None, like: Tensor, shape: Sequence[int], i: int, curved: bool, strict: bool
) -> Tensor:
    if strict and (g is None or (curved and not g.requires_grad)):
        what = "the output" if g is None else "its derivative"
        raise RuntimeError(f"{what} does not depend on input {i}, as strict=True demands")
    return like.detach().new_zeros(tuple(shape)) if g is None else g


def vjp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, and the product of ``v`` with its Jacobian."""
    with enable_grad():
        xs = _inputs(inputs, create_graph)
        made = func(*xs)
        outputs = _outputs(made, strict)
        products = _pulled(outputs, xs, _vector(v, outputs, "an output"), create_graph, strict)
    return _like(made, outputs, create_graph), _like(inputs, products, create_graph)


def jvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, and the product of its Jacobian with ``v``."""
    with enable_grad(), forward.Level() as level:
        xs = _inputs(inputs, create_graph)
        v = _vector(v, xs, "an input")
        made = func(*(forward.make_dual(x, t, level) for x, t in zip(xs, v, strict=True)))
        pairs = [forward.unpack(y, level) for y in _outputs(made, False)]
        products = [_filled(t, y, y.shape, 0, create_graph, strict) for y, t in pairs]
        if strict:  # tangents do not tell which input they come from
            outputs = [y for y, _ in pairs]
            _pulled(outputs, xs, [y.new_ones(tuple(y.shape)) for y in outputs], False, True)
    return _like(made, [y for y, _ in pairs], create_graph), _like(made, products, create_graph)


def vhp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, a scalar, and the product of ``v`` with its Hessian."""
    with enable_grad():
        xs = _inputs(inputs, create_graph)
        output = _scalar(func(*xs), strict)
        v = _vector(v, xs, "an input")
        slopes = _pulled([output], xs, [None], True, strict)
        products = _pulled(slopes, xs, v, create_graph, strict)
    return _like(None, [output], create_graph), _like(inputs, products, create_graph)


#: Hessians are symmetric
hvp = vhp


def _rows(
    y: Tensor, xs: Sequence[Tensor], create_graph: bool, strict: bool, vectorize: bool
) -> list[Tensor]:
    """For each input the derivatives of each element of ``y``, stacked."""
    (basis,) = standard_basis([y])
    n = len(basis)
    if vectorize or not n:
        return _pulled([y], xs, [basis], create_graph, strict, (n,))
    rows = [_pulled([y], xs, [basis[i]], create_graph, strict) for i in range(n)]
    return [TENSORS.stack(list(column), dim=0) for column in zip(*rows, strict=True)]


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
    forward_mode = strategy == "forward-mode"
    if forward_mode and create_graph:
        raise NotImplementedError(f"{strategy} cannot be had with create_graph=True")
    if strict and (vectorize or forward_mode):
        raise RuntimeError("strict=True needs reverse mode, and vectorize=False")
    if forward_mode:
        if not vectorize:
            raise NotImplementedError(f"{strategy} needs vectorize=True")
        xs = _as_tuple(inputs, "inputs")

        def checked(*given: Tensor) -> Any:
            made = func(*given)
            _outputs(made, False)
            return made

        argnums = tuple(range(len(xs))) if isinstance(inputs, tuple) else 0
        with enable_grad():
            return transforms.jacfwd(checked, argnums)(*xs)
    with enable_grad():
        xs = _inputs(inputs, create_graph)
        made = func(*xs)
        blocks = []
        outputs = _outputs(made, strict)
        if not vectorize:
            check_real("jacobian", "an output", outputs)
        for y in outputs:
            rows = _rows(y, xs, create_graph, strict, vectorize)
            parts = [g.reshape((*y.shape, *x.shape)) for g, x in zip(rows, xs, strict=True)]
            blocks.append(_like(inputs, parts, create_graph))
    return tuple(blocks) if isinstance(made, tuple) else blocks[0]


def hessian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Hessian of a scalar: of shape input + input, a tuple of tuples for several inputs."""

    def value(*xs: Tensor) -> Tensor:
        return _scalar(func(*xs), strict)

    def slopes(*xs: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            return transforms.grad(value, tuple(range(len(xs))))(*xs)
        return tuple(_pulled([value(*xs)], xs, [None], True, strict))

    made = jacobian(slopes, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return made if isinstance(inputs, tuple) else made[0]


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
