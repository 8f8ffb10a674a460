"""The functions of layers, ``reference_engine.nn.functional``: made from the table of
operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_engine.ops.methods import functions

globals().update(functions("nn.functional."))

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
