"""The command line: `autograd-conformance`, the same as `python -m conformance`.

Exit codes: 0 every MUST clause holds or is a listed expected failure; 1 violations; 2 wrong usage;
3 an engine could not be loaded. A fault of this package itself ends in a traceback and 70.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType

import click

from conformance.cli.adapting import new_adapter
from conformance.cli.comparing import diff, replay, report
from conformance.cli.fuzzing import fuzz
from conformance.cli.gradients import gradcheck
from conformance.cli.listing import engines, spec
from conformance.cli.running import run
from conformance.errors import ConformanceError
from conformance.workers import look_in

FAULT = 70
"""EX_SOFTWARE of sysexits.h: no code of the contract may be mistaken for a bug of this tool."""
INTERRUPTED = 130


@click.group(
    name="autograd-conformance",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(metadata.version("autograd-conformance"), prog_name="autograd-conformance")
def commands() -> None:
    """Test an autograd engine against the executable specification of autograd behaviour."""


for command in (run, fuzz, engines, spec, replay, report, diff, gradcheck, new_adapter):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a user's mistake is one sentence on stderr."""
    look_in(Path.cwd())
    with _Faults():
        try:
            code = commands.main(arguments, standalone_mode=False)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except ConformanceError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(code or 0)


class _Faults:
    """Turns an exception that nobody expects into a traceback and a code of its own."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        click.echo(
            "This is a fault of autograd-conformance, not of the engine: please report it with the"
            " lines above.",
            err=True,
        )
        sys.exit(FAULT)
