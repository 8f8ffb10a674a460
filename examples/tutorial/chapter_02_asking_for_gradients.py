"""2. Asking for gradients."""

from library import leaf, refused, same, torch

x, w, unused = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0)
y = x * w

# autograd.grad returns gradients instead of storing them.
v = torch.tensor([1.0, 10.0], dtype=torch.float64)
dx, dw = torch.autograd.grad(y, (x, w), grad_outputs=v, retain_graph=True)
assert same(dx, [3.0, 40.0]) and same(dw, [1.0, 20.0]) and x.grad is None

# An input that was not used is an error, or None, or zeros: as you like.
ones = torch.ones_like(y)
assert refused(lambda: torch.autograd.grad(y, unused, ones, retain_graph=True))
kept = {"grad_outputs": ones, "retain_graph": True}
assert torch.autograd.grad(y, unused, allow_unused=True, **kept) == (None,)
(zero,) = torch.autograd.grad(y, unused, materialize_grads=True, **kept)
assert same(zero, [0.0])

# Several vectors at once: one row of the Jacobian for each.
rows = torch.eye(2, dtype=torch.float64)
(jacobian,) = torch.autograd.grad(y, x, rows, retain_graph=True, is_grads_batched=True)
assert same(jacobian, [[3.0, 0.0], [0.0, 4.0]])

# autograd.backward takes several roots; inputs= fills the .grad of these alone.
torch.autograd.backward([y, y.sum()], [v, None], inputs=[x])
assert same(x.grad, [6.0, 44.0]) and w.grad is None
(x * w).sum().backward(inputs=[w])
assert same(w.grad, [1.0, 2.0]) and same(x.grad, [6.0, 44.0])
