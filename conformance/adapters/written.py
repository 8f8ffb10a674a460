"""What is applied while a function runs, written out as Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance.adapters.base import Tensor


class Written:
    """A function of tensors of the class `kind`, line by line; it calls `apply` of its globals.

    constants: the tensors that it takes after the primals, in the order in which they were met.
    """

    def __init__(self, kind: type, primals: Sequence[Tensor]) -> None:
        self._kind = kind
        self._lines: list[str] = []
        self._held: list[object] = list(primals)  # their ids are theirs as long as they live
        self._names = {id(primal): f"x{n}" for n, primal in enumerate(primals)}
        self._arity, self.constants = len(primals), list[Tensor]()

    def note(
        self, op: str, tensors: Sequence[Tensor], params: Mapping[str, Any], made: Any
    ) -> None:
        """Write one operation down."""
        given = [repr(op), *map(self._word, tensors), f"**{self._word(params)}"]
        name = f"r{len(self._lines)}"
        self._lines.append(f"    {name} = apply({', '.join(given)})\n")
        self._held.append(made)
        if isinstance(made, tuple | list):
            self._names |= {id(part): f"{name}[{n}]" for n, part in enumerate(made)}
        else:
            self._names[id(made)] = name

    def text(self, results: Sequence[Tensor]) -> str:
        """Return the function that ends with these results."""
        last = f"    return {self._word(tuple(results))}\n"
        names = [f"x{n}" for n in range(self._arity)]
        names += [f"k{n}" for n in range(len(self.constants))]
        return f"def function({', '.join(names)}):\n{''.join(self._lines)}{last}"

    def _word(self, value: Any) -> str:
        if isinstance(value, self._kind):
            if id(value) not in self._names:
                self._names[id(value)] = f"k{len(self.constants)}"
                self.constants.append(value)
            return self._names[id(value)]
        if isinstance(value, Mapping):
            return "{" + "".join(f"{key!r}: {self._word(v)}, " for key, v in value.items()) + "}"
        if isinstance(value, tuple | list):
            return "(" + "".join(f"{self._word(item)}, " for item in value) + ")"
        return repr(value)
