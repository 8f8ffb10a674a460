"""3. Recording on and off."""

from library import leaf, refused, same, torch

x = leaf(2.0)
assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()

# Modes are context managers. What happens inside no_grad is a constant.
with torch.no_grad():
    constant = x * 3
    with torch.enable_grad():
        recorded = x * 3
assert not constant.requires_grad and recorded.requires_grad

with torch.set_grad_enabled(False):
    assert not torch.is_grad_enabled()
assert torch.is_grad_enabled()


# They are decorators too, also of generators: the mode holds inside, not at the caller's.
@torch.no_grad()
def predict(t):
    return t * 3


@torch.no_grad()
def predictions(t):
    for _ in range(2):
        yield t * 3


assert not predict(x).requires_grad
for prediction in predictions(x):
    assert not prediction.requires_grad and torch.is_grad_enabled()

# An exception that passes restores the mode.
try:
    with torch.no_grad():
        raise KeyError("passes through")
except KeyError:
    assert torch.is_grad_enabled()

# inference_mode goes further: its tensors can never take part in recording. That is checked.
with torch.inference_mode():
    assert torch.is_inference_mode_enabled()
    cheap = torch.ones(1, dtype=torch.float64)
assert cheap.is_inference() and not x.is_inference()
assert refused(lambda: x * cheap)
assert same(x * cheap.clone(), [2.0])
