"""1. A first gradient."""

from library import leaf, refused, same, torch

# A tensor made by you is a leaf. Operations on it are recorded once it asks for gradients.
x = leaf(1.0, 2.0, 3.0)
assert x.is_leaf and x.requires_grad and x.grad_fn is None and x.grad is None
y = (x * x).sum()
assert not y.is_leaf and y.requires_grad and y.grad_fn is not None and y.output_nr == 0

# backward walks from y to the leaves and adds dy/dx = 2x to x.grad ...
y.backward()
assert same(x.grad, [2.0, 4.0, 6.0])
# ... adds: a second pass accumulates, which is why training loops clear gradients.
(x * x).sum().backward()
assert same(x.grad, [4.0, 8.0, 12.0])
x.grad = None

# The walk frees what operations saved, so a second one must be announced.
assert refused(y.backward)
y = (x * x).sum()
y.backward(retain_graph=True)
y.backward()
assert same(x.grad, [4.0, 8.0, 12.0])

# Only a scalar can be differentiated as it is. For others say which combination of the
# elements you mean: backward computes the product of that vector with the Jacobian.
y = x * x
assert refused(y.backward)
x.grad = None
y.backward(gradient=torch.tensor([1.0, 0.0, 10.0], dtype=torch.float64))
assert same(x.grad, [2.0, 0.0, 60.0])

# Results keep no gradient, unless asked to. Asking can come late, before backward.
x = leaf(3.0)
y = x * 2
y.retain_grad()
assert y.retains_grad and not x.retains_grad
(y * y).sum().backward()
assert same(y.grad, [12.0]) and same(x.grad, [24.0])

# A gradient has its leaf's dtype, unless the leaf says otherwise.
half = torch.tensor([1.0], dtype=torch.float32, requires_grad=True)
assert half.grad_dtype == torch.float32
half.grad_dtype = torch.float64
(half.double() * 3).sum().backward()
assert half.grad.dtype == torch.float64 and half.dtype == torch.float32
