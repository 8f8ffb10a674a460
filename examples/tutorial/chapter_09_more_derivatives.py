"""9. More derivatives."""

import math
import warnings

from library import leaf, same, torch

# create_graph records the backward itself, so that it can be differentiated.
x = leaf(2.0)
(first,) = torch.autograd.grad(x**3, x, create_graph=True)
(second,) = torch.autograd.grad(first, x, create_graph=True)
assert same(first, [12.0]) and same(second, [12.0])
with warnings.catch_warnings(record=True):  # backward warns that x and x.grad form a cycle
    warnings.simplefilter("always")
    (x**3).backward(create_graph=True)
assert x.grad.requires_grad
x.grad = None

# Forward mode sends tangents along with values: one run, one direction.
forward_ad = torch.autograd.forward_ad
forward_ad.enter_dual_level()
dual = forward_ad.make_dual(x.detach(), torch.ones(1, dtype=torch.float64))
primal, tangent = forward_ad.unpack_dual(dual**3)
forward_ad.exit_dual_level()
assert same(primal, [8.0]) and same(tangent, [12.0])

# autograd.functional: products with Jacobians and Hessians of a function at a point.
functional = torch.autograd.functional


def cube(t):
    return (t**3).sum()


point = torch.tensor([1.0, 2.0], dtype=torch.float64)
v = torch.tensor([1.0, 10.0], dtype=torch.float64)
one = torch.tensor(1.0, dtype=torch.float64)
assert same(functional.vjp(cube, point, one)[1], [3.0, 12.0])
assert same(functional.jvp(cube, point, v)[1], 123.0)
assert same(functional.vhp(cube, point, v)[1], [6.0, 120.0])
assert same(functional.hvp(cube, point, v)[1], [6.0, 120.0])
assert same(functional.jacobian(lambda t: t * t, point), [[2.0, 0.0], [0.0, 4.0]])
assert same(functional.hessian(cube, point), [[6.0, 0.0], [0.0, 12.0]])

# torch.func: functions of functions, which nest.
func = torch.func
assert same(func.grad(cube)(point), [3.0, 12.0])
slope, value = func.grad_and_value(cube)(point)
assert same(slope, [3.0, 12.0]) and same(value, 9.0)
value, pull = func.vjp(torch.exp, point)
assert same(pull(v)[0], [math.e, 10 * math.e**2])
assert same(func.jvp(cube, (point,), (v,))[1], 123.0)
value, push = func.linearize(cube, point)
assert same(value, 9.0) and same(push(v), 123.0)
assert same(func.jacrev(torch.sin)(point), [[math.cos(1), 0.0], [0.0, math.cos(2)]])
assert same(func.jacfwd(torch.sin)(point), [[math.cos(1), 0.0], [0.0, math.cos(2)]])
assert same(func.hessian(cube)(point), [[6.0, 0.0], [0.0, 12.0]])

# vmap turns a function of one example into one of a batch: here, a gradient per example.
batch = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
assert same(func.vmap(func.grad(cube))(batch), [[3.0, 12.0], [27.0, 48.0]])

# functional_call runs a module with parameters of your choice.
model = torch.nn.Linear(2, 1, bias=False)
weights = {"weight": torch.tensor([[1.0, 10.0]], dtype=torch.float64)}
assert same(func.functional_call(model, weights, (point,)), [21.0])
