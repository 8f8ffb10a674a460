"""Parameters: the tensors that a module registers and an optimizer updates."""

from __future__ import annotations

from reference_engine.rare import NOTHING
from reference_engine.tensor import Tensor


class Parameter(Tensor):
    """A leaf over the memory of ``data``, which a :class:`Module` registers when it is assigned to
    it.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor, requires_grad: bool = True) -> Parameter:
        """TypeError unless ``data`` is a tensor; RuntimeError if it cannot require grad and
        should.
        """
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter needs a Tensor, got {type(data).__name__}")
        made: Parameter = object.__new__(cls)
        made._raw, made._storage = data._raw, data._storage
        made._grad_fn, made._nr, made._tracked, made._rare = None, 0, False, NOTHING
        if requires_grad:
            made.requires_grad_()
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
