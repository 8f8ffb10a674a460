"""Forward mode: tangents, which travel with their tensors through every operation.

A *level* is one differentiation that is going on. A tensor has at most one tangent per level; an
operation whose inputs have tangents gives its outputs theirs, level by level from the outermost.
While the tangent of a level is computed, that level and those inside it are out of sight: a tangent
carries tangents of outer levels only. So nested levels cannot be confused with one another
(Siskind & Pearlmutter 2005, "Perturbation confusion and referential transparency").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from reference_engine.graph import Node, OpNode
from reference_engine.modes import MODES, Mode
from reference_engine.ops.opdef import REGISTRY
from reference_engine.ops.push import Push
from reference_engine.tensor import Tensor
from reference_engine.views import replay, way_from_base

if TYPE_CHECKING:
    from reference_engine.dispatch import Call


class Level(Mode):
    """One differentiation in forward mode, going on while it is entered; its tangents end with it.

    Levels nest: tangents of the inner one are differentiated by the outer.
    """

    def settings(self) -> Mapping[str, Any]:
        """The level is the innermost."""
        return {"levels": (*MODES.levels, self)}

    def __enter__(self) -> Level:
        super().__enter__()
        return self


#: the tangents of one tensor, each for as long as there is its level: it may be the history of one
#: that its own tensor's node has saved. None hides the one that the base has.
Tangents: TypeAlias = "WeakKeyDictionary[Level, Tensor | None]"


def below(level: Level) -> Mode:
    """Inside, a level and those inside it are out of sight."""
    levels = MODES.levels
    return Mode(levels=levels[: levels.index(level)] if level in levels else levels)


def paused(enabled: bool = False) -> Mode:
    """Inside, forward mode is off, or with ``enabled`` on."""
    return Mode(forward_enabled=enabled)


# one tensor ---------------------------------------------------------------------------------------
def make_dual(primal: Tensor, tangent: Tensor, level: Level) -> Tensor:
    """A view of ``primal`` that has a tangent at a level.

    ValueError unless both are floating or complex, RuntimeError when ``primal`` has a tangent there
    already, or when the shapes differ.
    """
    for what, x in (("primal", primal), ("tangent", tangent)):
        if not x.dtype.differentiable:
            raise ValueError(f"a {what} must be floating or complex, got {x.dtype}; convert it")
    if any(tangent_of(x, level) is not None for x in (primal, tangent)):
        raise RuntimeError(
            "this tensor has a tangent at this level already; take its primal with unpack_dual"
        )
    if tangent._raw.shape != primal._raw.shape:
        raise RuntimeError(
            f"a tangent of shape {list(tangent.shape)} was given for a tensor of shape "
            f"{list(primal.shape)}; they must be equal"
        )
    dual = _alias(primal)
    if tangent.stride() != primal.stride():  # an expanded tangent could not be written to
        tangent = tangent.clone()
    set_tangent(dual, level, tangent)
    return dual


def _alias(x: Tensor) -> Tensor:
    """A view of all of a tensor."""
    made: Tensor = replay(x, [(REGISTRY["view"], {"shape": tuple(x._raw.shape)}, None)])
    return made


def unpack(x: Tensor, level: Level) -> tuple[Tensor, Tensor | None]:
    """A view of ``x`` without its tangent at a level, and that tangent."""
    with below(level):  # a view without it: what would be computed is not asked for
        primal = _alias(x)
    set_tangent(primal, level, None)
    return primal, tangent_of(x, level)


def tangent_of(x: object, level: Level) -> Tensor | None:
    """The tangent at a level, for a view the view of its base's; None when there is none."""
    if not isinstance(x, Tensor):
        return None
    held, view = x._rare.tangents, x._rare.view
    if level in held:
        return held[level]
    whole = None if view is None else tangent_of(view.base, level)
    if view is None or whole is None:
        return None
    with below(level):
        part: Tensor = replay(whole, way_from_base(view))
    set_tangent(x, level, part)
    return part


def set_tangent(x: Tensor, level: Level, tangent: Tensor | None) -> None:
    """Sets a tensor's tangent at a level; None means that it has none, even if its base has."""
    rare = x._extras()
    if not rare.tangents:
        rare.tangents = WeakKeyDictionary()
    rare.tangents[level] = tangent


def copy_tangents(source: Tensor, target: Tensor) -> None:
    """Gives a tensor of the same values the tangents that another has at the levels in sight."""
    for level in MODES.forward:
        set_tangent(target, level, tangent_of(source, level))


def overwrite_tangent(x: Tensor, level: Level, tangent: Tensor) -> None:
    """Updates a tangent in place, and so those of a base and its other views."""
    view = x._rare.view
    hidden = level in x._rare.tangents
    with below(level):
        if view is not None and not hidden and tangent_of(view.base, level) is None:
            whole = view.base.new_zeros(tuple(view.base.shape))
            if MODES.vmaps:  # of as many numbers as there are in either batch
                whole = whole + tangent.new_zeros(tuple(whole.shape))
            set_tangent(view.base, level, whole)
        before = tangent_of(x, level)
        if before is None:
            set_tangent(x, level, tangent)
        else:
            before.copy_(tangent)


# one operation ------------------------------------------------------------------------------------
def push_forward(call: Call) -> None:
    """Gives the outputs of an op that has run the tangents that follow from its inputs'.

    NotImplementedError for an op without a forward rule.
    """
    run, inputs, outputs = call.run, call.inputs, call.outputs
    follows = run.for_each(run.follows, inputs)
    for level in MODES.forward:
        tangents = [
            tangent_of(x, level) if follow else None
            for x, follow in zip(inputs, follows, strict=False)
        ]
        if any(t is not None for t in tangents):
            with below(level):
                made = Push(call, tangents).fitted()
            for y, t in zip(outputs, made, strict=True):
                if t is not None:
                    set_tangent(y, level, t)
    node = next((y._grad_fn for y in outputs if y._grad_fn is not None), None)
    if isinstance(node, OpNode) and node._saved:
        count = len(run.op.inputs)
        values = [*[*inputs, *[None] * count][:count], *outputs]
        attach_tangents(node, [values[source] for source in node._plan.sources])


def attach_tangents(node: Node, saved: Sequence[Any]) -> None:
    """Keeps in a node the tangents of the tensors that it saved: its gradient depends on them."""
    tangents: list[Tangents] = [WeakKeyDictionary() for _ in saved]
    for held, x in zip(tangents, saved, strict=True):
        every = ((level, tangent_of(x, level)) for level in MODES.forward)
        held.update((level, t) for level, t in every if t is not None)
    if any(tangents):
        node.attached().tangents = tangents
