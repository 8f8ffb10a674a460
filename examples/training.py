"""Three training programs, which print what they come to as JSON.

python examples/training.py                     # with PyTorch
python examples/training.py reference_engine    # with the reference engine, unchanged
"""

import importlib
import io
import json
import sys

torch = importlib.import_module(sys.argv[1] if len(sys.argv) > 1 else "torch")
nn = torch.nn


class UNet(nn.Module):
    """Images of 3 channels to 2: once down, once up, past a skip connection."""

    def __init__(self):
        super().__init__()
        self.before, self.pool = self.block(3, 4), nn.MaxPool2d(2)
        self.low = self.block(4, 8)
        self.up = nn.ConvTranspose2d(8, 4, kernel_size=2, stride=2)
        self.after, self.head = self.block(8, 4), nn.Conv2d(4, 2, kernel_size=1)

    def block(self, channels, features):
        return nn.Sequential(nn.Conv2d(channels, features, kernel_size=3, padding=1), nn.ReLU())

    def forward(self, x):
        skip = self.before(x)
        wide = self.up(self.low(self.pool(skip)))
        return self.head(self.after(torch.cat([skip, wide], dim=1)))


def numbers(shape, frequency):
    """Numbers between −1 and 1 that look random and are the same in every library."""
    count = 1
    for n in shape:
        count *= n
    places = torch.arange(count, dtype=torch.float32)
    return ((places * frequency).sin() * 43.7).sin().reshape(shape)


def started(model):
    """A model with weights that are the same in every library."""
    with torch.no_grad():
        for place, p in enumerate(model.parameters(), 1):
            p.copy_(numbers(p.shape, 1.0 + place) * 0.4)
    return model


def train(model, optimizer, steps):
    x, y = numbers((2, 3, 8, 8), 0.37), (numbers((2, 2, 8, 8), 0.61) > 0).float()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def segmentation():
    """D1: a U-Net learns with Adam."""
    model = started(UNet())
    losses = train(model, torch.optim.Adam(model.parameters(), lr=0.01), steps=6)
    assert losses[-1] < losses[0]
    for p in model.parameters():
        assert p.grad is not None and p.grad.shape == p.shape
    norms = [p.detach().norm().item() for p in model.parameters()]
    return {"losses": losses, "parameter norms": norms}


def descent():
    """D2: the gradient of a cost is the vector of its partials; a step goes against it."""

    def cost(w):
        return (w[0] - 1) ** 2 + 10 * (w[1] - w[0] ** 2) ** 2

    w, rate, h = torch.tensor([-0.5, 0.8], dtype=torch.float64, requires_grad=True), 0.01, 1e-5
    costs = []
    for _ in range(20):
        value = cost(w)
        (gradient,) = torch.autograd.grad(value, w)
        for i in range(2):
            step = torch.zeros(2, dtype=torch.float64)
            step[i] = h
            slope = (cost(w.detach() + step) - cost(w.detach() - step)) / (2 * h)
            assert abs(slope.item() - gradient[i].item()) < 1e-7
        before = w.detach().clone()
        with torch.no_grad():
            w -= rate * gradient
        assert torch.equal(w.detach(), before - rate * gradient)
        costs.append(value.item())
    assert costs == sorted(costs, reverse=True)
    return {"costs": costs, "w": w.tolist()}


def resumption():
    """D3: training that was saved and loaded goes on as if it had not been."""
    model = started(UNet())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    train(model, optimizer, steps=3)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)

    other = UNet()
    other.load_state_dict(saved["model"])
    resumed = torch.optim.Adam(other.parameters(), lr=0.5)
    resumed.load_state_dict(saved["optimizer"])
    losses = train(model, optimizer, steps=3)
    assert train(other, resumed, steps=3) == losses
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
    return {"losses": losses}


if __name__ == "__main__":
    programs = {"D1": segmentation, "D2": descent, "D3": resumption}
    print(json.dumps({name: program() for name, program in programs.items()}))
