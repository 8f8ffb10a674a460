"""Training: what the rules of the other themes add up to in a training loop."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.program import Program
from conformance.spec import networks, sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("training", "TRN", "Training programs")
_STEPS = 5


def _unet(shapes: dict[str, tuple[int, ...]], up: str) -> Program:
    """Return five Adam steps of the small U-Net; losses, gradients and results are observed."""
    lines = [
        "image = leaf(shape=[1, 3, 4, 4], seed=11)",
        "mask = leaf(shape=[1, 2, 4, 4], seed=12, low=0.0, high=1.0)",
        *networks.parameters(shapes, seed=21),
        *networks.train(
            shapes,
            lambda k: networks.unet(k, up),
            lambda name, k: networks.adam(name, k, rate=0.01),
            range(1, _STEPS + 1),
        ),
        *(f"value({name}_{_STEPS + 1})" for name in shapes),
    ]
    return scenario("\n".join(lines), "D1")


def _saved_and_loaded() -> Program:
    """Return four steps with momentum, and the last two again from reloaded state."""
    shapes, loaded = networks.DENSE_PARAMETERS, "s"

    def steps(first: int, last: int, run: str) -> Iterator[str]:
        return networks.train(
            shapes,
            lambda k: networks.dense(k, run),
            lambda name, k: networks.momentum(name, k, rate=0.05, run=run),
            range(first, last + 1),
            run,
        )

    lines = [
        "rows = leaf(shape=[8, 10], seed=31)",
        "labels = leaf(shape=[8, 1], seed=32)",
        *networks.parameters(shapes, seed=41),
        *steps(1, 4, ""),
        *(f"{name}_3{loaded} = reload({name}_3, requires_grad=True)" for name in shapes),
        *(f"{name}_m2{loaded} = reload({name}_m2)" for name in shapes),
        *steps(3, 4, loaded),
        *(f"assert value({name}_5{loaded}) == {name}_5" for name in shapes),
    ]
    return scenario("\n".join(lines), "D3")


THEME.clause(
    1,
    "In a loop of forward, loss, backward, update and zeroing, every step must use the"
    " parameters and the gradients of that step only, so that plain gradient descent moves each"
    " parameter by minus the learning rate times its gradient.",
    why="Whatever is off by one step here still lowers the loss: stale parameters and left-over"
    " gradients show only as slow or unstable training.",
    source=sources.OPTIMIZATION_TUTORIAL,
    oracles=("differential", "finite_difference"),
    generated=("training.sgd",),
    scenarios=[
        scenario(
            """
            rows = leaf(shape=[4, 10], seed=1)
            labels = leaf(shape=[4, 1], seed=2)
            w1 = leaf(shape=[5, 10], seed=3, requires_grad=True)
            b1 = leaf(shape=[5], seed=4, requires_grad=True)
            w2 = leaf(shape=[1, 5], seed=5, requires_grad=True)
            b2 = leaf(shape=[1], seed=6, requires_grad=True)
            h = nn.functional.linear(rows, w1, b1)
            a = relu(h)
            y = nn.functional.linear(a, w2, b2)
            loss = nn.functional.mse_loss(y, labels)
            backward(loss)
            g1 = grad(w1)
            g2 = grad(b1)
            g3 = grad(w2)
            g4 = grad(b2)
            s1 = mul(g1, other=0.01)
            s2 = mul(g2, other=0.01)
            s3 = mul(g3, other=0.01)
            s4 = mul(g4, other=0.01)
            n1 = sub(w1, s1)
            n2 = sub(b1, s2)
            n3 = sub(w2, s3)
            n4 = sub(b2, s4)
            with no_grad():
                sub_(w1, s1)
                sub_(b1, s2)
                sub_(w2, s3)
                sub_(b2, s4)
            set_grad(w1, value=None)
            set_grad(b1, value=None)
            set_grad(w2, value=None)
            set_grad(b2, value=None)
            assert value(w1) == n1
            assert value(b1) == n2
            assert value(w2) == n3
            assert value(b2) == n4
            """,
            "A4",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            t = leaf([3.0, 5.0])
            w1 = leaf(0.5, requires_grad=True)
            p1 = mul(x, w1)
            e1 = sub(p1, t)
            q1 = mul(e1, e1)
            loss1 = mean(q1)
            assert value(loss1) == 11.125
            backward(loss1)
            assert grad(w1) == -10.5
            g1 = grad(w1)
            s1 = mul(g1, other=0.01)
            n1 = sub(w1, s1)
            w2 = reload(n1, requires_grad=True)
            assert value(w2) == 0.605
            p2 = mul(x, w2)
            e2 = sub(p2, t)
            q2 = mul(e2, e2)
            loss2 = mean(q2)
            backward(loss2)
            assert grad(w2) == -9.975
            """,
            "A4",
        ),
        scenario(
            """
            w = leaf([1.0, 2.0], requires_grad=True)
            y = mul(w, w)
            loss = sum(y)
            backward(loss)
            g = grad(w)
            step = mul(g, other=0.25)
            with no_grad():
                sub_(w, step)
            set_grad(w, value=None)
            y2 = mul(w, w)
            loss2 = sum(y2)
            assert value(loss2) == 1.25
            backward(loss2)
            assert grad(w) == [1.0, 2.0]
            """,
            "A4",
        ),
    ],
)

