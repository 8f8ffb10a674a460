"""Derivatives of a function: ``grad``, ``vjp``, and ``jvp``, ``linearize`` in forward mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias

from reference_engine import forward
from reference_engine.func.transform import Transform, defined, gradients, released
from reference_engine.func.trees import tensors_of
from reference_engine.modes import MODES, Mode
from reference_engine.tensor import Tensor

Argnums: TypeAlias = "int | tuple[int, ...]"
Function: TypeAlias = "Callable[..., Any]"


def parted(args: Sequence[Any], argnums: Argnums) -> tuple[Any, list[Any], Function]:
    """The argument to differentiate by, or the tuple of those; the others; and a function that
    gives all arguments, with values in place of the first. RuntimeError when there are none such.
    """
    listed = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(isinstance(n, int) for n in listed):
        raise RuntimeError(f"argnums must be an int or a tuple of ints, got {argnums!r}")
    found = tuple(n + len(args) if n < 0 else n for n in listed)
    if (args and not found) or len(set(found)) < len(found):
        raise RuntimeError(f"argnums must be different places, at least one, got {argnums!r}")
    if any(not 0 <= n < len(args) for n in found):
        raise RuntimeError(f"argnums is {argnums!r}, but there are {len(args)} arguments")

    def joined(values: Any) -> list[Any]:
        replaced = dict(zip(found, values if isinstance(argnums, tuple) else [values], strict=True))
        return [replaced.get(n, x) for n, x in enumerate(args)]

    selected = tuple(args[n] for n in found)
    others = [x for n, x in enumerate(args) if n not in found]
    return selected if isinstance(argnums, tuple) else selected[0], others, joined


def split_aux(name: str, made: Any, has_aux: bool) -> tuple[Any, Any]:
    """What a function returned, and its auxiliary output, () without ``has_aux``."""
    if not has_aux:
        return made, ()
    if not isinstance(made, tuple) or len(made) != 2:
        raise RuntimeError(f"{name} with has_aux=True needs a function that returns (output, aux)")
    return made


def grad_and_value(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that gives the gradient of ``func``, a real scalar, and its value.

    The gradient is with respect to the arguments at ``argnums``, trees of tensors, and has their
    structure. With ``has_aux``, ``func`` returns (value, aux), and the result is (gradient, (value,
    aux)). RuntimeError when the value is no scalar tensor.
    """

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        value, pullback, aux = pullback_of("grad", func, args, kwargs, argnums, has_aux)
        if not isinstance(value, Tensor) or value.ndim:
            shown = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value)
            raise RuntimeError(
                f"grad needs a function that returns a scalar tensor, got {shown}; vjp and jacrev "
                "take others"
            )
        return pullback(None, False), (value, aux) if has_aux else value

    return wrapper


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that gives the gradient of ``func``, a real scalar; see ``grad_and_value``.

    With ``has_aux`` the result is (gradient, aux).
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``func(*primals)``, and a function of cotangents of that structure that gives the
    vector-Jacobian products, one for each primal; then, with ``has_aux``, what else it returned.

    RuntimeError when ``func`` returns anything but tensors, ValueError for primals that are none.
    """
    every = tuple(range(len(primals)))
    value, pullback, aux = pullback_of("vjp", func, primals, {}, every, has_aux)
    return (value, pullback, aux) if has_aux else (value, pullback)


def pullback_of(
    name: str, func: Function, args: Sequence[Any], kwargs: Any, argnums: Argnums, has_aux: bool
) -> tuple[Any, Function, Any]:
    """A function's value, its vector-Jacobian products by the arguments at ``argnums``, and aux.
    The products of None are those of 1, for a real scalar.
    """
    with Transform() as transform:
        wanted, others, joined = parted(args, argnums)
        inputs, structure = transform.primals(wanted)
        transform.admit(others, kwargs)
        made, aux = split_aux(name, func(*joined(structure.build(inputs)), **kwargs), has_aux)
        outputs, shape = tensors_of(made, f"what {name}'s function returns must be tensors")
        floating = outputs and all(y.dtype.differentiable for y in outputs)
        if not floating and name in ("vjp", "jacrev"):
            raise RuntimeError(f"{name} needs a function that returns floating tensors, got {made}")
    value, aux = released(made, aux)

    def pullback(
        cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None
    ) -> Any:
        del create_graph  # results can be differentiated whenever something outside is
        weights: Sequence[Tensor | None] = [None] * len(outputs)
        if cotangents is not None:
            weights, _ = tensors_of(cotangents, "cotangents must be tensors", TypeError, shape)
        with Mode(inference=False, grad=MODES.recording):  # as the function ran
            return released(structure.build(gradients(outputs, inputs, weights, retain_graph)))[0]

    return value, pullback, aux


def jvp(
    func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """``func(*primals)`` and its derivative in the direction of ``tangents``, in one run.

    Both are tuples of one structure. RuntimeError when they are not, when ``func`` returns anything
    but tensors, and with ``strict`` when an output does not depend on the primals.
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(f"jvp needs a tuple of primals, got {type(primals).__name__}")
    return pushforward_of(func, primals, tuple(range(len(primals))), tangents, strict, has_aux)


