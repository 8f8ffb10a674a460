"""The training programs are what they say: PyTorch's modules and optimizers agree with them."""

from __future__ import annotations

import numpy as np
import pytest

from conformance import spec
from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.leaves import leaf_array
from conformance.observation import Array
from conformance.program import Program
from conformance.spec import networks

torch = pytest.importorskip("torch")
ENGINE = load_engine("torch")
EXACT = {"rtol": 1e-11, "atol": 1e-13}


def observed(program: Program) -> dict[tuple[str, str], Array]:
    """Run a program in float64; return what each observing step yielded, by verb and tensor."""
    events = execute(ENGINE, program, "float64").events
    found: dict[tuple[str, str], Array] = {}
    for step, event in zip(program.walk(), events, strict=True):
        assert event.refusal is None
        assert not event.skipped
        if isinstance(event.value, np.ndarray):
            found[step.verb, step.args[0]] = event.value
    return found


def initial(program: Program) -> dict[str, torch.Tensor]:
    """Return the program's leaves as PyTorch tensors."""
    return {
        step.out[0]: torch.tensor(
            leaf_array(step, "float64"), requires_grad=bool(step.param("requires_grad", False))
        )
        for step in program.walk()
        if step.verb == "leaf"
    }


@pytest.mark.parametrize("scenario", [0, 1], ids=["transposed convolution", "up-sampling"])
def test_the_u_net_with_adam_is_pytorchs(scenario: int):
    program = spec.clause("TRN-4").scenarios[scenario]
    found, start = observed(program), initial(program)
    names = networks.UNET_PARAMETERS if scenario == 0 else networks.UPSAMPLED_PARAMETERS
    p = {name: start[f"{name}_1"] for name in names}
    functional = torch.nn.functional
    adam = torch.optim.Adam(p.values(), lr=0.01)
    losses = []
    for k in range(1, 6):
        skip = torch.relu(functional.conv2d(start["image"], p["w1"], p["b1"], padding=1))
        low = functional.conv2d(functional.max_pool2d(skip, 2), p["w2"], p["b2"], padding=1)
        low = torch.relu(low)
        if scenario == 0:
            up = functional.conv_transpose2d(low, p["wu"], p["bu"], stride=2)
        else:
            up = torch.nn.Upsample(scale_factor=2.0)(low)
        out = functional.conv2d(torch.cat([up, skip], dim=1), p["wo"], p["bo"])
        loss = torch.nn.BCEWithLogitsLoss()(out, start["mask"])
        adam.zero_grad()
        loss.backward()
        for name in names:
            np.testing.assert_allclose(found["grad", f"{name}_{k}"], p[name].grad, **EXACT)
            assert np.any(found["grad", f"{name}_{k}"] != 0), f"{name} learns nothing"
        np.testing.assert_allclose(found["value", f"loss_{k}"], loss.detach(), **EXACT)
        losses.append(float(loss.detach()))
        adam.step()
    for name in names:
        np.testing.assert_allclose(found["value", f"{name}_6"], p[name].detach(), **EXACT)
    assert losses == sorted(losses, reverse=True), "training lowers the loss"


def test_the_dense_network_with_momentum_is_pytorchs():
    program = spec.clause("TRN-5").scenarios[0]
    found, start = observed(program), initial(program)
    first = torch.nn.Linear(10, 5, dtype=torch.float64)
    second = torch.nn.Linear(5, 1, dtype=torch.float64)
    net = torch.nn.Sequential(first, torch.nn.ReLU(), second)
    names = dict(zip(networks.DENSE_PARAMETERS, net.parameters(), strict=True))
    with torch.no_grad():
        for name, parameter in names.items():
            parameter.copy_(start[f"{name}_1"])
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for k in range(1, 5):
        sgd.zero_grad()
        loss = torch.nn.MSELoss()(net(start["rows"]), start["labels"])
        np.testing.assert_allclose(found["value", f"loss_{k}"], loss.detach(), **EXACT)
        loss.backward()
        for name, parameter in names.items():
            np.testing.assert_allclose(found["grad", f"{name}_{k}"], parameter.grad, **EXACT)
        sgd.step()
    for name, parameter in names.items():
        np.testing.assert_allclose(found["value", f"{name}_5s"], parameter.detach(), **EXACT)


def test_the_linear_network_with_sgd_is_pytorchs():
    program = spec.clause("TRN-1").scenarios[0]
    found, start = observed(program), initial(program)
    net = torch.nn.Sequential(
        torch.nn.Linear(10, 5, dtype=torch.float64),
        torch.nn.ReLU(),
        torch.nn.Linear(5, 1, dtype=torch.float64),
    )
    with torch.no_grad():
        for name, parameter in zip(networks.DENSE_PARAMETERS, net.parameters(), strict=True):
            parameter.copy_(start[name])
    sgd = torch.optim.SGD(net.parameters(), lr=0.01)
    torch.nn.MSELoss()(net(start["rows"]), start["labels"]).backward()
    sgd.step()
    for name, parameter in zip(networks.DENSE_PARAMETERS, net.parameters(), strict=True):
        np.testing.assert_allclose(found["value", name], parameter.detach(), **EXACT)
