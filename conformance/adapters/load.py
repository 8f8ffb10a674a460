"""From an engine's name to its adapter.

A name is `torch`, `reference`, an entry point of the group `autograd_conformance.engines`, or
`package.module:attribute`; options may follow in brackets: `reference[backend=torch,device=cuda]`.
Engines in processes of their own are named as `conformance.adapters.process_engine` says.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType

from conformance.adapters.base import Engine
from conformance.adapters.process_engine import connect
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import ConformanceError, EngineLoadError

GROUP = "autograd_conformance.engines"
BUILT_IN: Mapping[str, str] = {
    "reference": "conformance.adapters.reference:ReferenceEngine",
    "torch": "conformance.adapters.torch_compiled:torch_engine",
    "torch-func": "conformance.adapters.torch_func:TorchFuncEngine",
    "autograd": "conformance.adapters.autograd_engine:AutogradEngine",
    "chainer": "conformance.adapters.chainer_engine:ChainerEngine",
    "dezero": "conformance.adapters.dezero_engine:DezeroEngine",
    "drjit": "conformance.adapters.drjit_engine:DrjitEngine",
    "jax": "conformance.adapters.jax_engine:JaxEngine",
    "micrograd": "conformance.adapters.micrograd_engine:MicrogradEngine",
    "mindspore": "conformance.adapters.mindspore_engine:MindsporeEngine",
    "mlx": "conformance.adapters.mlx_engine:MlxEngine",
    "mygrad": "conformance.adapters.mygrad_engine:MyGradEngine",
    "paddle": "conformance.adapters.paddle_engine:PaddleEngine",
    "pytensor": "conformance.adapters.pytensor_engine:PytensorEngine",
    "smallpebble": "conformance.adapters.smallpebble_engine:SmallpebbleEngine",
    "tensorflow": "conformance.adapters.tensorflow_engine:TensorflowEngine",
    "tinygrad": "conformance.adapters.tinygrad_engine:TinygradEngine",
}
"""Engines that this package has adapters for: name → `module:attribute`."""
FAILURES = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What importing or constructing somebody's adapter may raise and is told in one sentence."""
_NAME = re.compile(r"(?P<base>[^\[\]\s]+)(?:\[(?P<options>[^\[\]]*)\])?")


@dataclass(frozen=True, slots=True)
class EngineListing:
    """A row of the list of engines: where it comes from, and its version or why it is absent."""

    name: str
    source: str
    installed: bool
    version: str
    note: str = ""


def load_engine(name: str) -> Engine:
    """Return a new adapter for the engine called `name`, with the name that was asked for.

    Raises `EngineLoadError` in one sentence where the name is unknown, the import or the
    construction fails, an option is unknown, or a required method is missing.
    """
    engine: Engine | None = connect(name)
    if engine is None:
        base, options = _split(name)
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # a library's deprecations are shown, -W error or not
            engine = _construct(_find(base, name), name, options)
        _check_methods(engine, name)
    engine.name = name
    return engine


def available_engines() -> tuple[EngineListing, ...]:
    """Return every built-in and registered engine, installed or not, ordered by name."""
    sources = {**{entry.name: entry.value for entry in _entry_points()}, **BUILT_IN}
    listings = []
    for name in sorted(sources):
        try:
            engine = load_engine(name)
        except EngineLoadError as error:
            listings.append(EngineListing(name, sources[name], False, "", str(error)))
        else:
            listings.append(EngineListing(name, sources[name], True, engine.version))
    return tuple(listings)


def _split(name: str) -> tuple[str, dict[str, str]]:
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise EngineLoadError(
            f"{name!r} is not an engine's name; expected NAME, NAME[option=value,…] or"
            " package.module:attribute"
        )
    options = {}
    for item in filter(None, (part.strip() for part in (match["options"] or "").split(","))):
        key, equals, value = item.partition("=")
        if not equals or not key.strip().isidentifier():
            raise EngineLoadError(f"{name!r}: option {item!r} is not of the form option=value")
        options[key.strip()] = value.strip()
    return match["base"], options


