"""6. Hooks."""

from library import leaf, torch

x, w = leaf(1.0, -2.0), leaf(3.0, 4.0)
order = []

# A tensor hook may look at a gradient or replace it. Its handle removes it.
y = x * w
doubled = y.register_hook(lambda grad: grad * 2)
y.register_hook(lambda grad: order.append("tensor hook"))
# After a leaf has accumulated, it can be stepped at once, and its gradient dropped.
x.register_post_accumulate_grad_hook(lambda leaf: order.append(leaf.grad.tolist()))
y.sum().backward()
assert order == ["tensor hook", [6.0, 8.0]]
doubled.remove()
(y.detach() * x).sum().backward()
assert order[2:] == [[9.0, 0.0]]

# A multi-grad hook waits for all of several gradients, or for any one of them.
arrived = []
register = torch.autograd.graph.register_multi_grad_hook
both = register((x, w), lambda grads: arrived.append(len(grads)))
first = register((x, w), lambda grad: arrived.append("first"), mode="any")
(x * w).sum().backward()
assert sorted(arrived, key=str) == [2, "first"]
both.remove()
first.remove()
