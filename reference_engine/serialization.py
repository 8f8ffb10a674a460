"""Writing and reading tensors, and whatever holds them, such as a ``state_dict``."""

from __future__ import annotations

import pickle
from os import PathLike
from pathlib import Path
from typing import IO, Any


def save(obj: Any, f: str | PathLike[str] | IO[bytes]) -> None:
    """Pickles ``obj`` to a path or an open binary file."""
    data = pickle.dumps(obj)
    if isinstance(f, (str, PathLike)):
        Path(f).write_bytes(data)
    else:
        f.write(data)


def load(f: str | PathLike[str] | IO[bytes]) -> Any:
    """What :func:`save` wrote. Unpickling can run code: load files that you trust only."""
    return pickle.loads(Path(f).read_bytes() if isinstance(f, (str, PathLike)) else f.read())
