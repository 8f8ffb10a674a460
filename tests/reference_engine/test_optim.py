"""Optimizers against torch's, and whole training programs: seed cases A4, A5, D1 and D3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine as engine

Build = Callable[[Any, Any], Any]


@pytest.fixture(params=["cpu", "torch"], autouse=True)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    engine.set_default_device(request.param)
    yield request.param
    engine.set_default_device("cpu")


def load(ours: Any, theirs: Any) -> None:
    ours.load_state_dict({k: engine.tensor(v.numpy()) for k, v in theirs.state_dict().items()})


def assert_same_parameters(ours: Any, theirs: Any, rtol: float = 1e-10) -> None:
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(
            p.detach().numpy(), q.detach().numpy(), rtol=rtol, atol=rtol / 100
        )


def regression(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))


OPTIMIZERS: dict[str, Build] = {
    "sgd": lambda o, p: o.SGD(p, lr=0.1),
    "sgd decay": lambda o, p: o.SGD(p, lr=0.1, weight_decay=0.1),
    "sgd momentum": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9),
    "sgd dampened": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
    "sgd nesterov": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "sgd maximize": lambda o, p: o.SGD(p, lr=0.01, maximize=True),
    "adam": lambda o, p: o.Adam(p, lr=0.1),
    "adam decay": lambda o, p: o.Adam(p, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1),
    "amsgrad": lambda o, p: o.Adam(p, lr=0.1, amsgrad=True),
    "adamw": lambda o, p: o.AdamW(p, lr=0.1),
}


def train(lib: Any, net: Any, optimizer: Any, steps: int, seed: int = 5) -> list[float]:
    rng = np.random.default_rng(seed)
    losses = []
    for _ in range(steps):
        x, y = lib.tensor(rng.normal(size=(6, 10))), lib.tensor(rng.normal(size=(6, 1)))
        loss = lib.nn.MSELoss()(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_follows_torch(name: str) -> None:
    torch.manual_seed(0)
    theirs, ours = regression(torch).double(), regression(engine).double()
    load(ours, theirs)
    expected = train(torch, theirs, OPTIMIZERS[name](torch.optim, theirs.parameters()), 8)
    got = train(engine, ours, OPTIMIZERS[name](engine.optim, ours.parameters()), 8)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert_same_parameters(ours, theirs, rtol=1e-9)


def test_a4_one_step_is_minus_lr_times_grad() -> None:
    engine.manual_seed(1)
    net = regression(engine)
    before = [p.detach().clone().numpy() for p in net.parameters()]
    optimizer = engine.optim.SGD(net.parameters(), lr=0.01)
    loss = engine.nn.MSELoss()(net(engine.randn(4, 10)), engine.randn(4, 1))
    loss.backward()
    optimizer.step()
    for p, old in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), old - np.float32(0.01) * p.grad.numpy())
    optimizer.zero_grad()
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 6, 12])
def test_a5_micro_batches_add_up_to_the_batch(parts: int) -> None:
    engine.manual_seed(2)
    net = regression(engine).double()
    loss = engine.nn.MSELoss()
    x, y = engine.randn(12, 10, dtype=engine.float64), engine.randn(12, 1, dtype=engine.float64)
    loss(net(x), y).backward()
    whole = [p.grad.numpy().copy() for p in net.parameters()]
    net.zero_grad()
    for part, target in zip(x.chunk(parts), y.chunk(parts), strict=True):
        (loss(net(part), target) / parts).backward()
    for p, expected in zip(net.parameters(), whole, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-12, atol=1e-14)


# D1, D3 -------------------------------------------------------------------------------------------
def unet(lib: Any) -> Any:
    """Down once, up once by a transposed convolution, with a skip connection; 3 → 2 channels."""
    nn = lib.nn

    class UNet(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.down, self.pool = self.twice(3, 4), nn.MaxPool2d(2)
            self.bottom = self.twice(4, 8)
            self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
            self.wide = nn.Upsample(scale_factor=2, mode="bilinear")
            self.merge, self.head = self.twice(16, 4), nn.Conv2d(4, 2, 1)

        def twice(self, i: int, o: int) -> Any:
            return nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.Conv2d(o, o, 3, padding=1), nn.ReLU()
            )

        def forward(self, x: Any) -> Any:
            skip = self.down(x)
            low = self.bottom(self.pool(skip))
            return self.head(self.merge(lib.cat([skip, self.up(low), self.wide(low)], dim=1)))

    return UNet()


def segment(lib: Any, net: Any, optimizer: Any, steps: int) -> list[float]:
    rng = np.random.default_rng(7)
    x = lib.tensor(rng.normal(size=(2, 3, 8, 8)).astype("float32"))
    y = lib.tensor((rng.random((2, 2, 8, 8)) > 0.5).astype("float32"))
    losses = []
    for _ in range(steps):
        loss = lib.nn.BCEWithLogitsLoss()(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_d1_unet_follows_torch() -> None:
    torch.manual_seed(3)
    theirs, ours = unet(torch), unet(engine)
    load(ours, theirs)
    expected = segment(torch, theirs, torch.optim.Adam(theirs.parameters(), lr=1e-2), 6)
    got = segment(engine, ours, engine.optim.Adam(ours.parameters(), lr=1e-2), 6)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert expected[-1] < expected[0]
    for (name, p), (other, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == other
        assert tuple(p.grad.shape) == tuple(p.shape) == tuple(q.shape)
        # six steps of 0.01 from the same weights, in float32
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["sgd momentum", "adam", "amsgrad"])
def test_d3_training_goes_on_after_save_and_load(name: str) -> None:
    engine.manual_seed(4)
    net = regression(engine).double()
    optimizer = OPTIMIZERS[name](engine.optim, net.parameters())
    train(engine, net, optimizer, 3)
    saved = {k: v.clone() for k, v in net.state_dict().items()}
    state = optimizer.state_dict()
    again = regression(engine).double()
    again.load_state_dict(saved)
    resumed = OPTIMIZERS[name](engine.optim, again.parameters())
    resumed.load_state_dict(state)
    assert train(engine, net, optimizer, 3, seed=6) == train(engine, again, resumed, 3, seed=6)
    for p, q in zip(net.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


# groups and state ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["sgd", "sgd momentum", "adam", "amsgrad"])
def test_state_dict_has_torch_layout(name: str) -> None:
    states = []
    for lib in (torch, engine):
        net = regression(lib).double()
        optimizer = OPTIMIZERS[name](lib.optim, net.parameters())
        train(lib, net, optimizer, 1)
        states.append(optimizer.state_dict())
    theirs, ours = states
    assert ours["state"].keys() == theirs["state"].keys()
    for number, values in ours["state"].items():
        assert values.keys() == theirs["state"][number].keys()
    for mine, his in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert mine.keys() <= his.keys()
        assert {k: his[k] for k in mine} == mine


def test_groups_have_settings_of_their_own() -> None:
    a, b = (engine.nn.Parameter(engine.ones(1)) for _ in range(2))
    optimizer = engine.optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.5)
    (a + b).backward()
    optimizer.step()
    assert (a.item(), b.item()) == (0.0, 0.5)


def test_a_parameter_without_gradient_stays() -> None:
    a, b = (engine.nn.Parameter(engine.ones(1)) for _ in range(2))
    optimizer = engine.optim.SGD([a, b], lr=0.5, weight_decay=1.0)
    (a * 1).backward()
    optimizer.step()
    assert b.item() == 1.0


def test_step_is_not_recorded_and_closure_is() -> None:
    p = engine.nn.Parameter(engine.tensor([3.0]))
    optimizer = engine.optim.SGD([p], lr=0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with engine.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 9.0
    assert p.item() == 0.0
    assert p.is_leaf


def test_zero_grad_in_place_keeps_the_tensor() -> None:
    p = engine.nn.Parameter(engine.ones(1))
    optimizer = engine.optim.SGD([p], lr=0.5)
    (p * 2).backward()
    grad = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is grad
    assert grad.item() == 0.0


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda o, t: o.SGD([], lr=0.1), ValueError),
        (lambda o, t: o.SGD(t.ones(1), lr=0.1), TypeError),
        (lambda o, t: o.SGD([1.0], lr=0.1), TypeError),
        (lambda o, t: o.SGD([t.ones(1, requires_grad=True) * 2], lr=0.1), ValueError),
        (lambda o, t: o.SGD([t.ones(1)], lr=-1.0), ValueError),
        (lambda o, t: o.SGD([t.ones(1)], lr=0.1, nesterov=True), ValueError),
        (lambda o, t: o.Adam([t.ones(1)], betas=(1.0, 0.9)), ValueError),
        (lambda o, t: o.Adam([t.ones(1)], eps=-1.0), ValueError),
    ],
)
def test_refusals_are_as_in_torch(make: Build, kind: type[Exception]) -> None:
    for lib in (torch, engine):
        with pytest.raises(kind):
            make(lib.optim, lib)


def test_an_optimizer_that_says_not_how_is_refused_as_in_torch() -> None:
    for lib in (torch, engine):
        p = lib.nn.Parameter(lib.ones(1))  # type: ignore[attr-defined]
        (p * 2).backward()
        with pytest.raises(NotImplementedError) as caught:
            lib.optim.Optimizer([p], {}).step()  # type: ignore[attr-defined]
    assert "_update(p, grad, group, state)" in str(caught.value)


def test_an_optimizer_of_one_s_own_defines_how_one_parameter_moves() -> None:
    class Signs(engine.optim.Optimizer):
        def _update(self, p: Any, grad: Any, group: Any, state: Any) -> None:
            p.sub_(grad.sign() * group["lr"])

    p = engine.nn.Parameter(engine.tensor([1.0, 1.0]))
    (p * engine.tensor([5.0, -5.0])).sum().backward()
    Signs([p], {"lr": 0.5}).step()
    assert p.tolist() == [0.5, 1.5]


def test_loading_a_state_of_other_groups_is_refused() -> None:
    one = engine.optim.SGD([engine.ones(1)], lr=0.1)
    two = engine.optim.SGD([engine.ones(1), engine.ones(1)], lr=0.1)
    with pytest.raises(ValueError, match="groups"):
        two.load_state_dict(one.state_dict())
