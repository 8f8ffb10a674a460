"""Functions with a derivative of the user's own.

A subclass of :class:`Function` has static methods ``forward`` and ``backward``. The node that a
call leaves in the graph is the ``ctx`` that both receive.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, ClassVar

from reference_engine.anomaly import note_traceback
from reference_engine.backends.base import COMPLEX, DIFFERENTIABLE, of_array
from reference_engine.forward import attach_tangents, paused
from reference_engine.function_misuse import refusal
from reference_engine.function_rules import batch_of, is_inside, map_custom, push_custom
from reference_engine.graph import CONSTANT, NO_EDGE, Cotangent, Edge, Node, Saved
from reference_engine.inplace import bump, leaf_in_place, rebase
from reference_engine.modes import MODES, no_grad
from reference_engine.saved_tensors import as_saved, pack
from reference_engine.tensor import Tensor, from_raw


class FunctionCtx:
    """What ``forward`` tells ``backward``, as ``torch.autograd.function.FunctionCtx``."""

    #: per argument of ``forward``, whether it is a tensor that requires grad
    needs_input_grad: tuple[bool, ...]
    _to_save: tuple[Tensor | None, ...] = ()
    _for_forward: tuple[Tensor | None, ...] = ()
    _dirty: tuple[Tensor, ...] = ()
    _non_differentiable: tuple[Tensor, ...] = ()
    _materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Saves tensors for ``backward``, version-checked and packed like any operation's.

        TypeError for anything but tensors and None.
        """
        self._to_save = _tensors_only("save_for_backward", tensors)

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Saves tensors for ``jvp``, which runs right after ``forward`` and finds no others."""
        self._for_forward = _tensors_only("save_for_forward", tensors)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declares inputs that ``forward`` modified in place; it must return them."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declares outputs that no gradient flows through."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (as at first) or None for undefined gradients."""
        self._materialize = value


