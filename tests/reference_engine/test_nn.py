"""Modules against torch's: registration, state, layers, initial values, clipping."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine as engine

Net = Callable[[Any], Any]


@pytest.fixture(params=["cpu", "torch"], autouse=True)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    engine.set_default_device(request.param)
    yield request.param
    engine.set_default_device("cpu")


def mlp(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2, bias=False)))


def twins(build: Net) -> tuple[Any, Any]:
    """The same module of torch and of the engine, with torch's parameters."""
    torch.manual_seed(0)
    theirs, ours = build(torch).double(), build(engine).double()
    ours.load_state_dict({k: engine.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return theirs, ours


def same(got: Any, expected: Any) -> None:
    np.testing.assert_allclose(
        got.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-12
    )


LAYERS: dict[str, tuple[Net, tuple[int, ...]]] = {
    "linear": (lambda t: t.nn.Linear(3, 4), (2, 3)),
    "linear without bias": (lambda t: t.nn.Linear(3, 4, bias=False), (2, 5, 3)),
    "conv1d": (lambda t: t.nn.Conv1d(2, 4, 3, padding=1), (2, 2, 5)),
    "conv2d": (lambda t: t.nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 2, 5, 6)),
    "conv_transpose2d": (
        lambda t: t.nn.ConvTranspose2d(2, 4, 3, stride=2, output_padding=1, groups=2),
        (2, 2, 3, 4)),
    "relu": (lambda t: t.nn.ReLU(), (2, 3)),
    "leaky": (lambda t: t.nn.LeakyReLU(0.2), (2, 3)),
    "sigmoid": (lambda t: t.nn.Sigmoid(), (2, 3)),
    "tanh": (lambda t: t.nn.Tanh(), (2, 3)),
    "softmax": (lambda t: t.nn.Softmax(dim=1), (2, 3)),
    "gelu": (lambda t: t.nn.GELU(), (2, 3)),
    "max_pool": (lambda t: t.nn.MaxPool2d(2), (1, 2, 4, 5)),
    "max_pool strided": (lambda t: t.nn.MaxPool2d(3, 1, 1), (1, 2, 4, 5)),
    "avg_pool": (lambda t: t.nn.AvgPool2d(2, stride=1), (1, 2, 4, 5)),
    "upsample": (lambda t: t.nn.Upsample(scale_factor=2), (1, 2, 3, 4)),
    "upsample bilinear": (
        lambda t: t.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (1, 2, 3, 4)),
    "flatten": (lambda t: t.nn.Flatten(), (2, 3, 4)),
    "layer_norm": (lambda t: t.nn.LayerNorm((3, 4)), (2, 3, 4)),
    "batch_norm": (lambda t: t.nn.BatchNorm2d(3), (2, 3, 4, 5)),
    "batch_norm eval": (lambda t: t.nn.BatchNorm1d(3).eval(), (4, 3)),
    "dropout eval": (lambda t: t.nn.Dropout(0.5).eval(), (4, 3)),
    "sequential": (mlp, (5, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer_agrees_with_torch(name: str) -> None:
    build, shape = LAYERS[name]
    theirs, ours = twins(build)
    data = np.random.default_rng(1).normal(size=shape)
    outs, grads = [], []
    for lib, net in ((torch, theirs), (engine, ours)):
        x = lib.tensor(data, requires_grad=True)
        y = net(x)
        (y * y).sum().backward()
        outs.append(y)
        grads.append([x.grad, *(p.grad for p in net.parameters())])
    same(outs[1], outs[0])
    for got, expected in zip(grads[1], grads[0], strict=True):
        same(got, expected)
    for (key, got), (name_, expected) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        assert key == name_
        same(got, expected)


LOSSES: dict[str, tuple[Net, str]] = {
    "mse": (lambda t: t.nn.MSELoss(), "real"),
    "mse sum": (lambda t: t.nn.MSELoss(reduction="sum"), "real"),
    "l1": (lambda t: t.nn.L1Loss(), "real"),
    "smooth_l1": (lambda t: t.nn.SmoothL1Loss(beta=0.5), "real"),
    "huber": (lambda t: t.nn.HuberLoss(delta=0.5), "real"),
    "bce": (lambda t: t.nn.BCEWithLogitsLoss(), "unit"),
    "bce weighted": (
        lambda t: t.nn.BCEWithLogitsLoss(pos_weight=t.tensor([1.0, 2.0, 3.0], dtype=t.float64)),
        "unit"),
    "cross_entropy": (lambda t: t.nn.CrossEntropyLoss(), "class"),
    "cross_entropy smoothed": (lambda t: t.nn.CrossEntropyLoss(label_smoothing=0.1), "class"),
    "nll": (lambda t: t.nn.NLLLoss(), "class"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_loss_agrees_with_torch(name: str) -> None:
    build, kind = LOSSES[name]
    rng = np.random.default_rng(2)
    data = rng.normal(size=(4, 3))
    target = {"real": rng.normal(size=(4, 3)), "unit": rng.random((4, 3)),
              "class": rng.integers(0, 3, 4)}[kind]  # fmt: skip
    found = []
    for lib in (torch, engine):
        x = lib.tensor(data, requires_grad=True)
        loss = build(lib)(x, lib.tensor(target))
        loss.backward()
        found.append((loss, x.grad))
    same(found[1][0], found[0][0])
    same(found[1][1], found[0][1])


# registration -------------------------------------------------------------------------------------
def test_parameters_are_found_by_dotted_name() -> None:
    for lib in (torch, engine):
        net = mlp(lib)
        assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "2.0.weight"]
        assert [n for n, _ in net.named_modules()] == ["", "0", "1", "2", "2.0"]
        assert list(net.state_dict()) == ["0.weight", "0.bias", "2.0.weight"]
        assert [type(m).__name__ for m in net.children()] == ["Linear", "ReLU", "Sequential"]


def test_assignment_registers_replaces_and_deletes() -> None:
    net = engine.nn.Module()
    net.w = engine.nn.Parameter(engine.ones(2))
    net.child = engine.nn.Linear(1, 1)
    net.register_buffer("b", engine.zeros(1))
    net.register_buffer("scratch", engine.zeros(1), persistent=False)
    net.plain = engine.ones(3)
    assert [n for n, _ in net.named_parameters()] == ["w", "child.weight", "child.bias"]
    assert [n for n, _ in net.named_buffers()] == ["b", "scratch"]
    assert list(net.state_dict()) == ["w", "b", "child.weight", "child.bias"]
    with pytest.raises(TypeError):
        net.w = engine.ones(2)
    net.w = None
    del net.child
    assert list(net.parameters()) == []
    with pytest.raises(AttributeError):
        _ = net.child


def test_a_shared_parameter_is_counted_once() -> None:
    a = engine.nn.Linear(2, 2)
    net = engine.nn.Sequential(a, a)
    assert len(list(net.parameters())) == 2


def test_assigning_before_init_is_refused() -> None:
    class Net(engine.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.w = engine.nn.Parameter(engine.ones(1))

    with pytest.raises(AttributeError):
        Net()


def test_parameter_is_a_leaf_that_requires_grad() -> None:
    p = engine.nn.Parameter(engine.ones(2))
    assert isinstance(p, engine.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    assert (p * 2).requires_grad
    assert not engine.nn.Parameter(engine.ones(2), requires_grad=False).requires_grad
    with pytest.raises(TypeError):
        engine.nn.Parameter([1.0])


def test_modes_and_freezing_reach_every_module() -> None:
    net = mlp(engine)
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad_forgets_or_zeroes() -> None:
    net = mlp(engine)
    net(engine.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.numpy().any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


# state --------------------------------------------------------------------------------------------
def test_state_dict_shares_memory_and_load_copies() -> None:
    net, other = mlp(engine), mlp(engine)
    state = net.state_dict()
    assert not any(v.requires_grad for v in state.values())
    assert other.load_state_dict(state) == ([], [])
    with engine.no_grad():
        net[0].weight.zero_()
    assert not state["0.weight"].numpy().any()
    assert other[0].weight.detach().numpy().any()


def test_load_state_dict_refuses_what_does_not_fit() -> None:
    net = mlp(engine)
    state = dict(net.state_dict())
    extra = {**state, "more": engine.ones(1)}
    del extra["0.bias"]
    with pytest.raises(RuntimeError, match=r"missing \['0.bias'\], unexpected \['more'\]"):
        net.load_state_dict(extra)
    assert net.load_state_dict(extra, strict=False) == (["0.bias"], ["more"])
    with pytest.raises(RuntimeError, match="other shapes"):
        net.load_state_dict({**state, "0.bias": engine.ones(5)})


def test_modules_pickle() -> None:
    net = mlp(engine)
    again = pickle.loads(pickle.dumps(net))
    for p, q in zip(net.parameters(), again.parameters(), strict=True):
        assert type(q) is engine.nn.Parameter
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def test_dropout_scales_what_it_keeps() -> None:
    engine.manual_seed(0)
    x = engine.ones(1000, requires_grad=True)
    y = engine.nn.Dropout(0.25)(x)
    y.sum().backward()
    values = set(np.round(y.detach().numpy(), 6))
    assert values == {0.0, np.float32(1.333333)}
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert 650 < (y.detach().numpy() > 0).sum() < 850


# initial values -----------------------------------------------------------------------------------
def test_initial_values_have_torch_bounds() -> None:
    engine.manual_seed(0)
    w = engine.empty(50, 40)
    for write, bound in (
        (engine.nn.init.kaiming_uniform_, 6**0.5 / 40**0.5),
        (engine.nn.init.xavier_uniform_, 6**0.5 / 90**0.5),
        (lambda t: engine.nn.init.uniform_(t, -0.1, 0.1), 0.1),
    ):
        assert write(w) is w
        top = float(np.abs(w.numpy()).max())
        assert 0.97 * bound < top <= bound * (1 + 1e-6)
    engine.nn.init.normal_(w, 1.0, 0.5)
    assert abs(w.numpy().mean() - 1) < 0.05
    assert abs(w.numpy().std() - 0.5) < 0.05
    assert engine.nn.init.zeros_(w).numpy().any() == np.False_
    assert engine.nn.init.ones_(w).numpy().all() == np.True_


def test_default_initial_values_of_linear_are_within_torch_bound() -> None:
    layer = engine.nn.Linear(100, 30)
    for p in (layer.weight, layer.bias):
        assert 0 < np.abs(p.detach().numpy()).max() <= 0.1 + 1e-6


def test_initial_values_are_written_unrecorded() -> None:
    p = engine.nn.Parameter(engine.empty(3))
    engine.nn.init.ones_(p)
    assert p.is_leaf
    assert p.grad_fn is None


# clipping -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [2.0, 1.0, float("inf")])
@pytest.mark.parametrize("limit", [0.1, 100.0])
def test_clip_grad_norm_agrees_with_torch(kind: float, limit: float) -> None:
    theirs, ours = twins(mlp)
    data = np.random.default_rng(3).normal(size=(4, 3))
    norms = []
    for lib, net in ((torch, theirs), (engine, ours)):
        net(lib.tensor(data)).sum().backward()
        norms.append(lib.nn.utils.clip_grad_norm_(net.parameters(), limit, kind))
    same(norms[1], norms[0])
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        same(p.grad, q.grad)


def test_clip_grad_norm_refuses_what_is_not_finite() -> None:
    p = engine.nn.Parameter(engine.ones(1))
    p.grad = engine.tensor([float("inf")])
    with pytest.raises(RuntimeError):
        engine.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


def test_clip_grad_value() -> None:
    p = engine.nn.Parameter(engine.ones(3))
    p.grad = engine.tensor([-2.0, 0.1, 3.0])
    engine.nn.utils.clip_grad_value_([p], 0.5)
    np.testing.assert_allclose(p.grad.numpy(), np.float32([-0.5, 0.1, 0.5]))