THEME.clause(
    2,
    "The gradient of a scalar cost at a point must be the vector of its partial derivatives"
    " there, so that a small step against it lowers the cost.",
    why="A gradient with one wrong sign or one swapped component still descends in the others;"
    " only the derivative itself tells.",
    source=sources.AUTOGRAD_TUTORIAL,
    oracles=("differential", "finite_difference"),
    generated=("training.sgd",),
    scenarios=[
        scenario(
            """
            a = leaf(1.0, requires_grad=True)
            b = leaf(2.0, requires_grad=True)
            aa = mul(a, a)
            ab = mul(a, b)
            ab3 = mul(ab, other=3.0)
            cost = add(aa, ab3)
            assert value(cost) == 7.0
            backward(cost)
            assert grad(a) == 8.0
            assert grad(b) == 3.0
            ga = grad(a)
            gb = grad(b)
            sa = mul(ga, other=-0.125)
            sb = mul(gb, other=-0.125)
            a2 = add(a, sa)
            b2 = add(b, sb)
            assert value(a2) == 0.0
            assert value(b2) == 1.625
            """,
            "D2",
        ),
        scenario(
            """
            x = leaf([0.5, -1.25, 2.0], requires_grad=True)
            sines = sin(x)
            powers = exp(sines)
            products = mul(powers, x)
            cost = mean(products)
            backward(cost)
            grad(x)
            """,
            "D2",
        ),
    ],
)

THEME.clause(
    3,
    "One update after K equal micro-batches, each mean loss divided by K, must equal one update on"
    " the whole batch.",
    why="This is the equality that people rely on when they trade memory for time; broken, the"
    " same script gives another model on a smaller device.",
    source=sources.GRADIENT_ACCUMULATION,
    needs=("accumulates",),
    generated=("accumulation.microbatches",),
    scenarios=[
        scenario(
            """
            x1 = leaf([1.0, 2.0])
            x2 = leaf([3.0, 4.0])
            w = leaf(2.0, requires_grad=True)
            p1 = mul(x1, w)
            q1 = mul(p1, p1)
            m1 = mean(q1)
            half1 = div(m1, other=2.0)
            backward(half1)
            p2 = mul(x2, w)
            q2 = mul(p2, p2)
            m2 = mean(q2)
            half2 = div(m2, other=2.0)
            backward(half2)
            assert grad(w) == 30.0
            g = grad(w)
            step = mul(g, other=0.0625)
            with no_grad():
                sub_(w, step)
            assert value(w) == 0.125
            set_grad(w, value=None)
            assert grad(w) is None
            """,
            "A5",
        ),
    ],
)

THEME.clause(
    4,
    "In a network of convolutions, pooling, up-sampling and a skip connection, every parameter"
    " must get a gradient of its own shape, and training with Adam must follow PyTorch's losses"
    " and parameters from the same start.",
    why="Here every rule meets every other; a defect too small for a unit test is multiplied by"
    " the optimizer's division by small moments.",
    source=sources.ADAM,
    unless=("interpreted",),
    varied=False,
    scenarios=[
        _unet(
            networks.UNET_PARAMETERS,
            "nn.functional.conv_transpose2d(r2_{k}, wu_{k}, bu_{k}, stride=2)",
        ),
        _unet(
            networks.UPSAMPLED_PARAMETERS,
            'nn.functional.interpolate(r2_{k}, scale_factor=2.0, mode="nearest")',
        ),
    ],
)