class Function:
    """An operation given by its forward and its backward, as ``torch.autograd.Function``.

    Either ``forward(ctx, *args)``, or ``forward(*args)`` with ``setup_context(ctx, inputs,
    output)``. Its ``apply`` is what a program calls.
    """

    _node_class: ClassVar[type[FunctionNode]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._node_class = type(cls.__name__ + "Backward", (FunctionNode,), {"_function": cls})

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Raises RuntimeError: a Function has no instances that could be called."""
        raise refusal("instance", type(self).__name__)

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs, with recording off."""
        raise NotImplementedError("this Function has no forward; define it as a staticmethod")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Tells ``ctx`` what the backward needs, when ``forward`` takes no ``ctx``."""
        raise NotImplementedError("this Function has no setup_context")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient for each argument of ``forward``, given those of the outputs."""
        raise NotImplementedError("this Function has neither backward nor vjp; define one")

    #: another name for ``backward``
    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs, given those of the arguments (None for most)."""
        raise NotImplementedError("this Function has no jvp; define it to use forward mode")

    #: accepted, as in PyTorch: without a ``vmap``, ``func.vmap`` runs the other rules on batches
    generate_vmap_rule = False

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """The outputs of a batch of calls, and along which dimensions of them the batch is."""
        raise NotImplementedError("this Function has no vmap")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs ``forward`` and records a node.

        RuntimeError for an input marked dirty that is a leaf, or that is not returned, and for a
        modified view next to other outputs.
        """
        separate = cls.setup_context is not Function.setup_context
        if separate or kwargs:
            bound = inspect.signature(cls.forward).bind(*(None,) * (not separate), *args, **kwargs)
            if separate:
                bound.apply_defaults()
            args, kwargs = bound.args[not separate :], bound.kwargs
        call = batch_of(args) if MODES.vmaps and cls.vmap is not Function.vmap else None
        if call is not None and not is_inside(call):
            return map_custom(cls, call, args)
        ctx = cls._node_class()
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        recording = MODES.recording and any(ctx.needs_input_grad)
        ctx.connect(args if recording else ())
        with paused():
            with no_grad():
                if call is None:
                    given = args if separate else (ctx, *args)
                    output = cls.forward(*given, **kwargs)
                else:
                    output = map_custom(cls, call, args)
                if separate:
                    cls.setup_context(ctx, args, output)
            returned = output if isinstance(output, tuple) else (output,)
            outputs = ctx.adopt(args, returned, recording)
        if MODES.forward:
            push_custom(ctx, args, returned, outputs)
        ctx._for_forward = ()
        if recording:
            ctx.keep()
        return outputs if returned is output else outputs[0]


class FunctionNode(FunctionCtx, Node):
    """The node of one call of a Function, and its ``ctx``."""

    _function: ClassVar[type[Function]]
    _saved: Saved = ()
    hooks = None
    _places: tuple[Edge, ...] = ()
    #: places among the arguments of those that are tensors
    _positions: tuple[int, ...] = ()
    #: per output, whether gradients and tangents flow through it
    differentiable: Sequence[bool]

    def connect(self, args: Sequence[Any]) -> None:
        """Makes the edges to the inputs, as they are before ``forward`` runs."""
        self._positions = tuple(i for i, x in enumerate(args) if isinstance(x, Tensor))
        self.link([args[i]._edge() for i in self._positions], ())
        note_traceback(self)

    # after forward --------------------------------------------------------------------------------
    def adopt(
        self, args: Sequence[Any], returned: Sequence[Any], recording: bool
    ) -> tuple[Any, ...]:
        """The outputs as the caller gets them, with this node as their history."""
        given, constant = set(map(id, args)), set(map(id, self._non_differentiable))
        for x in self._dirty:
            if not any(x is y for y in returned):
                raise refusal("not_returned", self.name(), shape=list(x.shape))
            if id(x) not in given:
                warnings.warn(
                    "mark_dirty is for inputs that forward modifies; this output needs no mark",
                    UserWarning,
                    stacklevel=3,
                )
        likes = [x._raw if isinstance(x, Tensor) else None for x in returned]
        self.metas = tuple(((), None) if y is None else (tuple(y.shape), y.dtype) for y in likes)
        #: what makes up for undefined gradients
        self._zeros = [
            y if y is None else partial(of_array(y).zeros, y.shape, dtype=y.dtype, device=y.device)
            for y in likes
        ]
        self.differentiable = [
            y is not None and id(x) not in constant and y.dtype in DIFFERENTIABLE
            for x, y in zip(returned, likes, strict=True)
        ]
        adopted = tuple(
            self._adopt(x, nr, id(x) in given, recording and self.differentiable[nr])
            if isinstance(x, Tensor)
            else x
            for nr, x in enumerate(returned)
        )
        views = [x._rare.view for x in adopted if isinstance(x, Tensor) and x._tracked]
        for view in views if len(views) > 1 else ():
            if view is not None:
                view.mode = "multi_output"
        return adopted

    def _adopt(self, x: Tensor, nr: int, given: bool, flows: bool) -> Tensor:
        view = x._rare.view
        if any(x is modified for modified in self._dirty):
            if MODES.recording and x.requires_grad and x.is_leaf:
                raise leaf_in_place(self.name(), "a leaf")
            if view is not None and len(self.metas) > 1:
                raise refusal("modified_view", self.name(), count=len(self.metas))
            bump(x)
            if flows:
                rebase(x, self)
                x._nr = nr if view is None else x._nr
            return x
        if given:
            with no_grad():
                x = x.view(x.shape)
            view = x._rare.view
        if not flows:
            return x.detach() if x.requires_grad and (given or view is None) else x
        if view is None:
            x._grad_fn, x._nr = self, nr
        else:
            view.grad_fn, view.nr, view.mode = self, nr, "custom_function"
        x._tracked = True
        return x

    def keep(self) -> None:
        """Saves what ``save_for_backward`` was given: arrays and places, so that no cycle forms."""
        flat: list[Any] = []
        places: list[Edge] = []
        for x in self._to_save:
            node, nr = NO_EDGE if x is None else x._edge()
            storage = CONSTANT if x is None else as_saved(x)._storage
            flat += (None if x is None else x._raw, storage, storage.version)
            # None, -1 - n: output n of this node, which must not refer to itself
            places.append((None, -1 - nr) if node is self else (node, nr))
        self._saved, self._places = pack(tuple(flat), self._to_save), tuple(places)
        attach_tangents(self, self._to_save)
        self._to_save = self._dirty = self._non_differentiable = ()

    def _place(self, number: int) -> Edge:
        node, nr = self._places[number]
        return (self, -1 - nr) if nr < 0 else (node, nr)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was saved; RuntimeError when it was freed, or modified in place since."""
        saved = self._unpacked()
        if self._for_forward:
            return self._for_forward
        self._check_versions(saved)
        return tuple(self._rebuild(saved))

    # backward -------------------------------------------------------------------------------------
    def run(
        self, grads: Sequence[Cotangent], F: Any, wanted: Sequence[bool] | None
    ) -> Sequence[Cotangent]:
        """Calls the user's ``backward`` with tensors, and checks what it returns."""
        del wanted
        function = self._function
        own = function.vjp is not Function.vjp
        if own and function.backward is not Function.backward:
            raise refusal("two_backwards", function.__name__)
        given = [None if g is None else F.to_tensor(g) for g in grads]
        if self._materialize:
            given = [
                from_raw(zeros()) if g is None and zeros is not None else g
                for g, zeros in zip(given, self._zeros, strict=True)
            ]
        returned = (function.vjp if own else function.backward)(self, *given)
        results = list(returned) if isinstance(returned, tuple) else [returned]
        count = len(self.needs_input_grad)
        while len(results) > count and results[-1] is None:
            results.pop()
        if len(results) != count:
            raise refusal("gradients", self.name(), got=len(results), count=count)
        for place, g in enumerate(results):
            due = "a Tensor or None" if place in self._positions else "None: it was no tensor"
            if g is not None and not (isinstance(g, Tensor) and place in self._positions):
                raise refusal("gradient", self.name(), got=g, place=place, wanted=due)
        used = [results[i] if self.needs_input_grad[i] else None for i in self._positions]
        for g, parent, nr in zip(used, self.next, self.nrs, strict=True):
            if g is not None and g._raw.dtype in COMPLEX and parent is not None:
                due = parent.metas[nr][1]
                if not (due is None or due in COMPLEX):
                    raise refusal("complex", self.name())
        return [None if g is None else F.from_tensor(g) for g in used]

    def release(self) -> None:
        """Frees what ``save_for_backward`` saved."""
        self._saved, self._places = None, ()
        self.attached().tangents = ()


class _Once(Function):
    """The history of what a once-differentiable backward returned."""

    @staticmethod
    def forward(_ctx: Any, count: int, *grads_and_returned: Any) -> tuple[Any, ...]:
        """Cuts what was returned off from what it was computed from."""
        returned = grads_and_returned[count:]
        return tuple(x.detach() if isinstance(x, Tensor) else x for x in returned)

    @staticmethod
    def backward(_ctx: Any, *_grads: Any) -> Any:
        """Raises."""
        raise refusal("once")


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a ``backward`` whose result has no derivative: asking for it raises RuntimeError."""

    @wraps(function)
    def backward(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            returned = function(ctx, *grads)
        if not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return returned
        results = returned if isinstance(returned, tuple) else (returned,)
        with paused():
            made = _Once.apply(len(grads), *grads, *results)
        return made if returned is results else made[0]

    return backward


def _tensors_only(what: str, tensors: tuple[Any, ...]) -> tuple[Tensor | None, ...]:
    for x in tensors:
        if x is not None and not isinstance(x, Tensor):
            raise TypeError(f"{what} takes Tensors and None, got {x!r}; set it as a ctx attribute")
    return tensors
