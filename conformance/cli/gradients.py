"""`gradcheck`: check a user's own function."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.text import Text

from conformance.adapters.base import Engine
from conformance.adapters.load import FAILURES, load_engine
from conformance.archive import write_text
from conformance.cli.tables import console
from conformance.errors import UsageError
from conformance.gradient_check import GradientResult, Verdict
from conformance.gradient_check import gradcheck as check
from conformance.report import render_gradcheck

STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}


def _shape(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Any:
    """Read `--shape`: whole numbers with commas between them, or nothing for a 0-d tensor."""
    shapes = []
    for value in values:
        parts = [part.strip() for part in value.strip("() ").split(",") if part.strip()]
        if not all(part.isdecimal() for part in parts):
            raise click.BadParameter(f"{value!r} is not a shape; give 3,4", context, parameter)
        shapes.append(tuple(int(part) for part in parts))
    return tuple(shapes)


@click.command()
@click.argument("target", metavar="MODULE:FUNCTION")
@click.option(
    "--inputs",
    metavar="NAME",
    help="Name, in MODULE, of the inputs: a tuple of tensors, or a function that returns one."
    " Default: FUNCTION_inputs.",
)
@click.option(
    "--shape", "shapes", multiple=True, metavar="N,M", callback=_shape,
    help="Instead of --inputs: a random input of this shape; once for each input.",
)  # fmt: skip
@click.option("--dtype", default="float64", show_default=True, help="Of the random inputs.")
@click.option("--engine", default="torch", show_default=True, metavar="E", help="The engine.")
@click.option("--order", type=click.IntRange(1, 2), default=1, show_default=True)
@click.option(
    "--mode", type=click.Choice(["directional", "full"]), default="directional", show_default=True
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the page there."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON instead of in words."
)
def gradcheck(
    target: str, inputs: str | None, shapes: tuple[tuple[int, ...], ...], dtype: str, engine: str,
    order: int, mode: Any, seed: int, out: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Check the gradients of a function, an autograd Function or a module.

    Exit code 0 where the verdict is pass, 1 where it is fail or inconclusive.
    """
    module, function = _found(target)
    adapter = load_engine(engine)
    given = _random(adapter, shapes, dtype, seed) if shapes else _named(module, target, inputs)
    result = check(function, given, engine=adapter, order=order, mode=mode, seed=seed)
    if out is not None:
        write_text(out, render_gradcheck(result.to_json()))
    _print(result, as_json, out)
    return 0 if result.verdict is Verdict.PASS else 1


def _print(result: GradientResult, as_json: bool, out: Path | None) -> None:
    if as_json:
        click.echo(result.to_json())
        return
    screen = console()
    verdict, _, rest = str(result).partition(":")
    screen.print(Text(verdict, STYLES[result.verdict]) + Text(f":{rest}"))
    if out is not None:
        screen.print(Text(f"page: {out}", "dim"))


def _found(target: str) -> tuple[Any, Any]:
    """Return the module and the function that `MODULE:FUNCTION` names."""
    name, colon, path = target.partition(":")
    if not colon or not path:
        raise UsageError(f"{target!r} is not of the form MODULE:FUNCTION; for example my.ops:gelu")
    try:
        module = importlib.import_module(name)
    except FAILURES as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UsageError(
            f"cannot import {name} ({type(error).__name__}: {reason}); check the name and the"
            " folder you are in"
        ) from error
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{name} has no attribute {path!r}; check the name")
        found = getattr(found, part)
    return module, found


def _named(module: Any, target: str, name: str | None) -> tuple[Any, ...]:
    """Return the inputs that a name of the module stands for."""
    wanted = name or f"{target.rpartition(':')[2].rpartition('.')[2]}_inputs"
    if not hasattr(module, wanted):
        raise UsageError(
            f"{module.__name__} has no {wanted!r} to take the inputs from; name them with --inputs,"
            " or give random ones with --shape"
        )
    found = getattr(module, wanted)
    found = found() if callable(found) and not hasattr(found, "shape") else found
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def _random(
    engine: Engine, shapes: tuple[tuple[int, ...], ...], dtype: str, seed: int
) -> tuple[Any, ...]:
    """Return random normal inputs."""
    if dtype not in engine.dtypes:
        raise UsageError(f"{engine.name} has no {dtype!r}; it has {', '.join(engine.dtypes)}")
    if dtype == "bfloat16" or not dtype.startswith(("float", "complex")):
        raise UsageError(f"random inputs are float or complex numbers of NumPy, not {dtype}")
    random = np.random.default_rng(seed)
    drawn = []
    for shape in shapes:
        values = random.standard_normal(shape)
        if dtype.startswith("complex"):
            values = values + 1j * random.standard_normal(shape)
        drawn.append(engine.tensor(np.asarray(values).astype(dtype), True))
    return tuple(drawn)
