"""Reverse-mode transforms: ``grad``, ``vjp``, ``jacrev``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeAlias

from reference_engine.func.transform import Transform, gradients, released
from reference_engine.func.trees import check_tensors, flatten
from reference_engine.tensor import Tensor

Argnums: TypeAlias = "int | tuple[int, ...]"
Function: TypeAlias = "Callable[..., Any]"


def chosen(args: Sequence[Any], argnums: Argnums) -> tuple[int, ...]:
    """The places of the arguments to differentiate by; RuntimeError when there are none such."""
    listed = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(isinstance(n, int) for n in listed):
        raise RuntimeError(f"argnums must be an int or a tuple of ints, got {argnums!r}")
    found = tuple(n + len(args) if n < 0 else n for n in listed)
    if not found or len(set(found)) < len(found):
        raise RuntimeError(f"argnums must be different places, at least one, got {argnums!r}")
    if any(not 0 <= n < len(args) for n in found):
        raise RuntimeError(f"argnums is {argnums!r}, but there are {len(args)} arguments")
    return found


def selected(args: Sequence[Any], argnums: Argnums) -> Any:
    """The argument at a place, or those at several."""
    return args[argnums] if isinstance(argnums, int) else tuple(args[n] for n in argnums)


def replaced(args: Sequence[Any], argnums: Argnums, values: Any) -> list[Any]:
    """Arguments of which those that :func:`selected` gives are others."""
    made = list(args)
    listed = (
        zip(argnums, values, strict=True) if isinstance(argnums, tuple) else [(argnums, values)]
    )
    for n, value in listed:
        made[n] = value
    return made


def check_real(name: str, what: str, tensors: Sequence[Tensor]) -> None:
    """RuntimeError for a Jacobian of complex numbers, of which there would be two."""
    if any(x.is_complex() for x in tensors):
        raise RuntimeError(f"{name} got {what} that is complex; use vjp, jvp, or view_as_real")


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
        value, pullback, aux = _pullback("grad", func, args, kwargs, argnums, has_aux)
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
    value, pullback, aux = _pullback("vjp", func, primals, {}, None, has_aux)
    return (value, pullback, aux) if has_aux else (value, pullback)


def _pullback(
    name: str, func: Function, args: Sequence[Any], kwargs: Any, argnums: Argnums | None,
    has_aux: bool,
) -> tuple[Any, Function, Any]:  # fmt: skip
    """A function's value, its vector-Jacobian products by the arguments at ``argnums`` (None for
    all), and aux. The products of None are those of 1, for a real scalar.
    """
    everything = tuple(range(len(args)))
    with Transform() as transform:
        at = everything if argnums is None else chosen(args, argnums)
        given = transform.arguments(args, at, kwargs)
        made, aux = split_aux(name, func(*given, **kwargs), has_aux)
        outputs, shape = flatten(made)
        check_tensors(outputs, f"{name} needs a function that returns tensors", RuntimeError)
        if not outputs or (name != "grad" and not all(y.dtype.differentiable for y in outputs)):
            raise RuntimeError(f"{name} needs a function that returns floating tensors, got {made}")
        inputs, structure = flatten(selected(given, everything if argnums is None else argnums))
    value, aux = released(made, aux)

    def pullback(
        cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None
    ) -> Any:
        del create_graph  # results can be differentiated whenever something outside is
        leaves, found = (None, shape) if cotangents is None else flatten(cotangents)
        if found != shape:
            raise RuntimeError(f"cotangents need the structure of outputs, {shape}, got {found}")
        check_tensors(leaves or (), "cotangents must be tensors", TypeError)
        return released(structure.build(gradients(outputs, inputs, leaves, retain_graph)))[0]

    return value, pullback, aux


def standard_basis(leaves: Sequence[Tensor]) -> list[Tensor]:
    """For each tensor, of n elements out of N in all, its part of the N unit vectors of all of
    them: shape (N, \\*shape).
    """
    sizes = [x.shape.numel() for x in leaves]
    total, made, before = sum(sizes), [], 0
    for x, n in zip(leaves, sizes, strict=True):
        part = x.detach().new_zeros((total, n))
        part.diagonal(-before).fill_(1)
        made.append(part.view((total, *x.shape)))
        before += n
    return made


def jacrev(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:  # fmt: skip
    """A function that gives the Jacobian of ``func``, row by row in reverse mode.

    For each output of shape O and input of shape I a tensor of shape O + I, in the structure of the
    outputs, within which that of the arguments at ``argnums``. With ``has_aux``, (Jacobian, aux).
    ``chunk_size`` rows are computed at a time, all of them by default; ValueError unless positive.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"jacrev needs a positive chunk_size, got {chunk_size}")

    @wraps(func)
    def wrapper(*args: Any) -> Any:
        from reference_engine.func.vmap import vmap

        value, pullback, aux = _pullback("jacrev", func, args, {}, argnums, has_aux)
        outputs, shape = flatten(value)
        check_real("jacrev", "an input", flatten(selected(args, argnums))[0])
        check_real("jacrev", "an output", outputs)
        rows = vmap(pullback, chunk_size=chunk_size)(shape.build(standard_basis(outputs)))
        columns, structure = flatten(rows)
        sizes = [y.shape.numel() for y in outputs]
        blocks = [
            [
                part.view((*y.shape, *column.shape[1:]))
                for part, y in zip(column.split(sizes), outputs, strict=True)
            ]
            for column in columns
        ]
        jacobian = shape.build([structure.build(row) for row in zip(*blocks, strict=True)])
        return (jacobian, aux) if has_aux else jacobian

    return wrapper
