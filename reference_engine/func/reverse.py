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
    if not isinstance(argnums, (int, tuple)) or not all(
        isinstance(n, int) for n in places(argnums)
    ):
        raise RuntimeError(f"argnums must be an int or a tuple of ints, got {argnums!r}")
    found = tuple(n + len(args) if n < 0 else n for n in places(argnums))
    if not found or len(set(found)) < len(found):
        raise RuntimeError(f"argnums must be different places, at least one, got {argnums!r}")
    if any(not 0 <= n < len(args) for n in found):
        raise RuntimeError(
            f"argnums is {argnums!r}, but there are {len(args)} positional arguments"
        )
    return found


def places(argnums: Argnums) -> tuple[Any, ...]:
    """An argnums as a tuple."""
    return argnums if isinstance(argnums, tuple) else (argnums,)


def selected(args: Sequence[Any], argnums: Argnums) -> Any:
    """The argument at a place, or those at several."""
    return args[argnums] if isinstance(argnums, int) else tuple(args[n] for n in argnums)


def split_aux(name: str, made: Any, has_aux: bool) -> tuple[Any, Any]:
    """What a function returned, and its auxiliary output, None without ``has_aux``."""
    if not has_aux:
        return made, None
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
        at = chosen(args, argnums)
        with Transform() as transform:
            given = transform.arguments(args, at, kwargs)
            value, aux = split_aux("grad", func(*given, **kwargs), has_aux)
            if not isinstance(value, Tensor) or value.ndim:
                shown = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value)
                raise RuntimeError(
                    f"grad needs a function that returns a scalar tensor, got {shown}; vjp and "
                    "jacrev take others"
                )
            leaves, structure = flatten(selected(given, argnums))
            gradient = structure.build(gradients([value], leaves, None, keep=False))
        gradient, value, aux = released(gradient, value, aux if has_aux else ())
        return gradient, (value, aux) if has_aux else value

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
    return _vjp(func, primals, tuple(range(len(primals))), has_aux)


def _vjp(func: Function, args: Sequence[Any], at: Any, has_aux: bool) -> tuple[Any, ...]:
    """``vjp`` with respect to one argument, at ``at``, or to several."""
    with Transform() as transform:
        given = transform.arguments(args, chosen(args, at) if at != () else ())
        made, aux = split_aux("vjp", func(*given), has_aux)
        outputs, shape_of_outputs = flatten(made)
        check_tensors(outputs, "vjp needs a function that returns tensors", RuntimeError)
        if not outputs:
            raise RuntimeError(f"vjp needs a function that returns a tensor, got {made!r}")
        inputs, structure = flatten(selected(given, at))
    value, aux = released(made, aux if has_aux else ())

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        del create_graph  # results can be differentiated whenever something outside is
        leaves, shape = flatten(cotangents)
        if shape != shape_of_outputs:
            raise RuntimeError(
                f"cotangents need the structure of the outputs, {shape_of_outputs}, got {shape}"
            )
        return released(structure.build(gradients(outputs, inputs, leaves, retain_graph)))[0]

    return (value, vjp_fn, aux) if has_aux else (value, vjp_fn)


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
    func: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:
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

        value, vjp_fn, *aux = _vjp(func, args, argnums, has_aux)
        outputs, shape_of_outputs = flatten(value)
        basis = standard_basis(outputs)
        rows = vmap(vjp_fn, chunk_size=chunk_size)(shape_of_outputs.build(basis))
        columns, structure = flatten(rows)
        sizes = [y.shape.numel() for y in outputs]
        parts = [
            [
                part.view((*y.shape, *column.shape[1:]))
                for part, y in zip(column.split(sizes), outputs, strict=True)
            ]
            for column in columns
        ]
        jacobian = shape_of_outputs.build(
            [structure.build(row) for row in zip(*parts, strict=True)]
        )
        return (jacobian, aux[0]) if has_aux else jacobian

    return wrapper
