"""In-place writes, and the views through which they are made."""

from __future__ import annotations

from contextlib import nullcontext

from conformance.catalogue import NUMBERS
from conformance.strategies.draft import Draft, Pairs
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import RANGES
from conformance.strategies.placement import Draw, reshaped
from conformance.strategies.shapes import Shape

WRITES = ("add", "mul", "zero", "neg", "copy", "sub")
"""In-place operations that change values, simplest first."""
VIEWS = ("view", "narrow", "select", "transpose", "unsqueeze")
"""Operations whose results share memory with their operand, simplest first."""


def write_in_place(
    draft: Draft,
    target: str,
    shape: Shape,
    *,
    names: tuple[str, ...] = WRITES,
    block: str | None = None,
    refused: bool = False,
) -> None:
    """Write one in-place operation on a tensor of the shape; four bytes.

    Its second operand, where it has one, is a number or an untracked leaf. block: the grad-mode
    block in which it is written. refused: it owes an error.
    """
    part = draft.choices.part(4)
    known = [name for name in names if draft.facts.takes(f"{name}_")] or ["add"]
    name, operand, number, seed = part.pick(known), part.byte(), part.pick(NUMBERS), part.byte()
    args: tuple[str, ...] = ()
    params: Pairs = ()
    if name == "copy" or (name in ("add", "sub", "mul") and operand % 4 == 3):
        args = (draft.leaf(Leaf(shape, RANGES[operand % 2], 31 + seed, False), "w"),)
    elif name in ("add", "sub", "mul"):
        params = (("other", number),)
    with nullcontext() if block is None else draft.block(block):
        draft.call_(name, (target, *args), params, refused=refused)


def write_view(
    draft: Draft, base: str, shape: Shape, stem: str = "seen", *, contiguous: bool = True
) -> tuple[str, Shape]:
    """Write a view of a tensor; return its name and its shape; four bytes.

    An engine that has no view of such a shape gets the tensor itself. contiguous: whether the
    tensor certainly is: `view` refuses others.
    """
    part = draft.choices.part(4)
    drawn = part.byte()
    draw = Draw(part.byte(), part.byte(), 0, part.byte())
    known = [n for n in VIEWS if draft.facts.knows(n) and (contiguous or n != "view")]
    for offset in range(len(known)):
        name = known[(drawn + offset) % len(known)]
        found = reshaped(name, shape, draw)
        if found is not None:
            return draft.call(name, (base,), found[0], stem), found[1]
    return base, shape
