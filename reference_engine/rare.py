"""What few tensors have: a base, a gradient, hooks, tangents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from reference_engine.backends.dtypes import dtype
from reference_engine.hooks import Hooks
from reference_engine.ops.opdef import OpDef

if TYPE_CHECKING:
    from reference_engine.forward import Level, Tangents
    from reference_engine.graph import AccumulateGrad, Edge
    from reference_engine.tensor import Tensor

#: in which circumstances a view was made, and so whether writing through it can be recorded
CreationMode = Literal["default", "no_grad", "inference", "multi_output", "custom_function"]
#: view op, parameters, which of its outputs (None for the only one)
ViewStep = tuple[OpDef, Mapping[str, Any], "int | None"]


class View:
    """What a view remembers: its base and the way from there, so that its history can be remade."""

    __slots__ = ("age", "base", "chain", "grad_fn", "mode", "nr", "requires_grad", "version")

    def __init__(
        self, base: Tensor, chain: tuple[ViewStep, ...], age: int, mode: CreationMode, edge: Edge
    ) -> None:
        self.base = base
        #: from the base to this tensor, when ``age`` of the base's ``reshaped`` had been
        self.chain, self.age = chain, age
        self.mode = mode
        #: its history, and the storage version for which it is right
        self.grad_fn, self.nr = edge
        self.version = int(base._storage.version)
        #: a leaf that was asked to require grad although it is a view
        self.requires_grad = False


class Rare:
    """What most tensors do not have."""

    __slots__ = (
        "accumulated", "accumulator", "grad", "grad_dtype", "hooks", "reshaped", "tangents", "view",
    )  # fmt: skip

    def __init__(self) -> None:
        self.grad: Tensor | None = None
        #: the dtype that ``grad`` must have; ``"own"``: the tensor's; None: any
        self.grad_dtype: dtype | Literal["own"] | None = "own"
        self.accumulator: Callable[[], AccumulateGrad | None] | None = None
        self.view: View | None = None
        #: for each ``t_`` and its like that changed this tensor's shape, the view op back
        self.reshaped: tuple[ViewStep, ...] = ()
        self.tangents: Tangents | dict[Level, Tensor | None] = {}
        #: tensor hooks of a leaf, and those for when its gradient has been accumulated
        self.hooks: Hooks = {}
        self.accumulated: Hooks = {}


#: of every tensor that has none of this; it is read only
NOTHING = Rare()
