"""Ledgers on disk: whole, validated, and never half written; every bad file is one sentence."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.archive import ledger_text, prepare_folder, read_ledger, write_ledger, write_text
from conformance.errors import InvalidLedger, UsageError
from conformance.verdict import Status
from tests.conformance.samples import ledger, result

LEDGER = ledger(result("ACC-1", Status.VIOLATED, "a", "b"), result("ACC-2"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_ledger(LEDGER, tmp_path / "torch.json")


def test_a_ledger_survives_the_trip(path: Path) -> None:
    assert read_ledger(path) == LEDGER
    assert read_ledger(str(path)) == LEDGER
    assert "“silent”" in path.read_text(encoding="utf-8")


def test_the_bytes_depend_on_the_ledger_alone(path: Path, tmp_path: Path) -> None:
    again = write_ledger(read_ledger(path), tmp_path / "again.json")
    assert again.read_bytes() == path.read_bytes()
    assert b"\r" not in path.read_bytes()


def test_an_infinite_error_survives_in_strict_json(tmp_path: Path) -> None:
    infinite = ledger(result("ACC-1"), error=math.inf)
    path = write_ledger(infinite, tmp_path / "torch.json")
    assert read_ledger(path) == infinite
    assert '"max_error_ulp": "inf"' in path.read_text(encoding="utf-8")


def test_a_lone_surrogate_in_a_message_survives(tmp_path: Path) -> None:
    odd = ledger(result("ACC-1", Status.UNEXERCISED, note="odd \ud800"))
    path = write_ledger(odd, tmp_path / "torch.json")
    assert read_ledger(path) == odd
    path.read_text(encoding="utf-8")


def change(path: Path, edit: Callable[[Any], None]) -> None:
    form = json.loads(path.read_text(encoding="utf-8"))
    edit(form)
    path.write_text(json.dumps(form), encoding="utf-8")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the ledger '.*none\.json': No such file"):
        read_ledger(tmp_path / "none.json")


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        read_ledger(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1, column 1: Expecting value"),
        (b'{"schema": 1, ', "line 1, column 15"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"[1]", "it has no `schema` number"),
        (b'{"schema": "1"}', "it has no `schema` number"),
        (b'{"schema": 1}', "at \\$: 'tool' is a required property"),
        (b'{"schema": 0}', "it says schema 0; the first is 1"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "torch.json"
    path.write_bytes(content)
    with pytest.raises(InvalidLedger, match=reason) as caught:
        read_ledger(path)
    message = str(caught.value)
    assert "torch.json" in message
    assert "write it again with `autograd-conformance run`" in message
    assert "\n" not in message


def test_a_truncated_ledger_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidLedger, match="is damaged or is no ledger: line "):
        read_ledger(path)


def test_a_compressed_ledger_is_read_and_a_damaged_one_refused(path: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_ledger(packed) == read_ledger(path)
    for damaged in (packed.read_bytes()[:-9], b"plain", packed.read_bytes()[:20] + b"\xff" * 9):
        packed.write_bytes(damaged)
        with pytest.raises(InvalidLedger, match=r"packed\.json\.gz' is damaged"):
            read_ledger(packed)


def test_a_future_schema_names_both_versions(path: Path) -> None:
    change(path, lambda form: form.update(schema=2, clauses="of another form"))
    with pytest.raises(InvalidLedger, match="schema 2, and this version reads up to 1; upgrade"):
        read_ledger(path)


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda f: f["clauses"][0].update(status="fine"), r"\$\.clauses\[0\]\.status: 'fine'"),
        (lambda f: f["clauses"][1].pop("level"), r"\$\.clauses\[1\]: 'level' is a required"),
        (lambda f: f["clauses"][1].update(programs=-1), r"\$\.clauses\[1\]\.programs: -1"),
        (
            lambda f: f["clauses"][0]["violations"][1].update(program=[]),
            r"\$\.clauses\[0\]\.violations\[1\]\.program: \[\] is not of type 'object'",
        ),
        (lambda f: f["engine"].update(name=""), r"\$\.engine\.name"),
        (lambda f: f["run"].update(seed="0"), r"\$\.run\.seed: '0' is not of type 'integer'"),
        (lambda f: f.update(machine=None), r"\$\.machine: None is not of type 'object'"),
    ],
)
def test_a_broken_field_is_named_by_its_place(
    path: Path, edit: Callable[[Any], None], place: str
) -> None:
    change(path, edit)
    with pytest.raises(InvalidLedger, match=place):
        read_ledger(path)


def test_unknown_keys_are_allowed_everywhere(path: Path) -> None:
    def add(form: Any) -> None:
        for part in (form, form["engine"], form["run"], form["clauses"][0], form["operations"][0]):
            part["later"] = {"any": "thing"}
        form["clauses"][0]["violations"][0]["later"] = 1

    change(path, add)
    assert read_ledger(path) == LEDGER


def test_nothing_is_overwritten_when_a_ledger_cannot_be_written(path: Path) -> None:
    before = path.read_bytes()
    broken = ledger(result("", Status.HOLDS))
    with pytest.raises(InvalidLedger, match=r"breaks its own schema at \$\.clauses\[0\]\.id"):
        write_ledger(broken, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_unwritable_place_is_named_and_left_alone(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "kept").write_text("kept", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot write '.*taken': Is a directory"):
        write_text(taken, "text")
    with pytest.raises(UsageError, match="No such file or directory; choose another place"):
        write_text(tmp_path / "none" / "torch.json", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
    assert (taken / "kept").read_text(encoding="utf-8") == "kept"


def test_a_folder_is_made_and_tried(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_an_impossible_folder_is_refused_before_a_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot write reports to '.*file.*': .* with --out"):
        prepare_folder(tmp_path / name)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"


def test_the_published_schema_is_a_schema_and_knows_every_key() -> None:
    from jsonschema import Draft202012Validator

    form = json.loads(
        (Path(__file__).parents[2] / "conformance" / "ledger.schema.json").read_text("utf-8")
    )
    Draft202012Validator.check_schema(form)
    written = json.loads(ledger_text(LEDGER))
    clause = form["$defs"]["clause"]["properties"]
    assert set(written) == set(form["properties"])
    assert set(written["clauses"][0]) == set(clause)
    assert set(written["clauses"][0]["violations"][0]) == set(
        form["$defs"]["violation"]["properties"]
    )
    assert set(clause["level"]["enum"]) == {"MUST", "SHOULD"}
    assert set(form["$defs"]["status"]["enum"]) == {status.value for status in Status}