def _entry_points() -> list[metadata.EntryPoint]:
    return sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name)


def _find(base: str, name: str) -> object:
    target = BUILT_IN.get(base)
    if target is None:
        registered = {entry.name: entry.value for entry in _entry_points()}
        target = registered.get(base, base if ":" in base else None)
        if target is None:
            known = sorted({*BUILT_IN, *registered})
            near = difflib.get_close_matches(base, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)};"
            raise EngineLoadError(
                f"no engine is called {base!r}; {hint} give one of them, or"
                " package.module:attribute for an adapter of your own"
            )
    module_name, _, attribute = target.partition(":")
    folder = os.getcwd()  # a console script, unlike python -m, does not look for modules here
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except FAILURES as error:
        raise EngineLoadError(_import_failure(name, module_name, error)) from error
    found: object = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(found, part):
            names = [n for n in dir(found) if not n.startswith("_")]
            near = difflib.get_close_matches(part, names, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise EngineLoadError(f"{name!r}: {module_name} has no attribute {part!r}{hint}")
        found = getattr(found, part)
    return found


def _import_failure(name: str, module: str, error: BaseException) -> str:
    reason = (str(error).splitlines() or [""])[0]
    remedy = "check the name and that its package is installed in this environment"
    return f"{name!r}: cannot import {module} ({type(error).__name__}: {reason}); {remedy}"


def _construct(found: object, name: str, options: dict[str, str]) -> Engine:
    if isinstance(found, Engine):
        if options:
            raise EngineLoadError(
                f"{name!r} is an instance: it takes no options; drop the brackets"
            )
        return found
    if isinstance(found, ModuleType):
        if not hasattr(found, "Tensor") or not hasattr(found, "tensor"):
            raise EngineLoadError(
                f"{name!r}: module {found.__name__} has no `tensor` and `Tensor`, so it is not"
                " torch-like; write an adapter (docs/adapters.md)"
            )
        return TorchLikeEngine(found)
    if not callable(found):
        raise EngineLoadError(
            f"{name!r} is a {type(found).__name__}; expected a subclass of conformance.Engine, an"
            " instance of one, a function that returns one, or a torch-like module"
        )
    _check_options(found, name, options)
    try:
        engine = found(**options)
    except ConformanceError as error:
        raise EngineLoadError(f"{name!r}: {error}") from error
    except FAILURES as error:
        reason = (str(error).splitlines() or [""])[0]
        raise EngineLoadError(
            f"{name!r}: constructing it failed ({type(error).__name__}: {reason}); check that the"
            " engine's library is installed and the options are right"
        ) from error
    if not isinstance(engine, Engine):
        raise EngineLoadError(
            f"{name!r} made a {type(engine).__name__}; expected an instance of conformance.Engine"
        )
    return engine


def _check_options(factory: object, name: str, options: dict[str, str]) -> None:
    assert callable(factory)
    parameters = inspect.signature(factory).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for option in options:
        if option not in parameters:
            known = ", ".join(parameters) or "none"
            raise EngineLoadError(f"{name!r}: unknown option {option!r}; it takes: {known}")


def _check_methods(engine: Engine, name: str) -> None:
    required = ["tensor", "numpy"] if engine.table else ["tensor", "numpy", "apply"]
    for base in (c for c in type(engine).__mro__ if "_contract_only" in vars(c)):
        required += vars(base).get("_required", ())
    for method in required:
        defined = next(c for c in type(engine).__mro__ if method in vars(c))
        if defined is Engine or "_contract_only" in vars(defined):
            raise EngineLoadError(
                f"{name!r}: {type(engine).__name__} does not define {method}(); the adapter"
                " contract requires it (docs/adapters.md)"
            )
