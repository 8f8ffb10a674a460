"""In-place operations that read the memory that they write: refused exactly where PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reference_engine.outcome import assert_as_in_torch

CASES: dict[str, Callable[[Any, Any, Any], Any]] = {
    # all of it, or none
    "itself": lambda t, v, m: m.add_(m),
    "a view of all": lambda t, v, m: m.add_(m.view(3, 3)),
    "transposed both": lambda t, v, m: m.t().mul_(m.t()),
    "another row": lambda t, v, m: m[0].mul_(m[1]),
    "out= itself": lambda t, v, m: t.add(v, 1, out=v),
    "one element": lambda t, v, m: v[0].mul_(v[0]),
    "nothing": lambda t, v, m: m[:0].add_(m[:0]),
    # part of it
    "a row": lambda t, v, m: m.add_(m[0]),
    "a row of a detached": lambda t, v, m: m.add_(m.detach()[0]),
    "a row of data": lambda t, v, m: m.add_(m.data[0]),
    "a row, tracked": lambda t, v, m: (m.requires_grad_() * 1).add_((m * 1)[0]).sum().backward(),
    "a row of a tracked": lambda t, v, m: (lambda y: y.add_(y[0]))(m.requires_grad_() * 1),
    "one of a dimension more": lambda t, v, m: m.unsqueeze(0).add_(m),
    "rows below": lambda t, v, m: m[:2].div_(m[1:]),
    "the first": lambda t, v, m: v.mul_(v[:1]),
    "a number of it": lambda t, v, m: v.mul_(v[0]),
    "transposed": lambda t, v, m: m.copy_(m.t()),
    "assigned": lambda t, v, m: v.__setitem__(slice(0, 2), v[1:]),
    "assigned by index": lambda t, v, m: v.__setitem__(t.tensor([0, 1]), v[1:]),
    "third operand": lambda t, v, m: m.addcmul_(m, m[0]),
    "bound": lambda t, v, m: m.clamp_(min=m[0]),
    "source of a sum": lambda t, v, m: m.index_add_(0, t.tensor([0]), m[:1]),
    "source of a maximum": lambda t, v, m: m.index_reduce_(0, t.tensor([0]), m[1:2], "amax"),
    "scattered": lambda t, v, m: m.scatter_(0, t.tensor([[0, 0, 0]]), m[1:2]),
    "scattered and reduced": lambda t, v, m: m.scatter_reduce_(
        0, t.tensor([[0, 0, 0]]), m[1:2], "prod"
    ),
    "mask": lambda t, v, m: (lambda b: b.masked_fill_(b[0], True))(m > 1),
    "out=": lambda t, v, m: t.add(m[1:], 1, out=m[:2]),
    # part of it, with gaps: nobody looks
    "every other": lambda t, v, m: v[:2].add_(v[::2]),
    "columns": lambda t, v, m: m[:, 0].add_(m[:, 1]),
    "the real part": lambda t, v, m: (lambda z: z.mul_(z.real))(m.to(t.complex128)),
    # read before anything is written
    "filled": lambda t, v, m: v.fill_(v[0]),
    "filled by mask": lambda t, v, m: v.masked_fill_(v > 1, v[2]),
    "scattered by mask": lambda t, v, m: v.masked_scatter_(v > 1, v[1:]),
    "filled by index": lambda t, v, m: m.index_fill_(0, t.tensor([0]), m[2, 2]),
    "a product of matrices": lambda t, v, m: m.addmm_(m.t(), m),
    "a product with a vector": lambda t, v, m: m[0].addmv_(m, m[1]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_write_that_reads_its_own_memory_is_as_in_torch(engine: Any, case: Any) -> None:
    def scenario(lib: Any) -> Any:
        numbers = lib.arange(1, 10, dtype=lib.float64)
        return case(lib, numbers[:3].clone(), numbers.reshape(3, 3).clone())

    assert_as_in_torch(scenario, engine)


def test_a_tensor_without_elements_is_written(engine: Any) -> None:
    x = engine.zeros(0, 3)
    x.add_(1.0).copy_(engine.ones(3)).mul_(x[:0])
    assert x._version == 3
