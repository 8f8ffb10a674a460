"""8. Functions of your own."""

import math

from library import leaf, refused, same, torch


# forward computes, and tells ctx what backward needs; backward multiplies by the Jacobian.
class Power(torch.autograd.Function):
    @staticmethod
    def forward(ctx, base, exponent):
        ctx.save_for_backward(base)
        ctx.exponent = exponent
        return base**exponent

    @staticmethod
    def backward(ctx, grad):
        (base,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return grad * ctx.exponent * base ** (ctx.exponent - 1), None


x = leaf(2.0, 3.0)
(dx,) = torch.autograd.grad(Power.apply(x, 3).sum(), x, create_graph=True)
assert same(dx, [12.0, 27.0])
# Its backward is made of recorded operations: it can be differentiated again ...
assert same(torch.autograd.grad(dx.sum(), x)[0], [12.0, 18.0])


# ... unless it says that it cannot. vjp is another name for backward, setup_context takes
# what concerns ctx out of forward, and jvp is the rule of forward mode.
class Sine(torch.autograd.Function):
    @staticmethod
    def forward(t):
        return t.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def vjp(ctx, grad):
        return grad * ctx.saved_tensors[0].cos()

    @staticmethod
    def jvp(ctx, tangent):
        return tangent * ctx.saved_tensors[0].cos()


(dx,) = torch.autograd.grad(Sine.apply(x).sum(), x, create_graph=True)
assert same(dx, [math.cos(2), math.cos(3)])
assert refused(lambda: torch.autograd.grad(dx.sum(), x))
with torch.autograd.forward_ad.dual_level():
    dual = torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x))
    tangent = torch.autograd.forward_ad.unpack_dual(Sine.apply(dual)).tangent
assert same(tangent, [math.cos(2), math.cos(3)])


# Several results, one without a derivative; absent gradients come as None where asked.
class MaxAndPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t):
        value, place = t.max(dim=0)
        ctx.mark_non_differentiable(place)
        ctx.set_materialize_grads(False)
        ctx.place, ctx.size = place.item(), len(t)
        return value, place

    @staticmethod
    def backward(ctx, grad, no_grad_of_place):
        assert no_grad_of_place is None
        mask = torch.zeros(ctx.size, dtype=torch.float64)
        mask[ctx.place] = 1.0
        return grad * mask


value, place = MaxAndPlace.apply(x)
assert value.requires_grad and not place.requires_grad
assert same(torch.autograd.grad(value, x)[0], [0.0, 1.0])


# An input that forward writes into must be declared dirty, and returned.
class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t):
        ctx.mark_dirty(t)
        return t.mul_(2)

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


y = x * 1
z = Doubled.apply(y)
assert z is y and same(torch.autograd.grad(z.sum(), x)[0], [2.0, 2.0])
