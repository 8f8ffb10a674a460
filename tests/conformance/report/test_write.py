from __future__ import annotations

from pathlib import Path

import pytest

from conformance.errors import UsageError
from conformance.report import render_engine, write_reports
from tests.sample_ledgers import ALL, FAULTY, GOOD


def test_a_page_per_engine_and_an_index(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "reports"
    pages = write_reports(ALL, out)
    assert [page.name for page in pages] == [
        "torch.html",
        "reference[backend=torch,device=cuda].html",
        "tinytape.html",
        "specification.html",
        "index.html",
    ]
    assert sorted(out.iterdir()) == sorted(pages)
    assert pages[0].read_text(encoding="utf-8") == render_engine(GOOD, "index.html")


def test_old_pages_are_replaced_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    write_reports([FAULTY], tmp_path)
    assert "tinytape" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_index_names_engines_without_a_ledger(tmp_path: Path) -> None:
    write_reports([GOOD], tmp_path, {"slowgrad": "no end within 3600 s & more"})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "slowgrad" in page
    assert "<b>not run</b>: no end within 3600 s &amp; more" in page
    assert page.count("slowgrad") == 1, "it has no page and no column"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"cannot write reports to '.*file'.*--out"):
        write_reports(ALL, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_nothing_is_replaced_when_a_page_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports([GOOD], tmp_path)
    before = {page.name: page.read_bytes() for page in tmp_path.iterdir()}
    write = Path.write_text

    def full_disk(self: Path, *arguments: object, **options: object) -> int:
        if self.name == "index.html":
            raise OSError(28, "No space left on device")
        return write(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(UsageError, match="No space left on device"):
        write_reports([FAULTY], tmp_path)
    assert {page.name: page.read_bytes() for page in tmp_path.iterdir()} == before
