"""What few tensors have: a base, a gradient, hooks, tangents."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal
from weakref import ref

from reference_engine.graph import AccumulateGrad, Node
from reference_engine.ops.opdef import OpDef

if TYPE_CHECKING:
    from reference_engine.forward import Tangents
    from reference_engine.leaves import LeafOptions
    from reference_engine.tensor import Tensor

#: in which circumstances a view was made, and so whether writing through it can be recorded
CreationMode = Literal["default", "no_grad", "inference", "multi_output", "custom_function"]


class View:
    """What a view remembers: its base and the way from there, so that its history can be remade."""

    __slots__ = ("base", "chain", "grad_fn", "mode", "nr", "requires_grad", "version")

    def __init__(
        self,
        base: Tensor,
        chain: tuple[tuple[OpDef, dict[str, Any], int | None], ...],
        mode: CreationMode,
        version: int,
    ) -> None:
        self.base = base
        #: (view op, parameters, which output) from the base to this tensor
        self.chain = chain
        self.mode = mode
        #: storage version for which ``grad_fn`` is the right history
        self.version = version
        self.grad_fn: Node | None = None
        self.nr = 0
        #: a leaf that was asked to require grad although it is a view
        self.requires_grad = False


class Rare:
    """What most tensors do not have."""

    __slots__ = (
        "accumulator", "grad", "hooks", "leaf", "retains_grad", "tangents", "view",
    )  # fmt: skip

    def __init__(self) -> None:
        self.grad: Tensor | None = None
        self.accumulator: ref[AccumulateGrad] | None = None
        self.view: View | None = None
        self.retains_grad = False
        self.leaf: LeafOptions | None = None
        self.tangents: Tangents | None = None
        self.hooks: dict[int, Callable[..., Any]] = {}
