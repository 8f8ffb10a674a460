"""The texts of whole training programs: a small U-Net with Adam, a dense network with momentum.

A program here makes each update out of ordinary operations and starts the next step from new leaves
(`reload`), so that engines without in-place operations and without modules run it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

UNET_PARAMETERS = {
    "w1": (2, 3, 3, 3),
    "b1": (2,),
    "w2": (3, 2, 3, 3),
    "b2": (3,),
    "wu": (3, 2, 2, 2),
    "bu": (2,),
    "wo": (2, 4, 1, 1),
    "bo": (2,),
}
"""Shapes: two convolutions, a transposed one, and a 1×1 convolution over the skip connection."""
UPSAMPLED_PARAMETERS = {
    "w1": (2, 3, 3, 3),
    "b1": (2,),
    "w2": (3, 2, 3, 3),
    "b2": (3,),
    "wo": (2, 5, 1, 1),
    "bo": (2,),
}
"""The same with nearest-neighbour up-sampling, which has no parameters."""
DENSE_PARAMETERS = {"w1": (5, 10), "b1": (5,), "w2": (1, 5), "b2": (1,)}
"""Shapes of Linear(10 → 5), ReLU, Linear(5 → 1), in PyTorch's order (outputs, inputs)."""

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def unet(k: int, up: str) -> list[str]:
    """Return the forward pass and loss of step `k`; `up` is the line that makes `u` from `r2`."""
    functional = "nn.functional"
    return [
        f"c1_{k} = {functional}.conv2d(image, w1_{k}, b1_{k}, padding=1)",
        f"r1_{k} = relu(c1_{k})",
        f"p_{k} = {functional}.max_pool2d(r1_{k}, kernel_size=2)",
        f"c2_{k} = {functional}.conv2d(p_{k}, w2_{k}, b2_{k}, padding=1)",
        f"r2_{k} = relu(c2_{k})",
        f"u_{k} = " + up.format(k=k),
        f"skip_{k} = cat(u_{k}, r1_{k}, dim=1)",
        f"o_{k} = {functional}.conv2d(skip_{k}, wo_{k}, bo_{k})",
        f"loss_{k} = {functional}.binary_cross_entropy_with_logits(o_{k}, mask)",
    ]


def dense(k: int, run: str = "") -> list[str]:
    """Return the forward pass and loss of step `k` of Linear, ReLU, Linear with squared error."""
    at = f"{k}{run}"
    return [
        f"h_{at} = nn.functional.linear(rows, w1_{at}, b1_{at})",
        f"a_{at} = relu(h_{at})",
        f"y_{at} = nn.functional.linear(a_{at}, w2_{at}, b2_{at})",
        f"loss_{at} = nn.functional.mse_loss(y_{at}, labels)",
    ]


def adam(name: str, k: int, rate: float) -> list[str]:
    """Return the lines of one Adam step (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980).

    They make `{name}_{k+1}` from `{name}_{k}`, its gradient, and the moments `{name}_m`, `{name}_v`
    of step k − 1, which are zero before the first.
    """
    p, first, second = f"{name}_{k}", f"{name}_m{k}", f"{name}_v{k}"
    lines = [
        f"{p}_g = grad({p})",
        f"{p}_g1 = mul({p}_g, other={1 - _BETA1!r})",
        f"{p}_gg = mul({p}_g, {p}_g)",
        f"{p}_g2 = mul({p}_gg, other={1 - _BETA2!r})",
    ]
    if k == 1:
        lines += [f"{first} = mul({p}_g1, other=1.0)", f"{second} = mul({p}_g2, other=1.0)"]
    else:
        lines += [
            f"{p}_m = mul({name}_m{k - 1}, other={_BETA1!r})",
            f"{first} = add({p}_m, {p}_g1)",
            f"{p}_v = mul({name}_v{k - 1}, other={_BETA2!r})",
            f"{second} = add({p}_v, {p}_g2)",
        ]
    return [
        *lines,
        f"{p}_mh = div({first}, other={1 - _BETA1**k!r})",
        f"{p}_vh = div({second}, other={1 - _BETA2**k!r})",
        f"{p}_root = sqrt({p}_vh)",
        f"{p}_scale = add({p}_root, other={_EPSILON!r})",
        f"{p}_unit = div({p}_mh, {p}_scale)",
        f"{p}_step = mul({p}_unit, other={rate!r})",
        f"{p}_new = sub({p}, {p}_step)",
        f"{name}_{k + 1} = reload({p}_new, requires_grad=True)",
    ]


def momentum(name: str, k: int, rate: float, run: str = "", decay: float = 0.9) -> list[str]:
    """Return the lines of one step of SGD with momentum: b ← decay·b + g, then p ← p − rate·b.

    `run` marks the names of a second training in one program.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html.
    """
    p, buffer = f"{name}_{k}{run}", f"{name}_m{k}{run}"
    lines = [f"{p}_g = grad({p})"]
    if k == 1:
        lines += [f"{buffer} = mul({p}_g, other=1.0)"]
    else:
        lines += [
            f"{p}_m = mul({name}_m{k - 1}{run}, other={decay!r})",
            f"{buffer} = add({p}_m, {p}_g)",
        ]
    return [
        *lines,
        f"{p}_step = mul({buffer}, other={rate!r})",
        f"{p}_new = sub({p}, {p}_step)",
        f"{name}_{k + 1}{run} = reload({p}_new, requires_grad=True)",
    ]


def parameters(shapes: dict[str, tuple[int, ...]], seed: int) -> Iterator[str]:
    """Yield the leaves of the parameters of step 1, seeded and small enough to keep units alive."""
    for offset, (name, shape) in enumerate(shapes.items()):
        yield (
            f"{name}_1 = leaf(shape={list(shape)}, seed={seed + offset},"
            " low=-0.5, high=0.5, requires_grad=True)"
        )


def train(
    shapes: dict[str, tuple[int, ...]],
    forward: Callable[[int], list[str]],
    update: Callable[[str, int], list[str]],
    steps: range,
    run: str = "",
) -> Iterator[str]:
    """Yield the lines of the steps numbered `steps`: forward, backward, updates of parameters."""
    for k in steps:
        yield from forward(k)
        yield f"value(loss_{k}{run})"
        yield f"backward(loss_{k}{run})"
        for name in shapes:
            yield from update(name, k)
