"""What ``grad``, ``vjp`` and ``jvp`` have in common: a function runs on tensors of its own.

There is one tape. Inside a transform the inputs are copies that require grad, joined to the
originals where something outside differentiates those. What leaves the transform is cut off the
tape unless it depends on such a tensor from outside, so that a result requires grad exactly when
PyTorch's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from reference_engine import forward
from reference_engine.backward import grad
from reference_engine.func.trees import Structure, flatten, tensors_of
from reference_engine.graph import AccumulateGrad, Node
from reference_engine.modes import MODES, Mode, set_grad_enabled
from reference_engine.ops.batching import lift
from reference_engine.scope import leading, reachable
from reference_engine.storage import Storage, TransformedStorage
from reference_engine.tensor import Tensor

_numbers = count(1)


class Transform(Mode):
    """One call of a transform's function, while it is entered."""

    def __init__(self, *, records: bool = True, differentiates: bool = True) -> None:
        super().__init__()
        self.number = next(_numbers)
        #: whether what it runs is recorded even where recording is off
        self._records = records
        #: whether writing to what the function captured would be lost to a derivative
        self.differentiates = differentiates
        #: storages from outside that may be written to: those of arguments that are constant
        self._admitted: set[Storage] = set()
        self._primals: set[Storage] = set()

    def settings(self) -> dict[str, Any]:
        """The transform is the innermost, and derives in inference mode too."""
        self._recorded_outside = MODES.grad
        return {
            "transforms": (*MODES.transforms, self),
            "grad": MODES.grad or self._records,
            "inference": False,
        }

    def __enter__(self) -> Any:
        super().__enter__()
        return self

    def storage(self) -> Storage:
        """The storage of a tensor made inside."""
        return TransformedStorage(self.number)

    def check_writable(self, target: Tensor, name: str) -> None:
        """RuntimeError for a write to what an enclosing transform's function captured, or to its
        input.
        """
        inner = [t for t in MODES.transforms if t.differentiates][-1:]
        storage = target._storage
        if not inner or storage in inner[0]._admitted:
            return
        if _made_in(target) < inner[0].number:
            raise RuntimeError(
                f"{name} would modify a tensor of shape {list(target.shape)} that a function "
                "captured which grad, vjp or jvp transforms; give it to the function as an argument"
            )
        if storage in inner[0]._primals and MODES.recording:
            raise RuntimeError(
                f"{name} would modify an input that the transform differentiates with respect to; "
                "modify a clone() of it"
            )

    def admit(self, *trees: Any) -> None:
        """Lets the function write to its constant arguments."""
        self._admitted.update(x._storage for x in flatten(trees)[0] if isinstance(x, Tensor))

    def primals(self, tree: Any) -> tuple[list[Tensor], Structure]:
        """The inputs to differentiate with respect to, as the function gets them, and their tree.

        ValueError for a leaf of the tree that is no tensor, RuntimeError for one that is integer.
        """
        must = "what a transform differentiates with respect to must be tensors"
        leaves, structure = tensors_of(tree, must, ValueError)
        return [self._primal(x) for x in leaves], structure

    def _primal(self, x: Tensor) -> Tensor:
        if not x.dtype.differentiable:
            raise RuntimeError(
                f"only floating and complex tensors can be differentiated by, got dtype {x.dtype}"
            )
        # each entry of a batch has a gradient of its own
        x = lift(x, {call.level: call.size for call in MODES.vmaps})
        with set_grad_enabled(self._recorded_outside):
            made: Tensor = x.clone()
        made._extras()
        made._tracked = True
        self._primals.add(made._storage)
        return made


def _made_in(x: Tensor) -> int:
    """The number of the transform in which a tensor's memory was made, 0 for none."""
    return getattr(x._storage, "transform", 0)


def defined(g: Tensor | None, like: Tensor, by: str, create: bool, strict: bool) -> Tensor:
    """A derivative by something, zeros where there is none. RuntimeError for these with ``strict``,
    and then also for one that is constant where a graph is created.
    """
    if strict and (g is None or (create and not g.requires_grad)):
        what = "the output" if g is None else "its derivative"
        raise RuntimeError(f"{what} does not depend on {by}, as strict=True demands")
    return like.new_zeros(tuple(like.shape)) if g is None else g


def pulled(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor | None],
    keep: bool, create: bool, strict: bool = False,
) -> list[Tensor]:  # fmt: skip
    """Vector-Jacobian products of outputs of which some may require no grad; None is undefined."""
    pairs = [(y, w) for y, w in zip(outputs, cotangents, strict=True) if y.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if pairs:
        followed, weights = zip(*pairs, strict=True)
        found = grad(followed, list(inputs), weights, keep, create, True)
    numbered = enumerate(zip(found, inputs, strict=True))
    return [defined(g, x, f"input {i}", create, strict) for i, (g, x) in numbered]


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor | None],
    keep: bool,
) -> list[Tensor]:  # fmt: skip
    """Vector-Jacobian products that can be differentiated where something outside is."""
    outer = any(w is not None and w.requires_grad for w in cotangents)
    create = MODES.grad and (bool(MODES.forward) or outer or any(leads_out(outputs)))
    return pulled(outputs, inputs, cotangents, keep or create, create)


def released(*trees: Any) -> Any:
    """What leaves a transform that has ended: off the tape, unless it depends on what outside is
    differentiated by. RuntimeError for a leaf that is no tensor.
    """
    leaves, structure = tensors_of(trees, "what a transform's function returns must be tensors")
    kept = leads_out(leaves) if MODES.recording else [False] * len(leaves)
    return structure.build([x if keep else _cut(x) for x, keep in zip(leaves, kept, strict=True)])


def _cut(x: Tensor) -> Tensor:
    if not x._tracked:
        return x
    made = x.detach()
    forward.copy_tangents(x, made)
    return made


def leads_out(tensors: Sequence[Tensor]) -> list[bool]:
    """Whether each depends on a tensor that is differentiated by outside finished transforms."""
    nodes = [x._edge()[0] for x in tensors]
    reached = reachable(node for node in nodes if node is not None)
    going_on = {0, *(t.number for t in MODES.transforms)}
    leaves = [node for node in reached if isinstance(node, AccumulateGrad)]
    ends: set[Node] = {leaf for leaf in leaves if _made_in(leaf.variable) in going_on}
    ends |= leading(reached, ends)
    return [node in ends for node in nodes]
