"""`new-adapter`: a commented adapter to start from, and the workflow that runs it in CI."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click
from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.text import Text

from conformance.archive import prepare_folder, write_text
from conformance.cli.tables import console
from conformance.errors import UsageError

PROFILES = ("tape", "functional", "tape-context", "process")


@click.command("new-adapter")
@click.argument("name", metavar="NAME")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="tape",
    show_default=True,
    help="An eager tape; transformed functions; gradients inside a tape; a server of its own.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=".",
    help="Folder for the files; by default this one.",
)
def new_adapter(name: str, profile: str, out: Path) -> int:
    """Write a commented adapter of the engine NAME, which runs as it is, and a CI workflow."""
    package = _package(name)
    module = f"{package}_{'server' if profile == 'process' else 'adapter'}"
    class_name = "".join(part[0].upper() + part[1:] for part in package.split("_") if part)
    engine = f"process:python {module}.py" if profile == "process" else f"{module}:{class_name}"
    words = {
        "name": name, "package": package, "module": module, "class_name": class_name,
        "engine": engine, "profile": profile,
    }  # fmt: skip
    texts = {
        out / f"{module}.py": f"{profile}.py.txt",
        out / ".github" / "workflows" / f"{package}-conformance.yml": "workflow.yml.txt",
    }
    for path in texts:
        if path.exists():
            raise UsageError(
                f"{str(path)!r} exists and is not overwritten; move it, or choose another name or"
                " --out"
            )
    templates = Environment(
        loader=PackageLoader("conformance.cli", "skeletons"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # what is written is Python and YAML
    )
    screen = console()
    for path, template in texts.items():
        prepare_folder(path.parent)
        write_text(path, templates.get_template(template).render(words))
        screen.print(Text(f"wrote {path}"), soft_wrap=True)
    folder = "" if out == Path() else f"cd {out} && "
    command = f"{folder}autograd-conformance run --engine '{engine}' --profile smoke"
    screen.print(Text(f"It runs as it is: {command}"), soft_wrap=True)
    return 0


def _package(name: str) -> str:
    """Return the name as a Python identifier in lower case."""
    found = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")
    if not found.isidentifier() or keyword.iskeyword(found) or not name.isprintable():
        raise UsageError(
            f"{name!r} cannot name a Python module; give the engine's name, as 'my-engine'"
        )
    return found
