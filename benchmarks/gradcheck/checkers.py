"""The checkers of gradients that are compared: ours, PyTorch's two, and three other libraries'."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import torch

from benchmarks.gradcheck.peers import INEXPRESSIBLE, hips_finds, jax_finds, numdifftools_finds
from benchmarks.gradcheck.planted import Planted
from conformance import gradcheck

ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What a checker may raise against a function; a peer's is counted as an accusation."""


@dataclass(frozen=True)
class Checker:
    """A checker called as its documentation first shows.

    finds(planted) tells whether it says anything against a function. module: the library that must
    be installed. cannot: the kinds and operations that its library cannot express, and why.
    """

    name: str
    finds: Callable[[Planted], bool]
    module: str = "torch"
    cannot: Mapping[str, str] = field(default_factory=dict)

    def reason_against(self, planted: Planted) -> str:
        """Return why the library cannot express a function, or nothing."""
        return self.cannot.get(planted.kind, "") or self.cannot.get(planted.operation, "")

    def accuses(self, planted: Planted) -> bool:
        """Tell whether the checker says or raises anything against a function."""
        torch.manual_seed(0)
        np.random.seed(0)
        try:
            return self.finds(planted)
        except ERRORS:
            if self.name != "ours":
                return True
            traceback.print_exc()
            return False


def ours(planted: Planted) -> bool:
    function, inputs = planted.make()
    return gradcheck(function, inputs, order=planted.order).verdict == "fail"


def torch_checker(fast: bool) -> Callable[[Planted], bool]:
    def finds(planted: Planted) -> bool:
        function, inputs = planted.make()
        first = torch.autograd.gradcheck(function, inputs, fast_mode=fast, raise_exception=False)
        if first and planted.order == 2:
            return not torch.autograd.gradgradcheck(
                function, inputs, fast_mode=fast, raise_exception=False
            )
        return not first

    return finds


CHECKERS = (
    Checker("ours", ours),
    Checker("torch slow", torch_checker(False)),
    Checker("torch fast", torch_checker(True)),
    Checker("JAX", jax_finds, "jax", INEXPRESSIBLE["JAX"]),
    Checker("HIPS autograd", hips_finds, "autograd", INEXPRESSIBLE["HIPS autograd"]),
    Checker("numdifftools", numdifftools_finds, "numdifftools", INEXPRESSIBLE["numdifftools"]),
)


def installed() -> list[Checker]:
    """Return the checkers whose library is here."""
    return [checker for checker in CHECKERS if find_spec(checker.module)]


def say_which() -> None:
    """Print which columns the tables have, and which they lack and why."""
    here = installed()
    print(f"columns: {', '.join(checker.name for checker in here)}")
    for checker in CHECKERS:
        if checker not in here:
            print(
                f"no column of {checker.name}: {checker.module} is not installed"
                " (`tox -e bench -- gradcheck` installs it)"
            )


def row(title: str, cells: list[object], width: int = 42) -> str:
    """Return a line of a table whose columns are the checkers that are installed."""
    spans = [max(8, len(checker.name)) for checker in installed()]
    return f"{title:{width}}" + "  ".join(
        f"{cell!s:>{span}}" for cell, span in zip(cells, spans, strict=True)
    )


def heading(title: str) -> str:
    return row(title, [checker.name for checker in installed()])
