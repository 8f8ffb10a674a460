"""Finding clauses by glob and by id."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance import spec
from conformance.errors import UsageError


def test_a_star_selects_everything_in_reading_order():
    assert spec.select("*") == spec.clauses()


@pytest.mark.parametrize("glob", ["ACC-*", "acc-*", "accumulation", " Accumulation "])
def test_a_theme_is_selected_by_prefix_or_name(glob: str):
    assert {clause.theme for clause in spec.select(glob)} == {"accumulation"}
    assert len(spec.select(glob)) == len(spec.themes()[1].clauses)


def test_one_clause_is_selected_by_its_id():
    assert [clause.id for clause in spec.select("ret-1")] == ["RET-1"]
    assert spec.clause("ret-1").id == "RET-1"


@pytest.mark.parametrize(("glob", "near"), [("ACC2", "ACC-2"), ("detached", "detach")])
def test_an_unknown_glob_is_refused_with_what_comes_close(glob: str, near: str):
    with pytest.raises(UsageError, match=f"'{glob}'.*{near}.*autograd-conformance spec"):
        spec.select(glob)


def test_an_unknown_glob_with_nothing_close_says_where_to_look():
    with pytest.raises(
        UsageError, match="no clause matches 'zzz'; run `autograd-conformance spec`"
    ):
        spec.select("zzz")


def test_an_unknown_id_is_refused():
    with pytest.raises(UsageError, match="no clause has the id 'LEAF-99'"):
        spec.clause("LEAF-99")


def test_importing_the_package_reads_no_clauses_and_no_engine():
    code = (
        "import sys, conformance.spec;"
        "print([m for m in sys.modules if m in ('torch', 'hypothesis', 'conformance.spec.leaves')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
