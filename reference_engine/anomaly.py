"""Anomaly mode: every node remembers where it was made, and backward looks for NaN."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import Any

from reference_engine.graph import Cotangents, Node, Wanted
from reference_engine.modes import MODES, Mode, Switch


class set_detect_anomaly(Switch):  # noqa: N801
    """Sets anomaly mode on or off, at once when called as a function, for a block when entered."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(anomaly=bool(mode), check_nan=check_nan)


class detect_anomaly(Mode):  # noqa: N801
    """Inside, backward raises RuntimeError at the first NaN and says where its forward was run."""

    def __init__(self, check_nan: bool = True) -> None:
        warnings.warn(
            "anomaly mode is on, which makes everything slower: use it for debugging only",
            UserWarning,
            stacklevel=2,
        )
        super().__init__(anomaly=True, check_nan=check_nan)


def note_traceback(node: Node) -> None:
    """In anomaly mode, notes in a new node's metadata where it is made, and during which node."""
    if MODES.anomaly:
        import traceback

        node.metadata["traceback_"] = traceback.format_stack()[:-2]
        if MODES.evaluating is not None:
            node.metadata["parent_"] = MODES.evaluating


def run_watched(node: Node, grads: Cotangents, F: Any, wanted: Wanted) -> Cotangents:
    """Runs a node in anomaly mode.

    When it fails, or returns NaN, a warning shows the traceback of its forward.
    """
    with ExitStack() as failing, Mode(evaluating=node):
        failing.callback(_show, node)
        outs = node.run(grads, F, wanted)
        if MODES.check_nan:
            _refuse_nan(node, outs, F)
        failing.pop_all()
    return outs


def _refuse_nan(node: Node, outs: Cotangents, F: Any) -> None:
    for place, (parent, out) in enumerate(zip(node.next, outs, strict=False)):
        if parent is None or out is None:
            continue
        x = F.to_tensor(out).detach()
        if bool((x != x).any().item()):
            raise RuntimeError(f"{node.name()} returned NaN as the gradient of its input {place}")


def _show(node: Node) -> None:
    text = f"error in {node.name()}"
    if "traceback_" not in node.metadata:
        text += "; turn anomaly mode on during forward to see where it ran"
    place: Node | None = node
    while place is not None and "traceback_" in place.metadata:
        text += ", whose forward was run at:\n" + "".join(place.metadata["traceback_"])
        place = place.metadata.get("parent_")
        text += "" if place is None else f"during the backward of {place.name()}"
    warnings.warn(text, UserWarning, stacklevel=2)