THEME.clause(
    5,
    "Training that is continued from saved values of the parameters and of the optimizer must"
    " give the parameters of training that was never interrupted.",
    why="Whatever state an engine keeps beside the values is lost on saving; long runs are"
    " resumed many times, and each time the difference is baked in.",
    source=sources.SAVING_TUTORIAL,
    generated=("training.momentum",),
    scenarios=[
        _saved_and_loaded(),
        scenario(
            """
            w = leaf([1.0, 2.0], requires_grad=True)
            y = mul(w, w)
            s = sum(y)
            backward(s)
            v = reload(w, requires_grad=True)
            assert value(v) == [1.0, 2.0]
            assert grad(v) is None
            z = mul(v, v)
            t = sum(z)
            backward(t)
            assert grad(v) == [2.0, 4.0]
            assert grad(w) == [2.0, 4.0]
            """,
            "D3",
        ),
    ],
)

THEME.clause(
    6,
    "A parameter that serves in several layers must get the sum of the gradients of all of them,"
    " once per backward.",
    why="Tied embeddings and recurrent cells have one tensor in many places; the sum that is"
    " short by one layer trains all the same.",
    source=sources.NOTE_HISTORY,
    oracles=("differential", "finite_difference"),
    generated=("leaves.fan_out",),
    scenarios=[
        scenario(
            """
            w = leaf([[1.0, 2.0], [0.0, 1.0]], requires_grad=True)
            h0 = leaf([[1.0, 1.0]])
            h1 = matmul(h0, w)
            h2 = matmul(h1, w)
            h3 = matmul(h2, w)
            assert value(h3) == [[1.0, 7.0]]
            s = sum(h3)
            backward(s)
            assert grad(w) == [[9.0, 3.0], [19.0, 9.0]]
            """
        ),
    ],
)

THEME.clause(
    7,
    "A loss on a detached output must train only what comes after the cut, and a loss through"
    " the later part must reach the earlier part without changing what the later part gets by"
    " itself.",
    why="Generator and discriminator are trained in turns on the same tensors; gradients that"
    " cross the cut make the discriminator teach itself to be fooled.",
    source=sources.DETACH,
    needs=("accumulates",),
    generated=("detach.cut",),
    scenarios=[
        scenario(
            """
            noise = leaf([1.0, 2.0])
            g = leaf([3.0, 4.0], requires_grad=True)
            d = leaf([5.0, 6.0], requires_grad=True)
            fake = mul(noise, g)
            cut = detach(fake)
            score = mul(cut, d)
            loss_d = sum(score)
            backward(loss_d)
            assert grad(g) is None
            assert grad(d) == [3.0, 8.0]
            again = mul(fake, d)
            loss_g = sum(again)
            backward(loss_g)
            assert grad(g) == [5.0, 12.0]
            assert grad(d) == [6.0, 16.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "Momentum kept from gradients and applied under no_grad must not be recorded: neither the"
    " buffer nor the parameter may get a history, and each step must use the gradient of that"
    " step.",
    why="A recorded buffer chains every step to the one before; memory and time per step grow"
    " until the run stops.",
    source=sources.SGD,
    generated=("training.momentum",),
    scenarios=[
        scenario(
            """
            w = leaf([1.0, 2.0], requires_grad=True)
            buffer = leaf([0.0, 0.0])
            y = mul(w, w)
            s = sum(y)
            backward(s)
            g = grad(w)
            with no_grad():
                mul_(buffer, other=0.5)
                add_(buffer, g)
                step = mul(buffer, other=0.25)
                sub_(w, step)
            set_grad(w, value=None)
            assert value(w) == [0.5, 1.0]
            y2 = mul(w, w)
            s2 = sum(y2)
            backward(s2)
            g2 = grad(w)
            with no_grad():
                mul_(buffer, other=0.5)
                add_(buffer, g2)
                step2 = mul(buffer, other=0.25)
                sub_(w, step2)
            assert value(buffer) == [2.0, 4.0]
            assert value(w) == [0.0, 0.0]
            assert not requires_grad(buffer)
            assert requires_grad(w)
            """
        ),
    ],
)
