"""Forward-mode transforms: ``jvp``, ``linearize``, ``jacfwd``, and ``hessian``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

from reference_engine import forward
from reference_engine.func.reverse import (
    Argnums,
    Function,
    check_real,
    chosen,
    jacrev,
    replaced,
    selected,
    split_aux,
    standard_basis,
)
from reference_engine.func.transform import Transform, released
from reference_engine.func.trees import check_tensors, flatten
from reference_engine.tensor import Tensor


def jvp(
    func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """``func(*primals)`` and its derivative in the direction of ``tangents``, in one run.

    Both are tuples of one structure. RuntimeError when they are not, when ``func`` returns anything
    but tensors, and with ``strict`` when an output does not depend on the primals.
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(f"jvp needs a tuple of primals, got {type(primals).__name__}")
    return _pushforward(func, primals, tuple(range(len(primals))), tangents, strict, has_aux)


def _pushforward(
    func: Function, args: Sequence[Any], argnums: Argnums, tangents: Any, strict: bool,
    has_aux: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """A function's value, its derivative by the arguments at ``argnums``, and aux if there is."""
    leaves, structure = flatten(selected(args, argnums))
    directions, other = flatten(tangents)
    if other != structure:
        raise RuntimeError(f"jvp needs tangents of structure {structure}, got {other}")
    check_tensors([*leaves, *directions], "jvp needs tensors", RuntimeError)
    if not leaves:
        raise RuntimeError("jvp needs at least one tensor among the primals")
    with Transform(records=False) as transform, forward.Level() as level:
        duals = [forward.make_dual(x, t, level) for x, t in zip(leaves, directions, strict=True)]
        transform.admit(args, tangents)
        given = replaced(args, argnums, structure.build(duals))
        made, aux = split_aux("jvp", func(*given), has_aux)
        outputs, shape = flatten(made)
        check_tensors(outputs, "jvp needs a function that returns tensors", RuntimeError)
        pairs = [_unpacked(y, level, strict) for y in outputs]
        unpacked_aux, of_aux = flatten(aux)
        check_tensors(unpacked_aux, "jvp needs an aux of tensors", RuntimeError)
        plain = [forward.unpack(y, level)[0] for y in unpacked_aux]
    ys, ts, plain = released([y for y, _ in pairs], [t for _, t in pairs], plain)
    found = (shape.build(ys), shape.build(ts))
    return (*found, of_aux.build(plain)) if has_aux else found


def _unpacked(y: Tensor, level: forward.Level, strict: bool) -> tuple[Tensor, Tensor]:
    primal, tangent = forward.unpack(y, level)
    if tangent is None:
        if strict:
            raise RuntimeError("jvp(strict=True) got an output that does not depend on the primals")
        tangent = primal.new_zeros(tuple(primal.shape))
    return primal, tangent


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """``func(*primals)``, and its derivative there as a linear function of tangents.

    RuntimeError from that function for tangents of another structure, or other shapes or dtypes.
    """
    output = func(*primals)

    def jvp_fn(*tangents: Any) -> Any:
        for x, t in zip(flatten(primals)[0], flatten(tangents)[0], strict=False):
            if x.dtype is not t.dtype:
                raise RuntimeError(f"a tangent of {t.dtype} was given for a primal of {x.dtype}")
        return jvp(func, primals, tangents)[1]

    return output, jvp_fn


def jacfwd(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that gives the Jacobian of ``func``, column by column in forward mode.

    Its structure and shapes are those of ``jacrev``. ``randomness`` is that of ``vmap``.
    """

    @wraps(func)
    def wrapper(*args: Any) -> Any:
        from reference_engine.func.vmap import vmap

        chosen(args, argnums)
        inputs, structure = flatten(selected(args, argnums))
        check_tensors(inputs, "jacfwd differentiates with respect to tensors", RuntimeError)
        check_real("jacfwd", "an input", inputs)

        def push(*basis: Any) -> Any:
            return _pushforward(func, args, argnums, structure.build(basis), False, has_aux)[1:]

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
