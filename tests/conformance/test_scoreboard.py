"""The scoreboard's bookkeeping: what is published, and what becomes of engines that fail."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import scoreboard
from conformance.archive import read_ledger, write_ledger
from conformance.scoreboard import RECIPES, Entry, Recipe, environment, publish, run_engine
from tests.sample_ledgers import GOOD


def _entry(engine: str, out: Path) -> Entry:
    path = out / f"{engine}.json"
    write_ledger(replace(GOOD, engine=replace(GOOD.engine, name=engine)), path)
    return Entry(engine, path)


def test_ledgers_are_published_compressed_and_can_be_read_again(tmp_path: Path) -> None:
    publish([_entry("torch", tmp_path)], tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["index.html", "specification.html", "torch.html", "torch.json.gz"]
    assert read_ledger(tmp_path / "torch.json.gz").engine.name == "torch"


def test_engines_that_were_not_run_keep_their_ledgers(tmp_path: Path) -> None:
    publish([_entry("torch", tmp_path), _entry("jax", tmp_path)], tmp_path)
    ledgers = publish([_entry("torch", tmp_path)], tmp_path)
    assert [ledger.engine.name for ledger in ledgers] == ["torch", "jax"]


def test_an_engine_that_cannot_be_run_is_named_and_loses_its_old_ledger(tmp_path: Path) -> None:
    publish([_entry("torch", tmp_path), _entry("jax", tmp_path)], tmp_path)
    publish([Entry("jax", None, "no matching distribution")], tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "no matching distribution" in page
    assert not (tmp_path / "jax.json.gz").exists()


def test_a_requirement_that_cannot_be_installed_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {"ghost": Recipe((str(tmp_path / "no-such-wheel.whl"),), alone=True)}
    monkeypatch.setattr(scoreboard, "RECIPES", recipes)
    entry = run_engine("ghost", "smoke", tmp_path, tmp_path, "1")
    assert entry.ledger is None
    assert "no-such-wheel" in entry.reason


def test_an_environment_that_was_not_filled_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoreboard, "RECIPES", {"odd": Recipe(("pip",), alone=True)})
    python = environment("odd", tmp_path)
    assert subprocess.run([python, "-c", "pass"], check=False).returncode == 0
    (tmp_path / "odd" / "installed").unlink()
    (tmp_path / "odd" / "left-over").touch()
    environment("odd", tmp_path)
    assert not (tmp_path / "odd" / "left-over").exists()


def test_engines_at_hand_run_in_this_environment(tmp_path: Path) -> None:
    assert environment("torch", tmp_path) == sys.executable


def test_every_engine_with_an_adapter_has_a_recipe() -> None:
    from conformance.adapters.load import BUILT_IN

    assert {name.partition("[")[0] for name in RECIPES} == set(BUILT_IN)
