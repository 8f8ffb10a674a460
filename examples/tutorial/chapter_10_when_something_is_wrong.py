"""10. When something is wrong."""

import math
import sys
import warnings

from library import leaf, refused, same, torch

# gradcheck compares derivatives with finite differences; gradgradcheck those of derivatives.
x = leaf(0.5, 2.0)
assert torch.autograd.gradcheck(lambda t: t.sin() * t, (x,))
assert torch.autograd.gradgradcheck(lambda t: t.sin() * t, (x,))


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t):
        return t * 3

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


# The error is defined where gradcheck is.
GradcheckError = sys.modules[torch.autograd.gradcheck.__module__].GradcheckError
assert refused(lambda: torch.autograd.gradcheck(Wrong.apply, (x,)), GradcheckError)

# Anomaly mode stops backward at the first NaN, and says where its forward was run.
zero = leaf(0.0)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    with torch.autograd.detect_anomaly():
        y = (zero.sqrt() * 0).sum()
        assert refused(y.backward)
    assert any("SqrtBackward0" in str(warning.message) for warning in told)
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        (zero.sqrt() * 0).sum().backward()
assert math.isnan(zero.grad.item())

# Gradients that explode can be clipped, by their common norm or one by one.
a, b = leaf(1.0), leaf(1.0)
(30 * a + 40 * b).backward()
norm = torch.nn.utils.clip_grad_norm_([a, b], max_norm=5.0)
assert same(norm, 50.0)
assert abs(a.grad.item() - 3) < 1e-6 and abs(b.grad.item() - 4) < 1e-6
torch.nn.utils.clip_grad_value_([a, b], clip_value=1.0)
assert same(a.grad, [1.0]) and same(b.grad, [1.0])
