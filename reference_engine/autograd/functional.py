"""The names of ``torch.autograd.functional``: products with Jacobians and Hessians, and these.

Inputs, outputs and vectors are tensors or tuples of them. Results can be differentiated if
``create_graph``. With ``strict``, RuntimeError for an output that does not depend on every input,
and with ``create_graph`` also for a result that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import reference_engine as engine
from reference_engine import forward
from reference_engine.func.jacobians import blocks, check_real, standard_basis
from reference_engine.func.transform import defined, pulled
from reference_engine.modes import enable_grad
from reference_engine.tensor import Tensor

Tensors: TypeAlias = "Tensor | tuple[Tensor, ...]"
Function: TypeAlias = "Callable[..., Any]"


def _as_tuple(given: Any) -> tuple[Any, ...]:
    return given if isinstance(given, tuple) else (given,)


def _checked(given: Any, what: str = "what the function returns") -> Any:
    for x in _as_tuple(given):
        if not isinstance(x, Tensor):
            raise TypeError(f"{what} must be a Tensor or a tuple of them, got {type(x).__name__}")
    return given


def _run(
    func: Function, inputs: Any, create_graph: bool, strict: bool
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Any]:
    """The inputs as the function got them, joined to the given ones or leaves of their own; its
    outputs; and these as it returned them.
    """
    xs = tuple(
        x.view(x.shape) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in _as_tuple(_checked(inputs, "inputs"))
    )
    made = _checked(func(*xs))
    outputs = _as_tuple(made)
    for i, y in enumerate(outputs):
        if strict and not y.requires_grad:
            raise RuntimeError(f"output {i} does not depend on the inputs, as strict=True demands")
    return xs, outputs, made


def _scalar(func: Function) -> Function:
    """The function, which must return one tensor of one element, as one of shape ()."""

    def function(*xs: Tensor) -> Tensor:
        made = _checked(func(*xs))
        if isinstance(made, tuple) or made.shape.numel() != 1:
            raise RuntimeError("a Hessian needs a function that returns one tensor of one element")
        return made.reshape(())  # type: ignore[no-any-return]

    return function


def _like(given: Any, results: Sequence[Tensor], create_graph: bool) -> Any:
    """Results as they are handed out: a tuple where ``given`` is one, else the only one."""
    made = tuple(results if create_graph else (x.detach() for x in results))
    return made if isinstance(given, tuple) else made[0]


def _vector(v: Any, like: Sequence[Tensor], what: str) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) != 1 or like[0].shape.numel() != 1:
            raise RuntimeError(f"v can be left out only for {what} of one element in all")
        return (like[0].detach().new_ones(tuple(like[0].shape)),)
    found = _as_tuple(_checked(v, "v"))
    if [x.shape for x in found] != [x.shape for x in like]:
        shapes = [list(x.shape) for x in found], [list(x.shape) for x in like]
        raise RuntimeError(f"v has shapes {shapes[0]}; it needs those of {what}, {shapes[1]}")
    return found


def vjp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, and the product of ``v`` with its Jacobian."""
    with enable_grad():
        xs, outputs, made = _run(func, inputs, create_graph, strict)
        v = _vector(v, outputs, "an output")
        products = pulled(outputs, xs, v, True, create_graph, strict)
    return _like(made, outputs, create_graph), _like(inputs, products, create_graph)


def jvp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, and the product of its Jacobian with ``v``."""

    def dual(*xs: Tensor) -> Any:
        pairs = zip(xs, _vector(v, xs, "an input"), strict=True)
        return func(*(forward.make_dual(x, t, level) for x, t in pairs))

    with enable_grad(), forward.Level() as level:
        xs, outputs, made = _run(dual, inputs, create_graph, strict)
        pairs = [forward.unpack(y, level) for y in outputs]
        products = [defined(t, y, "the inputs", create_graph, strict) for y, t in pairs]
        outputs = tuple(y for y, _ in pairs)
        if strict:  # tangents do not tell which input they come from
            pulled(outputs, xs, [y.new_ones(tuple(y.shape)) for y in outputs], True, False, True)
    return _like(made, outputs, create_graph), _like(made, products, create_graph)


def vhp(
    func: Function, inputs: Tensors, v: Tensors | None = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """``func(*inputs)``, a scalar, and the product of ``v`` with its Hessian."""
    with enable_grad():
        xs, outputs, made = _run(_scalar(func), inputs, create_graph, strict)
        v = _vector(v, xs, "an input")
        slopes = pulled(outputs, xs, [None], True, True, strict)
        products = pulled(slopes, xs, v, True, create_graph, strict)
    return _like(made, outputs, create_graph), _like(inputs, products, create_graph)


#: Hessians are symmetric
hvp = vhp


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
    if forward_mode and not vectorize:
        raise NotImplementedError(f"{strategy} needs vectorize=True")
    if forward_mode:
        xs = _as_tuple(_checked(inputs, "inputs"))
        argnums = tuple(range(len(xs))) if isinstance(inputs, tuple) else 0
        with enable_grad():
            return engine.func.jacfwd(lambda *given: _checked(func(*given)), argnums)(*xs)
    with enable_grad():
        xs, outputs, made = _run(func, inputs, create_graph, strict)
        if not vectorize:
            check_real("jacobian", "an output", outputs)
        jacobians = []
        for y in outputs:

            def pull(row: Tensor, y: Tensor = y) -> tuple[Tensor, ...]:
                return tuple(pulled([y], xs, [row], True, create_graph, strict))

            (basis,) = standard_basis([y])
            if vectorize or not len(basis):
                columns = engine.func.vmap(pull)(basis)
            else:
                columns = map(engine.stack, zip(*map(pull, basis), strict=True))
            parts = [blocks(column, [y], 0)[0] for column in columns]
            jacobians.append(_like(inputs, parts, create_graph))
    return tuple(jacobians) if isinstance(made, tuple) else jacobians[0]


def hessian(
    func: Function, inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Hessian of a scalar: of shape input + input, a tuple of tuples for several inputs."""

    value = _scalar(func)

    def slopes(*xs: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            return engine.func.grad(value, tuple(range(len(xs))))(*xs)
        return tuple(pulled([value(*xs)], xs, [None], True, True, strict))

    made = jacobian(slopes, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return made if isinstance(inputs, tuple) else made[0]


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
