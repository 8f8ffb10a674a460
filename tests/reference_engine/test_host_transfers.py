"""On the torch backend an operation's data stays on its device: no row reads numbers on the host,
forward or backward, but for those that say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import reference_engine
from reference_engine.ops.call import function_of
from reference_engine.ops.table import TABLE
from tests.reference_engine.op_samples import cases, inputs, samples
from tests.reference_engine.test_ops import INTERNAL, caller

_RNG = np.random.default_rng(0)
_F: Any = reference_engine.nn.functional
_L: Any = reference_engine.linalg


class Transfer(Exception):
    """Numbers were read on the host."""


class _NoScalars(TorchDispatchMode):
    """In it, what item(), bool() and int() of a tensor come down to is refused."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is torch.ops.aten._local_scalar_dense.default:
            raise Transfer("a scalar")
        return function(*args, **kwargs or {})


def _refused(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise Transfer(name)

    return method


@contextmanager
def staying_on_the_device() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, _NoScalars():
        for name in ("numpy", "cpu", "tolist", "item", "__array__"):
            patch.setattr(torch.Tensor, name, _refused(name))
        yield


def tensor(data: Any) -> Any:
    x = reference_engine.tensor(data, device="torch")
    return x.requires_grad_() if x.dtype.differentiable else x


def backward(outs: Any) -> None:
    for y in outs if isinstance(outs, (tuple, list)) else [outs]:
        if isinstance(y, reference_engine.Tensor) and y.grad_fn is not None:
            y.backward(reference_engine.ones_like(y.detach()), retain_graph=True)


def check_ran(xs: Any, outs: Any) -> None:
    """There are results, and where one has a history, gradients; torch holds all of them."""
    made = outs if isinstance(outs, (tuple, list)) else [outs]
    results = [y for y in made if isinstance(y, reference_engine.Tensor)]
    leaves = [x for x in xs if isinstance(x, reference_engine.Tensor) and x.requires_grad]
    grads = [x.grad for x in leaves if x.grad is not None]
    assert results
    for y in (*results, *grads):
        assert isinstance(y._raw, torch.Tensor)
        assert y.device.type == "torch"
    assert bool(grads) == any(y.grad_fn is not None for y in results)


@pytest.mark.parametrize(("name", "number"), [c for c in cases(TABLE) if c[0] not in INTERNAL])
def test_a_row_stays_on_its_device(name: str, number: int) -> None:
    op = TABLE[name]
    sample = samples(op)[number]
    kind = "complex128" if "complex" in op.facts.fill.values() else "float64"
    xs = [tensor(a) if isinstance(a, np.ndarray) else a for a in inputs(op, sample, kind)]
    with staying_on_the_device():
        outs = caller(op, function_of(op))(xs, sample[1])
        backward(outs)
    check_ran(xs, outs)


_MATRIX, _IDS = _RNG.normal(size=(5, 3)), np.array([1, 2, 4, 4, 3, 2])
_IMAGES = _RNG.normal(size=(2, 3, 8, 9))
_HERMITIAN = _MATRIX[:3] + 1j * _MATRIX[2:]
#: operations that take lists, indices or masks, and so have no samples in the table
MORE: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{
        f"embedding_bag {mode}": (
            lambda w, i, o, mode=mode: _F.embedding_bag(i, w, o, mode=mode),
            (_MATRIX, _IDS, np.array([0, 2, 2])),
        )
        for mode in ("sum", "mean", "max")
    },
    "ctc_loss": (
        lambda x, targets: _F.ctc_loss(x.log_softmax(-1), targets, (6, 5), (2, 3)),
        (_RNG.normal(size=(6, 2, 4)), np.array([[1, 2, 0], [3, 3, 1]])),
    ),
    "fractional_max_pool2d": (
        lambda x: _F.fractional_max_pool2d(x, 2, output_size=(3, 4)), (_IMAGES,)),
    "adaptive_max_pool2d": (lambda x: _F.adaptive_max_pool2d(x, (3, 4)), (_IMAGES,)),
    "max_pool2d": (lambda x: _F.max_pool2d(x, 2), (_IMAGES,)),
    "an index": (lambda x, i: x[i], (_MATRIX, _IDS[:2])),
    "index_put": (
        lambda x, i, v: x.index_put((i,), v, accumulate=True), (_MATRIX, _IDS, np.ones((6, 3)))),
    "scatter_reduce": (
        lambda x, i, v: x.scatter_reduce(0, i, v, "prod"), (_MATRIX, np.zeros((2, 3), int),
                                                            np.ones((2, 3)))),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, dim=0), (_MATRIX,)),
    "quantile": (lambda x: x.quantile(0.3, dim=0), (_MATRIX,)),
    "svd of reals": (lambda x: _L.svd(x, full_matrices=False), (_MATRIX,)),
    "eigh of reals": (lambda x: _L.eigh(x @ x.mT), (_MATRIX,)),
    "lu": (lambda x: _L.lu_factor(x @ x.mT)[0], (_MATRIX,)),
}  # fmt: skip
#: and those that do read numbers, and why
READING: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    # the shape of the result depends on them
    "repeat_interleave of given counts": (
        lambda x, n: x.repeat_interleave(n, dim=0), (_MATRIX, np.array([1, 2, 0, 1, 1]))),
    # they are sizes of views, which torch takes from the host only
    "tensor_split at given places": (
        lambda x, n: x.tensor_split(n, dim=0), (_MATRIX, np.array([1, 3]))),
    # lengths say which operations there are; torch copies them to the host too
    "ctc_loss of given lengths": (
        lambda x, targets, n: _F.ctc_loss(x.log_softmax(-1), targets, n + 3, n),
        (_RNG.normal(size=(6, 2, 4)), np.array([[1, 2, 0], [3, 3, 1]]), np.array([2, 3]))),
    # whether the loss is refused
    "eigh of complex numbers": (
        lambda x: _L.eigh(x @ x.mH)[1].abs(), (_HERMITIAN,)),
}  # fmt: skip


def run(case: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    function, data = case
    xs = [tensor(a) for a in data]
    with staying_on_the_device():
        outs = function(*xs)
        backward(outs)
    check_ran(xs, outs)
    assert xs[0].grad is not None


@pytest.mark.parametrize("case", MORE)
def test_an_operation_stays_on_its_device(case: str) -> None:
    run(MORE[case])


@pytest.mark.parametrize("case", READING)
def test_what_has_to_read_numbers_does(case: str) -> None:
    with pytest.raises(Transfer):
        run(READING[case])
