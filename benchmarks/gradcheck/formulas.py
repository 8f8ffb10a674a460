"""Planted errors of formulas: factors, terms, indices, single elements, precision."""

from __future__ import annotations

import torch

from benchmarks.gradcheck.planted import Planted, changed, function, normal, positive, scaled


def _mask(r: torch.Tensor, at: int, value: float) -> torch.Tensor:
    one = torch.ones_like(r).reshape(-1)
    one[at] = value
    return r * one.reshape(r.shape)


def _detached_term(g, a, b):
    return g / b, -g * a / b


def _formula(name: str, operation: str, by, inputs=None) -> Planted:
    return Planted(name, "formula", operation, changed(operation, scaled(by), inputs))


FORMULAS = [
    *(
        _formula(f"all of it {factor - 1:.0e} too large", operation, lambda r, *_, f=factor: r * f)
        for operation, factor in (
            ("sin", 1.01), ("matmul", 1 + 1e-4), ("exp", 1 + 1e-6), ("matmul", 1 + 1e-8),
            ("softmax", 1 + 1e-8), ("log", 1 + 1e-9),
        )
    ),
    _formula("factor two", "cube", lambda r, *_: r * 2),
    _formula("sign", "tanh", lambda r, *_: -r),
    _formula("one element twice as large", "sin", lambda r, *_: _mask(r, 17, 2.0),
             lambda: (normal(1000),)),
    _formula("one element of 1,000 wrong by 1 %", "exp", lambda r, *_: _mask(r, 517, 1.01),
             lambda: (normal(1000),)),
    _formula("last element missing", "cube", lambda r, *_: _mask(r, -1, 0.0)),
    _formula("two elements swapped", "exp", lambda r, *_: r[[1, 0, *range(2, r.numel())]]),
    _formula("one row shifted", "tanh", lambda r, *_: torch.cat([r[1:], r[:1]])),
    _formula("constant added", "sin", lambda r, *_: r + 1e-6),
    _formula("term left out", "softmax", lambda r, g, x: x.softmax(-1) * g),
    _formula("sum over the wrong dimension", "softmax",
             lambda r, g, x: (lambda y: y * (g - (g * y).sum(0, keepdim=True)))(x.softmax(-1))),
    _formula("transpose forgotten", "square matmul", lambda r, g, a, b: g @ b),
    _formula("cumulated from the wrong end", "cumsum", lambda r, g, x: g.cumsum(-1)),
    _formula("power off by one", "cube", lambda r, g, x: g * 3 * x),
    _formula("inputs confused", "mul", lambda r, g, a, b: g * a),
    _formula("absolute value", "tanh", lambda r, *_: r.abs()),
    _formula("epsilon in the denominator", "log", lambda r, g, x: g / (x + 1e-7)),
    _formula("mean instead of sum", "sum", lambda r, g, x: g.expand_as(x) / x.shape[0]),
    _formula("rounded to float32", "matmul", lambda r, *_: r.float().double()),
    _formula("rounded to bfloat16", "div", lambda r, *_: r.bfloat16().double()),
    _formula("small entries flushed to zero", "norm", lambda r, *_: r * (r.abs() > 0.2)),
    Planted("second input's square forgotten", "formula", "div",
            lambda: (function(torch.div, _detached_term),
                     (normal(4, 5), positive(4, 5, seed=1)))),
    Planted("second input without gradient", "formula", "mul",
            lambda: (function(torch.mul, lambda g, a, b: (g * b, None)),
                     (normal(4, 5), normal(4, 5, seed=1)))),
    Planted("part of the computation detached", "formula", "softmax",
            lambda: (lambda x: x * x.detach().softmax(-1), (normal(4, 5),))),
    Planted("conjugate forgotten", "formula", "complex mul",
            lambda: (function(torch.mul, lambda g, a, b: (g * b, g * a.conj())),
                     tuple(torch.complex(normal(3, seed=s), normal(3, seed=s + 5)).detach()
                           .requires_grad_() for s in (0, 1)))),
    Planted("batch norm without the mean's share", "formula", "batch norm",
            lambda: (function(
                lambda x: (x - x.mean(0)) / x.std(0, unbiased=False),
                lambda g, x: g / x.std(0, unbiased=False)), (normal(8, 3),))),
    Planted("subgradient out of range at zero", "kink", "relu",
            lambda: (function(torch.relu, lambda g, x: g * torch.where(x == 0, 2.0, (x > 0) * 1.0)),
                     (torch.tensor([0.0, 1.0, -1.0, 0.0], dtype=torch.float64)
                      .requires_grad_(),))),
    Planted("both of two ties get everything", "kink", "max",
            lambda: (function(torch.amax, lambda g, x: g * (x == x.max())),
                     (torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64).requires_grad_(),))),
    Planted("abs has slope -1 at positive zero and 3 beyond", "kink", "abs",
            lambda: (function(torch.abs, lambda g, x: g * torch.where(x == 0, 3.0, x.sign())),
                     (torch.tensor([0.0, 0.5, -2.0], dtype=torch.float64).requires_grad_(),))),
    Planted("wrong beside a kink", "kink", "relu",
            lambda: (lambda x: function(torch.relu, lambda g, x: g * (x > 0) * 1.001)(x).sum(),
                     (torch.tensor([0.0, 0.7, -1.0, 1.3], dtype=torch.float64)
                      .requires_grad_(),))),
]  # fmt: skip
