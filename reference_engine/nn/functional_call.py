"""Calling a module with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any

from reference_engine.modes import no_grad
from reference_engine.nn.module import Module
from reference_engine.ops.call import function_of
from reference_engine.ops.table import TABLE
from reference_engine.tensor import Tensor


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with the named parameters and buffers in place of its own.

    Names are dotted; one dict, or several with different names. With ``tie_weights``, a tensor that
    the module has under several names is replaced under all. ValueError for a name given twice,
    TypeError for a value that is neither tensor nor None, AttributeError for a name in a module
    that is not there, RuntimeError with ``strict`` for names that are missing or unknown.
    """
    dicts = parameter_and_buffer_dicts
    if not isinstance(dicts, (Mapping, list, tuple)):
        raise ValueError(f"functional_call needs a dict, or several, got {type(dicts).__name__}")
    listed = [dicts] if isinstance(dicts, Mapping) else list(dicts)
    given: dict[str, Tensor | None] = {}
    for found in listed:
        if not isinstance(found, Mapping):
            raise ValueError(f"functional_call needs dicts, got {type(found).__name__} among them")
        twice = given.keys() & found.keys()
        if twice:
            raise ValueError(
                f"functional_call got {sorted(twice)} in several dicts; give each once"
            )
        given.update(found)
    for name, value in given.items():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{name} must be replaced by a Tensor, got {type(value).__name__}")
        reduce(getattr, name.split(".")[:-1], module)  # AttributeError for a part that is not there
    own = _slots(module)
    unknown = given.keys() - own.keys()
    if tie_weights:
        given = _tied(own, given)
    missing = {name for name, slot in own.items() if slot.value is not None} - given.keys()
    if strict and (missing or unknown):
        raise RuntimeError(
            f"functional_call(strict=True) needs exactly the names of {type(module).__name__}: "
            f"missing {sorted(missing)}, unknown {sorted(unknown)}"
        )
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced({own[name]: value for name, value in given.items() if name in own}):
        return module(*positional, **(kwargs or {}))


class _Slot:
    """Where a module keeps a parameter or a buffer, or None for one that it does not have."""

    def __init__(self, table: dict[str, Any], name: str) -> None:
        self._table, self._name = table, name

    @property
    def value(self) -> Tensor | None:
        """What is there now."""
        return self._table[self._name]  # type: ignore[no-any-return]

    @value.setter
    def value(self, value: Tensor | None) -> None:
        self._table[self._name] = value


def _slots(module: Module) -> dict[str, _Slot]:
    return {
        f"{path}.{name}" if path else name: _Slot(table, name)
        for path, part in module.named_modules()
        for table in (part._parameters, part._buffers)
        for name in table
    }


def _tied(own: Mapping[str, _Slot], given: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
    """What is given, under all names of each tensor; ValueError for two values of one tensor."""
    names: dict[int, list[str]] = {}
    for name, slot in own.items():
        if slot.value is not None:
            names.setdefault(id(slot.value), []).append(name)
    made = dict(given)
    for group in names.values():
        values = {id(given[name]): given[name] for name in group if name in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call got several values for {group}, which are one tensor"
            )
        made.update(dict.fromkeys(group, next(iter(values.values()))) if values else {})
    return made


@contextmanager
def _replaced(values: Mapping[_Slot, Tensor | None]) -> Iterator[None]:
    """Inside, the slots hold these values; what was there comes back afterwards."""
    before = {slot: slot.value for slot in values}
    try:
        for slot, value in values.items():
            slot.value = value
        yield
    finally:
        for slot, value in before.items():
            slot.value = value


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of modules of one kind, stacked, for ``vmap`` over them.

    RuntimeError for no modules, for modules of several types, and where some train and others do
    not.
    """
    if not models:
        raise RuntimeError("stack_module_state needs at least one module, got none")
    if len({m.training for m in models}) > 1 or len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state needs modules of one type, all training or none")
    stack = function_of(TABLE["stack"])

    def stacked(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Any]:
        made = {}
        for name in states[0]:
            with no_grad():
                made[name] = stack([state[name] for state in states], dim=0)
            made[name].requires_grad_(states[0][name].requires_grad)
        return made

    return (
        stacked([dict(m.named_parameters()) for m in models]),
        stacked([dict(m.named_buffers()) for m in models]),
    )