def pushforward_of(
    func: Function, args: Sequence[Any], argnums: Argnums, tangents: Any, strict: bool,
    has_aux: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """A function's value, its derivative by the arguments at ``argnums``, and aux if there is."""
    wanted, _, joined = parted(args, argnums)
    leaves, structure = tensors_of(wanted, "jvp's primals must be tensors")
    directions, _ = tensors_of(tangents, "jvp's tangents must be tensors", like=structure)
    if not leaves:
        raise RuntimeError("jvp needs at least one tensor among the primals")
    with Transform(records=False) as transform, forward.Level() as level:
        duals = [forward.make_dual(x, t, level) for x, t in zip(leaves, directions, strict=True)]
        transform.admit(args, tangents)
        made, aux = split_aux("jvp", func(*joined(structure.build(duals))), has_aux)
        outputs, shape = tensors_of(made, "what jvp's function returns must be tensors")
        pairs = [forward.unpack(y, level) for y in outputs]
        slopes = [defined(t, y, "the primals", False, strict) for y, t in pairs]
        plain, of_aux = tensors_of(aux, "jvp's aux must be tensors")
        aux = of_aux.build([forward.unpack(y, level)[0] for y in plain])
    value = shape.build([y for y, _ in pairs])
    return tuple(released(value, shape.build(slopes), aux)[: 2 + has_aux])


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """``func(*primals)``, and its derivative there as a linear function of tangents.

    ``func`` runs once, with tangents that are recorded; its derivative is then the transpose of the
    transpose of what they became. RuntimeError for tangents of another structure, or of other
    shapes or dtypes, ValueError for integer primals.
    """
    leaves, structure = tensors_of(primals, "linearize's primals must be tensors")
    for x in leaves:
        if not x.dtype.differentiable:
            raise ValueError(f"linearize needs floating or complex primals, got {x.dtype}")
    zeros = structure.build([x.new_zeros(tuple(x.shape)) for x in leaves])
    every = tuple(range(len(primals)))
    slope, pull, output = pullback_of(
        "linearize", lambda *v: jvp(func, primals, v)[::-1], zeros, {}, every, True
    )
    _, push, _ = pullback_of("linearize", pull, (slope,), {}, 0, False)  # transposed once more

    def jvp_fn(*tangents: Any) -> Any:
        directions, _ = tensors_of(tangents, "tangents must be tensors", like=structure)
        for x, t in zip(leaves, directions, strict=True):
            if (x.shape, x.dtype) != (t.shape, t.dtype):
                raise RuntimeError(
                    f"a tangent of shape {list(t.shape)} and {t.dtype} was given for a primal of "
                    f"shape {list(x.shape)} and {x.dtype}"
                )
        return push(tangents)

    return output, jvp_fn
