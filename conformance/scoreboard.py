"""The scoreboard: every engine in an environment of its own, their ledgers on one page.

    python -m conformance.scoreboard [--only NAME ...] [--profile default] [--out reports]

An engine's environment sees the packages of this one, so that PyTorch is not installed a dozen
times. An engine that cannot be installed, or whose run does not end, is named and left out.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.adapters.server_process import PYTHONS
from conformance.archive import read_ledger
from conformance.defects.triage import recorded_of
from conformance.ledger import Ledger, file_stem
from conformance.profiles import PROFILES
from conformance.report import write_reports


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the environment of an engine is made.

    requirements: what `pip` installs, in one call; nothing where the engine is at hand. first: what
    must be there before it, to build it. alone: whether it does not go with this tool's packages,
    so that its environment sees none of them and the engine is served by a process of its own.
    """

    requirements: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    alone: bool = False


RECIPES: Mapping[str, Recipe] = {
    "reference": Recipe(),
    "torch": Recipe(),
    "torch-func": Recipe(),
    "torch[compile=eager]": Recipe(),
    "torch[compile=aot_eager]": Recipe(),
    "torch[device=cuda]": Recipe(),
    "autograd": Recipe(("autograd==1.9.1",)),
    "chainer": Recipe(
        ("chainer==7.8.1", "scipy"), ("setuptools<70", "wheel", "numpy<1.24"), alone=True
    ),
    "dezero": Recipe(("dezero==0.0.13", "matplotlib", "numpy<1.24"), alone=True),
    "drjit": Recipe(("drjit==1.5.0", "numpy"), alone=True),
    "jax": Recipe(("jax[cpu]==0.10.2",)),
    "micrograd": Recipe(("micrograd==0.1.0",)),
    "mindspore": Recipe(("mindspore==2.10.0", "numpy<2"), alone=True),
    "mlx": Recipe(("mlx[cpu]==0.32.4",)),
    "mygrad": Recipe(("mygrad==2.5.0",)),
    "paddle": Recipe(("paddlepaddle==3.3.1",)),
    "pytensor": Recipe(("pytensor==3.0.7",)),
    "smallpebble": Recipe(("smallpebble==3.0.5",)),
    "tensorflow": Recipe(("tensorflow-cpu==2.21.0",)),
    "tinygrad": Recipe(("tinygrad==0.14.0",)),
}
"""The engines of the scoreboard, and what their environments need."""
INSTALLING_SECONDS, RUNNING_SECONDS = 1200, 3600


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one engine: its ledger, or why there is none."""

    engine: str
    ledger: Path | None
    reason: str = ""


def environment(engine: str, folder: Path) -> str:
    """Return the interpreter of the engine's environment, made and filled where it is not there.

    Raises `CalledProcessError` or `TimeoutExpired` where it cannot be.
    """
    recipe = RECIPES[engine]
    if not recipe.requirements:
        return sys.executable
    home = folder / engine
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if (home / _READY).exists():
        return str(python)
    _call([sys.executable, "-m", "venv", "--clear", str(home)], INSTALLING_SECONDS)
    if not recipe.alone:
        own = next(home.glob("[Ll]ib/**/site-packages"))
        shared = sysconfig.get_path("purelib")
        (own / "zz_shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
    install = [str(python), "-m", "pip", "install", "--quiet"]
    unconstrained = {**os.environ, "PIP_CONSTRAINT": ""} if recipe.alone else None
    if recipe.first:
        _call([*install, *recipe.first], INSTALLING_SECONDS, environment=unconstrained)
        install.append("--no-build-isolation")
    _call([*install, *recipe.requirements], INSTALLING_SECONDS, environment=unconstrained)
    (home / _READY).touch()
    return str(python)


_READY = "installed"
"""The file that says that an environment was filled to the end."""


def _call(
    command: Sequence[str],
    seconds: float,
    good: tuple[int, ...] = (0,),
    environment: Mapping[str, str] | None = None,
) -> None:
    ran = subprocess.run(
        command, timeout=seconds, capture_output=True, text=True, check=False, env=environment
    )
    if ran.returncode not in good:
        lines = (ran.stderr or ran.stdout).strip().splitlines()
        raise subprocess.CalledProcessError(ran.returncode, command, lines[-1] if lines else "")


def run_engine(engine: str, profile: str, environments: Path, out: Path, jobs: str) -> Entry:
    """Run one engine in its environment; a failure is an entry too."""
    ledger = out / f"{file_stem(engine)}.json"
    try:
        python = environment(engine, environments)
        ledger.unlink(missing_ok=True)
        tool, variables = python, None
        if RECIPES[engine].alone:
            tool, variables = sys.executable, {**os.environ, PYTHONS: f"{engine}={python}"}
        command = [tool, "-m", "conformance", "run", "--engine", engine, "--profile", profile]
        command += ["-n", jobs, "--out", str(out)]
        _call(command, RUNNING_SECONDS, good=(0, 1), environment=variables)
    except subprocess.TimeoutExpired as error:
        return Entry(engine, None, f"no end within {error.timeout:.0f} s")
    except (subprocess.CalledProcessError, OSError, StopIteration) as error:
        return Entry(engine, None, str(getattr(error, "output", "") or error))
    return Entry(engine, ledger)


def publish(entries: Sequence[Entry], out: Path) -> tuple[Ledger, ...]:
    """Write the pages of all ledgers and the one that compares them, and compress the ledgers.

    The engines that were not run this time keep the ledgers that were published before.
    """
    for entry in entries:
        packed = _packed(entry.engine, out)
        packed.unlink(missing_ok=True)
        if entry.ledger is not None:
            packed.write_bytes(gzip.compress(entry.ledger.read_bytes(), mtime=0))
            entry.ledger.unlink()
    published = [_packed(engine, out) for engine in RECIPES]
    ledgers = tuple(read_ledger(packed) for packed in published if packed.exists())
    absent = {e.engine: e.reason for e in entries if e.ledger is None}
    write_reports(ledgers, out, absent, {led.engine.name: recorded_of(led) for led in ledgers})
    return ledgers


def _packed(engine: str, out: Path) -> Path:
    return out / f"{file_stem(engine)}.json.gz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engines asked for, all by default; exit code 1 where none has a ledger."""
    parser = argparse.ArgumentParser(prog="python -m conformance.scoreboard", description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(RECIPES), metavar="NAME")
    parser.add_argument("--profile", choices=list(PROFILES), default="default")
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--environments", type=Path, default=Path(".engines"))
    parser.add_argument("-n", dest="jobs", default="auto")
    given = parser.parse_args(arguments)
    names = [name.removeprefix("engine-") for name in given.only]  # as tox calls an environment
    unknown = sorted(set(names) - set(RECIPES))
    if unknown:
        parser.error(f"no engine {unknown[0]!r}; choose from {', '.join(RECIPES)}")
    given.out.mkdir(parents=True, exist_ok=True)
    entries = []
    for name in names:
        print(f"{name} …", flush=True)
        home, out = given.environments.resolve(), given.out.resolve()
        entries.append(run_engine(name, given.profile, home, out, given.jobs))
        if entries[-1].ledger is None:
            print(f"{name}: left out: {entries[-1].reason}", flush=True)
    for ledger in publish(entries, given.out.resolve()):
        counts: dict[str, int] = {}
        for result in ledger.clauses:
            counts[result.status.value] = counts.get(result.status.value, 0) + 1
        parts = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        print(f"{ledger.engine.name} {ledger.engine.version}: {parts}")
        left = recorded_of(ledger).untriaged(ledger.clauses)
        print(f"  {left} violations of MUST clauses that no recorded defect explains")
    return int(all(entry.ledger is None for entry in entries))


if __name__ == "__main__":
    sys.exit(main())
