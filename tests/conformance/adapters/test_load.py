"""Engines by name: what is found, and the one sentence for what is not."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from conformance.adapters import load
from conformance.adapters.load import available_engines, load_engine
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import EngineLoadError

ADAPTERS = """
from conformance import Engine, FunctionalEngine, TapeEngine
from tests.engines.tiny_tape import TinyTape

class Half(TapeEngine):
    def tensor(self, array, requires_grad=False): return array
    def numpy(self, tensor): return tensor
    def apply(self, op, *tensors): return tensors[0]
    def grad(self, tensor): return None

class Formless(FunctionalEngine):
    def tensor(self, array, requires_grad=False): return array
    def numpy(self, tensor): return tensor
    def apply(self, op, *tensors): return tensors[0]

class Greedy(TinyTape):
    def __init__(self, size="1"): self.size = int(size)

class Counting(TinyTape):
    version = "7"
    def version(self, tensor): return 3

ready = TinyTape()
number = 3

def build(): return TinyTape()
def misbuild(): return object()
"""


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_adapters.py").write_text(ADAPTERS, encoding="utf-8")
    (tmp_path / "my_dated.py").write_text(
        "import warnings\nfrom my_adapters import Greedy\n"
        "warnings.warn('old', DeprecationWarning, stacklevel=1)\n",
        encoding="utf-8",
    )
    (tmp_path / "my_broken.py").write_text("import no_such_library\n", encoding="utf-8")
    (tmp_path / "my_untidy.py").write_text("def f(:\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    for name in ("my_adapters", "my_dated", "my_broken", "my_untidy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "my_adapters"


def test_an_adapter_in_the_working_directory_is_found(adapters: str) -> None:
    for attribute in ("Greedy", "Greedy[size=4]", "ready", "build", "Counting"):
        engine = load_engine(f"{adapters}:{attribute}")
        assert engine.name == f"{adapters}:{attribute}"


def test_a_warning_at_import_is_no_failure(adapters: str) -> None:
    with pytest.warns(DeprecationWarning, match="old"):
        assert load_engine("my_dated:Greedy").name == "my_dated:Greedy"


def test_options_reach_the_constructor(adapters: str) -> None:
    assert vars(load_engine(f"{adapters}:Greedy[size=4]"))["size"] == 4


def test_a_method_called_version_is_the_write_counter(adapters: str) -> None:
    engine = load_engine(f"{adapters}:Counting")
    assert "version" in engine.capabilities
    assert engine.version == "0.1"
    assert engine.version_of(None) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torhc", "no engine is called 'torhc'; did you mean torch"),
        ("zzz", f"no engine is called 'zzz'; known: {', '.join(sorted(load.BUILT_IN))};"),
        ("a b", "is not an engine's name; expected NAME"),
        ("torch[device", "is not an engine's name"),
        ("torch[device]", "option 'device' is not of the form option=value"),
        ("torch[colour=red]", "unknown option 'colour'; it takes: device"),
        ("torch[device=abacus]", "torch refuses device 'abacus'"),
        ("no.such.module:Engine", "cannot import no.such.module (ModuleNotFoundError"),
        ("my_broken:E", "cannot import my_broken (ModuleNotFoundError: No module named 'no_such"),
        ("my_untidy:E", "cannot import my_untidy (SyntaxError"),
        ("my_adapters:Greddy", "has no attribute 'Greddy'; did you mean Greedy"),
        ("my_adapters:number", "is a int; expected a subclass of conformance.Engine"),
        ("my_adapters:misbuild", "made a object; expected an instance"),
        ("my_adapters:Greedy[size=big]", "constructing it failed (ValueError: invalid literal"),
        ("my_adapters:ready[size=1]", "takes no options"),
        ("my_adapters:Half", "Half does not define backward()"),
        ("my_adapters:Formless", "Formless does not define vjp()"),
        ("json:", "module json has no `tensor` and `Tensor`"),
        ("reference[backend=abacus]", "backend 'abacus' is unknown; use numpy or torch"),
        ("reference[backend=numpy,device=cuda]", "backend=numpy computes on the cpu"),
    ],
)
def test_each_failure_is_one_sentence(adapters: str, name: str, sentence: str) -> None:
    with pytest.raises(EngineLoadError, match=re.escape(sentence)) as caught:
        load_engine(name)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_cuda_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineLoadError, match="sees no CUDA device; use device=cpu"):
        load_engine("torch[device=cuda]")


def test_a_module_with_torchs_names_needs_no_adapter() -> None:
    engine = load_engine("torch:")
    assert type(engine) is TorchLikeEngine
    assert engine.prelude == "import torch as torch"


def test_registered_engines_are_listed_and_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        metadata.EntryPoint("tiny", "tests.engines.tiny_tape:TinyTape", load.GROUP),
        metadata.EntryPoint("gone", "no_such_library:Engine", load.GROUP),
    ]
    monkeypatch.setattr(load, "_entry_points", lambda: entries)
    assert load_engine("tiny").version == "0.1"
    rows = {row.name: row for row in available_engines()}
    assert list(rows) == sorted({*load.BUILT_IN, "gone", "tiny"})
    assert {"reference", "torch", "jax"} <= set(rows)
    assert rows["tiny"].installed
    assert rows["tiny"].version == "0.1"
    assert not rows["gone"].installed
    assert "cannot import no_such_library" in rows["gone"].note
