"""The map of the specification has no gap, and its data are those of the mutants themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance import spec
from conformance.cli.listing import spec as command
from conformance.coverage import MAP, coverage
from conformance.errors import UsageError


def test_every_clause_has_scenarios_and_mutants():
    assert [row.clause.id for row in coverage() if row.gaps] == []


def test_the_map_is_that_of_the_mutants():
    from tests.mutants.write_map import text

    assert MAP.read_text(encoding="utf-8") == text(), "run python -m tests.mutants.write_map"


def test_a_clause_without_mutants_is_a_gap(tmp_path: Path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps({row.id: ["wrong"] for row in spec.clauses()[1:]}))
    rows = coverage(path)
    assert rows[0].gaps == ("mutants",)
    assert all(row.gaps == () for row in rows[1:])


def test_outside_a_checkout_the_mutants_are_unknown_and_no_gap(tmp_path: Path):
    rows = coverage(tmp_path / "absent.json")
    assert all(row.mutants is None and row.gaps == () for row in rows)


@pytest.mark.parametrize("text", ["{", "[]", '{"LEAF-1": 3}'])
def test_a_broken_map_is_a_usage_error(tmp_path: Path, text: str):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"no map of mutants .* tests\.mutants\.write_map"):
        coverage(path)


def test_the_command_prints_the_map():
    result = CliRunner().invoke(command, ["--coverage"], standalone_mode=False)
    assert result.return_value == 0
    assert f"{len(spec.clauses())} clauses in {len(spec.themes())} themes" in result.output
    assert "no gap" in result.output
    assert all(row.id in result.output for row in spec.clauses())
