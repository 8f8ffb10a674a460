"""Jacobians, row by row in reverse mode or column by column in forward mode, and Hessians."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import reference_engine as engine
from reference_engine.func.derivatives import Argnums, Function, parted, pullback_of, pushforward_of
from reference_engine.func.trees import flatten, tensors_of
from reference_engine.func.vmap import vmap
from reference_engine.ops.batching import levels_of, lift
from reference_engine.tensor import Tensor


def check_real(name: str, what: str, tensors: Sequence[Tensor]) -> None:
    """RuntimeError for a Jacobian of complex numbers, of which there would be two."""
    if any(x.is_complex() for x in tensors):
        raise RuntimeError(f"{name} got {what} that is complex; use vjp, jvp, or view_as_real")


def standard_basis(leaves: Sequence[Tensor]) -> list[Tensor]:
    """For each tensor, of n elements out of N in all, its part of the N unit vectors of all of
    them: shape (N, \\*shape). They are of the batches that the tensor is of: backward may write.
    """
    sizes = [x.shape.numel() for x in leaves]
    parts = engine.eye(sum(sizes)).split(sizes, dim=1)
    return [
        lift(part.to(x.device, x.dtype).reshape((sum(sizes), *x.shape)), levels_of(x))
        for x, part in zip(leaves, parts, strict=True)
    ]


def blocks(derivative: Tensor, likes: Sequence[Tensor], dim: int) -> list[Tensor]:
    """A derivative along the standard basis of some tensors, which is its dimension ``dim``, as
    derivatives along each tensor, whose shape takes the place of that dimension.
    """
    before, after = derivative.shape[:dim], derivative.shape[dim:][1:]
    parts = derivative.split([x.shape.numel() for x in likes], dim)
    pairs = zip(parts, likes, strict=True)
    return [part.reshape((*before, *x.shape, *after)) for part, x in pairs]


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
        parts = zip(*(blocks(column, outputs, 0) for column in columns), strict=True)
        jacobian = shape.build([structure.build(row) for row in parts])
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
        must = "what jacfwd differentiates with respect to must be tensors"
        inputs, structure = tensors_of(parted(args, argnums)[0], must)
        check_real("jacfwd", "an input", inputs)

        def push(*basis: Any) -> Any:
            return pushforward_of(func, args, argnums, structure.build(basis), False, has_aux)[1:]

        mapped = vmap(push, out_dims=(-1, None)[: 1 + has_aux], randomness=randomness)
        columns, *aux = mapped(*standard_basis(inputs))
        outputs, shape = flatten(columns)
        check_real("jacfwd", "an output", outputs)
        jacobian = shape.build([structure.build(blocks(y, inputs, -1)) for y in outputs])
        return (jacobian, aux[0]) if has_aux else jacobian

    return wrapper


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """A function that gives the Hessian of ``func``: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)
