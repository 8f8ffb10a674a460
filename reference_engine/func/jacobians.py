"""Jacobians, row by row in reverse mode or column by column in forward mode, and Hessians."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

from reference_engine.func.derivatives import Argnums, Function, parted, pullback_of, pushforward_of
from reference_engine.func.trees import check_tensors, flatten
from reference_engine.func.vmap import vmap
from reference_engine.tensor import Tensor


def check_real(name: str, what: str, tensors: Sequence[Tensor]) -> None:
    """RuntimeError for a Jacobian of complex numbers, of which there would be two."""
    if any(x.is_complex() for x in tensors):
        raise RuntimeError(f"{name} got {what} that is complex; use vjp, jvp, or view_as_real")


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
        value, pullback, aux = pullback_of("jacrev", func, args, {}, argnums, has_aux)
        outputs, shape = flatten(value)
        check_real("jacrev", "an input", flatten(parted(args, argnums)[0])[0])
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


def jacfwd(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that gives the Jacobian of ``func``, column by column in forward mode.

    Its structure and shapes are those of ``jacrev``. ``randomness`` is that of ``vmap``.
    """

    @wraps(func)
    def wrapper(*args: Any) -> Any:
        inputs, structure = flatten(parted(args, argnums)[0])
        check_tensors(inputs, "jacfwd differentiates with respect to tensors", RuntimeError)
        check_real("jacfwd", "an input", inputs)

        def push(*basis: Any) -> Any:
            return pushforward_of(func, args, argnums, structure.build(basis), False, has_aux)[1:]

        mapped = vmap(push, out_dims=(-1, None)[: 1 + has_aux], randomness=randomness)
        columns, *aux = mapped(*standard_basis(inputs))
        outputs, shape = flatten(columns)
        check_real("jacfwd", "an output", outputs)
        sizes = [x.shape.numel() for x in inputs]
        jacobian = shape.build([
            structure.build([
                part.reshape((*y.shape[:-1], *x.shape))
                for part, x in zip(y.split(sizes, dim=-1), inputs, strict=True)
            ])
            for y in outputs
        ])  # fmt: skip
        return (jacobian, aux[0]) if has_aux else jacobian

    return wrapper


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """A function that gives the Hessian of ``func``: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)
