"""Calling a module with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reference_engine.nn.module import Module
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
    TypeError for a value that is no tensor, RuntimeError with ``strict`` for names that are missing
    or unknown.
    """
    dicts = parameter_and_buffer_dicts
    if not isinstance(dicts, (Mapping, list, tuple)):
        raise ValueError(f"functional_call needs a dict, or several, got {type(dicts).__name__}")
    listed = [dicts] if isinstance(dicts, Mapping) else list(dicts)
    given: dict[str, Tensor] = {}
    for found in listed:
        twice = given.keys() & found.keys()
        if twice:
            raise ValueError(
                f"functional_call got {sorted(twice)} in several dicts; give each once"
            )
        given.update(found)
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be replaced by a Tensor, got {type(value).__name__}")
    own = _slots(module)
    missing, unknown = own.keys() - given.keys(), given.keys() - own.keys()
    if tie_weights:
        given = _tied(own, given)
        missing = own.keys() - given.keys()
    if strict and (missing or unknown):
        raise RuntimeError(
            f"functional_call(strict=True) needs exactly the names of {type(module).__name__}: "
            f"missing {sorted(missing)}, unknown {sorted(unknown)}"
        )
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced({own[name]: value for name, value in given.items() if name in own}):
        return module(*positional, **(kwargs or {}))


class _Slot:
    """Where a module keeps a parameter or a buffer."""

    def __init__(self, table: dict[str, Any], name: str) -> None:
        self.table, self.name = table, name


def _slots(module: Module) -> dict[str, _Slot]:
    return {
        f"{path}.{name}" if path else name: _Slot(table, name)
        for path, part in module.named_modules()
        for table in (part._parameters, part._buffers)
        for name, value in table.items()
        if value is not None
    }


def _tied(own: Mapping[str, _Slot], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is given, under all names of each tensor; ValueError for two values of one tensor."""
    names: dict[int, list[str]] = {}
    for name, slot in own.items():
        names.setdefault(id(slot.table[slot.name]), []).append(name)
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
def _replaced(values: Mapping[_Slot, Tensor]) -> Iterator[None]:
    """Inside, the slots hold these values; what was there comes back afterwards."""
    before = {slot: slot.table[slot.name] for slot in values}
    try:
        for slot, value in values.items():
            slot.table[slot.name] = value
        yield
    finally:
        for slot, value in before.items():
            slot.table[slot.name] = value
