"""Tensors to and from Python, NumPy, other dtypes and devices; printing, copying, pickling."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as pytorch

import reference_engine
from reference_engine.backends import dtypes
from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch

SCENARIOS = Scenarios()
NUMPY_NAMES = [d.name for d in dtypes.ALL if d is not dtypes.bfloat16]


@SCENARIOS
def inferred_dtypes(lib: Any) -> Any:
    data = [1.5, 1, True, 1j, [1, 2.5], [True, 2], [], [[1], [2]], [1.0, 1j], (1, 2)]
    return [
        (str(t.dtype).rpartition(".")[2], list(t.shape), t.tolist())
        for t in map(lib.tensor, data)
    ]  # fmt: skip


@SCENARIOS
def ragged_data(lib: Any) -> Any:
    lib.tensor([[1, 2], [3]])


@SCENARIOS
def tensor_of_strings(lib: Any) -> Any:
    lib.tensor("abc")


@SCENARIOS
def sizes(lib: Any) -> Any:
    x = lib.zeros(2, 3, 4)
    return [
        list(x.shape), list(x.size()), x.size(1), x.dim(), x.ndim, x.numel(), len(x),
        x.shape.numel(), x.stride(), x.stride(0), x.is_floating_point(), x.is_complex(),
        x.shape[1:] == (3, 4), x.shape == lib.Size([2, 3, 4]),
    ]  # fmt: skip


@SCENARIOS
def memory_layout(lib: Any) -> Any:
    x = lib.zeros(2, 3, 4)
    return [
        x.element_size(), x[1:].storage_offset(), x.is_contiguous(),
        x.transpose(0, 1).is_contiguous(), x.transpose(0, 1).contiguous().is_contiguous(),
        x[:, ::2].stride(), x.expand(5, 2, 3, 4).stride(), x.data_ptr() == x[0].data_ptr(),
    ]  # fmt: skip


@SCENARIOS
def numbers(lib: Any) -> Any:
    x = lib.tensor([2.5])
    return [
        float(x), int(x), bool(x), complex(x), x.item(), lib.tensor(3).item(),
        lib.tensor(True).item(), f"{lib.tensor(2.5):.2f}", [1, 2, 3][lib.tensor(1)], 2.5 in x,
        bool(lib.tensor([0])),
    ]  # fmt: skip


@SCENARIOS
def item_of_many(lib: Any) -> Any:
    lib.ones(2).item()


@SCENARIOS
def truth_of_many(lib: Any) -> Any:
    bool(lib.ones(2))


@SCENARIOS
def float_as_index(lib: Any) -> Any:
    return [1, 2][lib.tensor(1.0)]


@SCENARIOS
def length_of_a_scalar(lib: Any) -> Any:
    len(lib.tensor(1.0))


@SCENARIOS
def iteration_is_differentiable(lib: Any) -> Any:
    x = lib.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    total = 0
    for k, part in enumerate(x):
        total = total + (k + 1) * (part * part).sum()
    total.backward()
    return x.grad


@SCENARIOS
def casts_are_differentiable(lib: Any) -> Any:
    x = lib.tensor([1.5, 2.5], requires_grad=True)
    y = (x.double() * 2).to(lib.float32).to(x).type_as(x)
    y.sum().backward()
    return x.grad, x.double().grad_fn.name(), x.to(lib.float32) is x, x.long(), x.to(lib.bool)


@SCENARIOS
def casts_to_complex_and_back(lib: Any) -> Any:
    x = lib.tensor([1.5, 2.5], requires_grad=True)
    z = x.to(lib.complex64) * (1 + 2j)
    (z * z).real.sum().backward()
    return x.grad


@SCENARIOS
def deepcopy_of_a_leaf(lib: Any) -> Any:
    x = lib.ones(2, requires_grad=True)
    x.sum().backward()
    y, z = copy.deepcopy([x, x])
    with lib.no_grad():
        y.add_(1)
    return x, y, y is z, y.requires_grad, y.grad, y.grad is x.grad


@SCENARIOS
def attributes_of_a_users_own(lib: Any) -> Any:
    x = lib.tensor([1.0, 2.0])
    x.note = ["a"]
    copies = copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.copy(x), x.detach(), x[:1]
    copies[0].note.append("b")
    return x.note, [getattr(y, "note", None) for y in copies]


@SCENARIOS
def pickle_of_a_leaf(lib: Any) -> Any:
    x = pickle.loads(pickle.dumps(lib.tensor([1.0, 2.0]).requires_grad_()))
    return x, x.requires_grad, x.is_leaf


@SCENARIOS
def memory_is_shared_with_numpy(lib: Any) -> Any:
    a = np.ones(3)
    x = lib.from_numpy(a)
    a[0] = 5
    x[1] = 7
    y = lib.tensor(a)
    a[2] = 9
    return x, y, x.numpy(), lib.as_tensor(x) is x


@SCENARIOS
def equality_is_elementwise_and_hash_is_identity(lib: Any) -> Any:
    x, y = lib.ones(2), lib.ones(2)
    return (x == y), {x: 1, y: 2}[x], len({x, y})


@SCENARIOS
def new_tensors_like_another(lib: Any) -> Any:
    x = lib.zeros(2, dtype=lib.float64)
    made = [x.new_zeros(3), x.new_ones(2, 1), x.new_full((2,), 5), lib.ones_like(x),
            lib.zeros_like(x, dtype=lib.int64), lib.full_like(x, 3)]  # fmt: skip
    return [(str(t.dtype).rpartition(".")[2], t) for t in made]


@SCENARIOS
def comparisons_of_whole_tensors(lib: Any) -> Any:
    x, y = lib.tensor([1.0, 2.0]), lib.tensor([1.0, 2.0 + 1e-6])
    nan = lib.tensor([float("nan")])
    return [
        lib.equal(x, y), lib.equal(x, x.clone()), x.equal(lib.ones(3)), lib.allclose(x, y),
        x.allclose(y, rtol=0.0), lib.allclose(nan, nan), lib.allclose(nan, nan, equal_nan=True),
        lib.numel(x), lib.is_floating_point(x), lib.is_complex(x), lib.is_tensor(x),
    ]  # fmt: skip


@SCENARIOS
def save_and_load(lib: Any) -> Any:
    file = io.BytesIO()
    lib.save({"weight": lib.ones(2, requires_grad=True), "step": 3}, file)
    file.seek(0)
    state = lib.load(file)
    return state["weight"], state["weight"].requires_grad, state["step"]


@SCENARIOS
def factories(lib: Any) -> Any:
    made = [
        lib.zeros(2, 3), lib.ones([2]), lib.full((2,), 3), lib.full((2,), 3.5), lib.arange(3),
        lib.arange(1, 2, 0.25), lib.arange(5, 0, -2), lib.linspace(0, 1, 5), lib.eye(2, 3),
        lib.zeros(()), lib.ones(2, dtype=lib.complex64), lib.zeros(2, dtype=lib.bool),
    ]  # fmt: skip
    return [(str(t.dtype).rpartition(".")[2], list(t.shape), t) for t in made]


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


@pytest.mark.parametrize("name", NUMPY_NAMES)
def test_numpy_arrays_keep_dtype_and_values(engine: Any, name: str) -> None:
    array = np.array([[1, 0], [2, 3]]).astype(name)
    for view in (array, array.T, array[:, ::-1], array[0, 0]):
        x = engine.tensor(view)
        assert x.dtype.name == name
        np.testing.assert_array_equal(x.numpy(), view)


def test_a_state_is_saved_to_a_path(engine: Any, tmp_path: Path) -> None:
    engine.save([engine.arange(3)], tmp_path / "state")
    assert engine.load(str(tmp_path / "state"))[0].tolist() == [0, 1, 2]


def test_unknown_numpy_dtypes_are_refused(engine: Any) -> None:
    with pytest.raises(TypeError, match=r"uint32|supported|conver"):
        engine.tensor(np.array([1], dtype="M8[s]"))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda e: e.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda e: e.tensor([1.5, 0.25], requires_grad=True),
         "tensor([1.5000, 0.2500], requires_grad=True)"),
        (lambda e: e.tensor([1.0], requires_grad=True) + 1, "tensor([2.], grad_fn=<AddBackward0>)"),
        (lambda e: e.tensor([1.0], dtype=e.float64), "tensor([1.], dtype=float64)"),
        (lambda e: e.tensor(3), "tensor(3)"),
        (lambda e: e.tensor([True, False]), "tensor([ True, False])"),
        (lambda e: e.zeros(0, 3), "tensor([], size=(0, 3))"),
        (lambda e: e.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    ],
)  # fmt: skip
def test_printing(engine: Any, make: Any, expected: str) -> None:
    assert repr(make(engine)) == expected


def test_printing_names_a_device_that_is_not_the_default() -> None:
    assert repr(reference_engine.ones(1, device="torch")) == "tensor([1.], device='torch')"


def test_bfloat16_prints_and_computes_on_both_backends(engine: Any) -> None:
    x = engine.tensor([1.5, 2.0], dtype=engine.bfloat16, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    assert x.grad.dtype is engine.bfloat16
    assert x.grad.to(engine.float32).tolist() == [3.0, 4.0]
    assert "dtype=bfloat16" in repr(x.detach())


def test_gradients_cross_from_one_backend_to_the_other_and_back() -> None:
    e = reference_engine
    x = e.tensor([1.0, 2.0], requires_grad=True)
    y = (x.sin().to("torch").exp() * 2).to("cpu")
    y.sum().backward()
    t = pytorch.tensor([1.0, 2.0], requires_grad=True)
    (t.sin().exp() * 2).sum().backward()
    assert str(x.grad.device) == "cpu"
    np.testing.assert_allclose(x.grad.tolist(), t.grad.tolist(), rtol=1e-6)


def test_grad_of_an_input_on_the_other_backend_is_on_that_backend() -> None:
    e = reference_engine
    x = e.tensor([1.0, 2.0], requires_grad=True)
    for create_graph in (False, True):
        (g,) = e.autograd.grad((x.to("torch") ** 2).sum(), x, create_graph=create_graph)
        assert str(g.device) == "cpu"
        assert g.tolist() == [2.0, 4.0]


def test_operands_on_different_devices_are_refused() -> None:
    e = reference_engine
    with pytest.raises(RuntimeError, match="cpu and torch"):
        e.ones(2) + e.ones(2, device="torch")


@pytest.mark.parametrize("name", ["gpu", "cpu:cpu", "torch:cuda", "cuda:x", ""])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match="not known"):
        reference_engine.device(name)


def test_an_absent_cuda_device_is_named() -> None:
    with pytest.raises(RuntimeError, match="'cuda:99' is not there"):
        reference_engine.ones(1, device="cuda:99")


def test_seeds_restart_the_generator(engine: Any) -> None:
    engine.manual_seed(3)
    first = engine.randn(4).tolist()
    second = engine.randn(4).tolist()
    engine.manual_seed(3)
    assert engine.randn(4).tolist() == first != second


def test_random_factories_stay_in_their_ranges(engine: Any) -> None:
    assert 0 <= min(engine.rand(100).tolist()) <= max(engine.rand(100).tolist()) < 1
    drawn = engine.randint(2, 5, (200,))
    assert set(drawn.tolist()) == {2, 3, 4}
    assert sorted(engine.randperm(10).tolist()) == list(range(10))


def test_torchs_own_generator_is_left_alone() -> None:
    pytorch.manual_seed(0)
    expected = pytorch.rand(1).item()
    pytorch.manual_seed(0)
    reference_engine.manual_seed(1)
    reference_engine.randn(5, device="torch")
    assert pytorch.rand(1).item() == expected


def test_the_torch_backend_never_uses_torchs_autograd() -> None:
    x = reference_engine.ones(2, device="torch", requires_grad=True)
    y = (x * 2).exp()
    assert not y._raw.requires_grad
    assert y._raw.grad_fn is None
