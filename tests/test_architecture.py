"""The rules of DESIGN.md that a machine can check: who imports whom, and how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for package in ("reference_engine", "conformance")
    for path in (ROOT / package).rglob("*.py")
)
EVERYTHING = sorted(
    path
    for folder in ("reference_engine", "conformance", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
NOUNS = ["program", "notation", "observation", "verdict", "ledger"]
ENGINES = {
    "torch",
    "jax",
    "autograd",
    "mygrad",
    "tinygrad",
    "tensorflow",
    "paddle",
    "mlx",
    "pytensor",
}
STDLIB = set(sys.stdlib_module_names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if not top_level_only else _outside_functions(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _outside_functions(node)


def offenders(paths: list[Path], forbidden: set[str], *, top_level_only: bool = False) -> list[str]:
    return [
        f"{relative(path)} imports {name}"
        for path in paths
        for name in imports(path, top_level_only=top_level_only)
        if name.split(".")[0] in forbidden
        or any(name == f or name.startswith(f + ".") for f in forbidden)
    ]


def under(*parts: str) -> list[Path]:
    return [p for p in SOURCES if any(relative(p).startswith(part) for part in parts)]


def test_reference_engine_knows_neither_its_judge_nor_its_tools() -> None:
    outside = STDLIB | {"numpy", "reference_engine"}
    allowed = {"ops": {"scipy", "ml_dtypes"}, "backends": {"array_api_compat", "ml_dtypes"}}
    wrong = []
    for path in under("reference_engine/"):
        family = relative(path).split("/")[1]
        extra = allowed.get(family, set())
        if path.name == "torch_backend.py":
            extra = extra | {"torch"}
        if path.name == "viz.py":
            extra = {"pygraphviz"}
        wrong += [
            f"{relative(path)} imports {n}"
            for n in imports(path)
            if n.split(".")[0] not in outside | extra
        ]
    assert wrong == []


def test_torch_backend_imports_torch_lazily() -> None:
    path = ROOT / "reference_engine/backends/torch_backend.py"
    assert offenders([path], {"torch"}, top_level_only=True) == []


def test_an_engine_is_imported_only_by_an_adapter_and_lazily() -> None:
    package = under("conformance/")
    outside = [p for p in package if not relative(p).startswith("conformance/adapters/")]
    assert offenders(outside, ENGINES) == []
    assert offenders(package, ENGINES | {"reference_engine"}, top_level_only=True) == []


@pytest.mark.parametrize("noun", NOUNS)
def test_nouns_import_only_the_nouns_to_their_left(noun: str) -> None:
    path = ROOT / f"conformance/{noun}.py"
    left = {"errors", *NOUNS[: NOUNS.index(noun)]}
    for name in imports(path):
        root, *rest = name.split(".")
        assert root in STDLIB | {"numpy"} or (root == "conformance" and rest[0] in left), name


def test_hypothesis_lives_in_three_places() -> None:
    allowed = ("conformance/strategies/", "conformance/suite/", "conformance/pytest_plugin")
    outside = [p for p in SOURCES if not relative(p).startswith(allowed)]
    assert offenders(outside, {"hypothesis"}) == []


def test_reports_read_verdicts_and_ledgers_only() -> None:
    allowed = {"errors", "program", "notation", "observation", "verdict", "ledger", "report"}
    wrong = [
        f"{relative(path)} imports {name}"
        for path in under("conformance/report/")
        for name in imports(path)
        if name.startswith("conformance.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_clauses_import_no_adapter_and_no_verb() -> None:
    allowed = {"errors", "program", "notation", "observation", "verdict", "spec"}
    wrong = [
        f"{relative(path)} imports {name}"
        for path in under("conformance/spec/")
        for name in imports(path)
        if (name.split(".")[0] != "conformance" and name.split(".")[0] not in STDLIB)
        or (name.startswith("conformance.") and name.split(".")[1] not in allowed)
    ]
    assert wrong == []


def test_nothing_imports_the_command_line_or_the_plugin() -> None:
    others = [
        p
        for p in SOURCES
        if not relative(p).startswith(
            ("conformance/cli", "conformance/pytest_plugin", "conformance/suite/")
        )
        and p.name != "__main__.py"
    ]
    assert offenders(others, {"conformance.cli", "conformance.pytest_plugin"}) == []


def test_importing_the_package_imports_no_engine() -> None:
    code = (
        "import sys, conformance;"
        "heavy = {'torch', 'hypothesis', 'reference_engine', 'pytest', 'scipy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in EVERYTHING:
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines >= 400:
            long.append(f"{relative(path)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > 60:
                    long.append(f"{relative(path)}:{node.lineno} {node.name}: {size} lines")
    assert long == []


def test_broad_except_only_where_an_error_becomes_a_refusal() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None
                or (
                    isinstance(node.type, ast.Name)
                    and node.type.id in ("Exception", "BaseException")
                )
            )
            if broad:
                found.append(relative(path))
    assert set(found) == {"conformance/execute.py"}


def test_no_file_is_a_drawer() -> None:
    drawers = {"utils", "helpers", "common", "misc"}
    assert [relative(p) for p in EVERYTHING if p.stem in drawers or p.parent.name in drawers] == []
