"""The table of behaviours in the package's docstring says what is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
ROW = re.compile(r"^(?P<theme>.+?) \| (?P<ours>\d+) \| (?P<torch>\d+|-) \| (?P<files>.+)$", re.M)


def behaviours(file: Path) -> int:
    """How many test functions a file has: parametrisations are not counted."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return sum(isinstance(n, ast.FunctionDef) and n.name.startswith("test_") for n in tree.body)


def table() -> list[re.Match[str]]:
    document = ast.get_docstring(ast.parse((HERE / "__init__.py").read_text(encoding="utf-8")))
    return list(ROW.finditer(document or ""))


def test_the_table_counts_the_functions_of_each_file() -> None:
    counted = {
        row["theme"]: sum(behaviours(HERE / f"test_{name}.py") for name in row["files"].split(", "))
        for row in table()
    }
    assert counted == {row["theme"]: int(row["ours"]) for row in table()}


def test_every_file_has_its_row() -> None:
    named = {f"test_{name}.py" for row in table() for name in row["files"].split(", ")}
    assert named == {p.name for p in HERE.glob("test_*.py")} - {Path(__file__).name}


def test_no_behaviour_has_two_tests_of_one_name() -> None:
    names = [
        node.name
        for file in HERE.glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert len(names) == len(set(names)), sorted({n for n in names if names.count(n) > 1})
