"""The adapter contract: the one class that the author of an engine writes.

Values cross as NumPy arrays. Operation and parameter names are PyTorch's, without `torch.`; array
inputs come first, parameters are Python values. What an adapter does not define its engine does not
have: `capabilities` is read off the class, and clauses that need an absent one are unsupported,
never failed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn

from conformance.errors import Unsupported
from conformance.observation import Array
from conformance.program import CHOICES

Tensor = Any
"""An engine's own tensor: opaque to everything but its adapter."""
Hook = Callable[[Tensor], "Tensor | None"]
"""A gradient hook: sees the gradient as an engine's tensor, returns its replacement or None."""


class Engine:
    """Base of all adapters.

    dtypes: names of the NumPy dtypes that the engine computes in, the preferred one first; programs
    that name no dtype run in it. operations: canonical names that the engine has, where it can list
    them; None where only trying tells. conventions: documented departures from PyTorch, by name,
    each with what the engine's documentation says and where; clauses that name one are not asked,
    and an adapter refuses a step by `departs`.
    table: operations by canonical name, each a function with PyTorch's parameter names; an adapter
    that gives one need define neither `apply` nor `operations`.
    compiles: whether a computation that is new to the engine takes long. The judge then estimates
    the slopes that gradients are compared with from PyTorch's values instead of the engine's.
    """

    name: str = ""
    version: str = "unknown"
    """Of the engine. (A method `version(tensor)`, the write counter, is kept as `version_of`.)"""
    dtypes: tuple[str, ...] = ("float64",)
    operations: frozenset[str] | None = None
    conventions: Mapping[str, str] = MappingProxyType({})
    table: Mapping[str, Callable[..., Any]] = MappingProxyType({})
    compiles: bool = False

    def __init_subclass__(cls) -> None:
        """List the operations of a table, and tell the two meanings of `version` apart.

        A method of the name `version` becomes `version_of`.
        """
        if "table" in vars(cls) and "operations" not in vars(cls):
            cls.operations = frozenset(cls.table)
        method = vars(cls).get("version")
        if callable(method):
            cls.version_of = method  # type: ignore[attr-defined]
            del cls.version

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make an engine's tensor, a leaf, from a copy of `array` and in its dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define tensor(array, requires_grad)")

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values of `tensor`, outside any tracking, forced if the engine is lazy."""
        raise NotImplementedError(f"{type(self).__name__} must define numpy(tensor)")

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the operation; raise `Unsupported(op)` where the engine does not have it.

        The default calls the function of `table`; parameters that it does not take are unsupported.
        """
        result: Tensor | tuple[Tensor, ...] = self.call(self.table, op, *tensors, **params)
        return result

    def call(
        self, table: Mapping[str, Callable[..., Any]], op: str, *tensors: Tensor, **params: Any
    ) -> Any:
        """Call the function of a table; what it lacks or does not take is `Unsupported`."""
        if "scalars_widen" in self.conventions and _mixed(tensors):
            self.departs("scalars_widen")
        for convention, kinds in _AMONG_FLOATS.items():
            if convention in self.conventions and op not in _INDEXED and _among(tensors, kinds):
                self.departs(convention)
        if "scalars_have_no_axes" in self.conventions and _axis_of_scalar(tensors, params):
            self.departs("scalars_have_no_axes")
        function = table.get(op)
        if function is None:
            raise Unsupported(f"{self.name} has no operation {op}")
        try:
            _signature(function).bind(*tensors, **params)
        except TypeError as error:
            raise Unsupported(f"{self.name}: {op} with {', '.join(params)}: {error}") from error
        return function(*tensors, **params)

    def departs(self, convention: str) -> NoReturn:
        """Raise `Unsupported` for a step on which the engine documents another convention."""
        raise Unsupported(
            f"convention {convention}: {self.name} documents that {self.conventions[convention]}"
        )

    def reset(self) -> None:
        """Restore global state (the grad mode) before a program; the default has none."""

    def session(self) -> Engine:
        """Return what one program runs on: the engine itself, unless it must record first."""
        return self

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """Return what the adapter defines: methods, `method.parameter`, `dtype:NAME`."""
        lacking = set(self.lacks())
        return frozenset(
            name
            for name in self._defined()
            if name not in lacking and name.split(".")[0] not in lacking
        )

    def _defined(self) -> set[str]:
        found = {f"dtype:{name}" for name in self.dtypes}
        for base in type(self).__mro__:
            if base is Engine or "_contract_only" in vars(base):
                continue
            found.update(name for name in vars(base) if name in OPTIONAL)
            found.update(["version"] if "version_of" in vars(base) else [])
        for name in _BEHAVIOURS:
            (found.add if getattr(self, name, False) else found.discard)(name)
        for name in ("backward", "grad_of", "custom_function"):
            if name in found:
                parameters = inspect.signature(getattr(self, name)).parameters
                declared = _CHOICES - {"inputs"} if name == "grad_of" else _CHOICES | CHOICES
                found.update(f"{name}.{p}" for p in parameters if p in declared)
        return found

    def lacks(self) -> Sequence[str]:
        """Name capabilities that are defined but that this instance does not have after all.

        A method's name stands for its parameters too.
        """
        return ()


_signature = lru_cache(maxsize=None)(inspect.signature)


def _mixed(tensors: Sequence[Tensor]) -> bool:
    """Whether tensors without axes meet tensors with axes and of another dtype."""
    seen = {(str(getattr(t, "dtype", type(t))), t.ndim == 0) for t in tensors if hasattr(t, "ndim")}
    return len({dtype for dtype, _ in seen}) > 1 and len({scalar for _, scalar in seen}) > 1


OPTIONAL = frozenset(
    "backward backward_many grad set_grad requires_grad set_requires_grad is_leaf grad_fn detach"
    " detach_ data apply_ no_grad enable_grad set_grad_enabled inference_mode is_grad_enabled"
    " retain_grad register_hook register_post_accumulate_hook grad_of custom_function"
    " saved_tensors_hooks make_dual watch threads vjp jvp stop_gradient accumulates"
    " frees_graph".split()
)
"""Every optional method of the contract; `accumulates` and `frees_graph` come with `TapeEngine`."""
_BEHAVIOURS = ("accumulates", "frees_graph", "threads")
_CHOICES = frozenset("gradient retain_graph create_graph inputs grad_outputs allow_unused".split())
"""Parameters that an engine may lack."""


_AMONG_FLOATS = {"integers_widen": ("int",), "refuses_integers": ("int", "bool")}
"""Conventions on what else meets floating-point numbers, by the dtypes that they are about."""
_INDEXED = frozenset(
    "gather index_select take take_along_dim scatter scatter_add index_add index_copy index_fill"
    " index_put where masked_fill masked_select nn.functional.embedding nn.functional.nll_loss"
    " nn.functional.cross_entropy".split()
)
"""Operations whose indices or masks are not computed with."""


def _among(tensors: Sequence[Tensor], kinds: tuple[str, ...]) -> bool:
    """Whether tensors of these kinds of dtype meet floating-point ones."""
    names = [str(t.dtype).lower() for t in tensors if hasattr(t, "dtype")]
    among = any(kind in name for name in names for kind in kinds)
    return among and any("float" in name for name in names)


def _axis_of_scalar(tensors: Sequence[Tensor], params: Mapping[str, Any]) -> bool:
    """Whether a dimension of a tensor without axes is named; PyTorch lets it have one."""
    return any(getattr(t, "ndim", 1) == 0 for t in tensors[:1]) and params.get("dim") is not None


class TapeEngine(Engine):
    """An engine whose backward writes into the `.grad` of leaves.

    Define `backward` and `grad`, and whichever of the others the engine has; the signatures are:

        backward(tensor, gradient=None, retain_graph=False, create_graph=False[, inputs=None])
        backward_many(tensors, gradients, retain_graph=False)      several roots in one pass
        grad(tensor) -> tensor or None          set_grad(tensor, gradient or None)
        requires_grad(tensor) -> bool           set_requires_grad(tensor, flag)
        is_leaf(tensor) -> bool                 grad_fn(tensor) -> name of the node, or None
        detach(tensor), data(tensor) -> tensor  detach_(tensor)
        apply_(op, target, *tensors, **params)  in place; returns nothing that is used
        no_grad(), enable_grad(), set_grad_enabled(flag), inference_mode() -> context manager
        is_grad_enabled() -> bool               retain_grad(tensor)
        register_hook(tensor, hook) -> handle with remove(); hook(engine tensor) -> tensor or None
        grad_of(outputs, inputs, grad_outputs=None, retain_graph=False, create_graph=False,
                allow_unused=False) -> list of tensors or None
        version(tensor) -> int                  the count of in-place writes to its memory; named
                                                `version_of` where `version` is the engine's own
        register_post_accumulate_hook(leaf, hook) -> handle with remove(); hook(leaf) -> None
        custom_function(rule, *tensors[, dirty, non_differentiable, materialize,
                        once_differentiable, jvp, needs, logs]) -> tuple of results, by the rule of
                                                conformance.custom:
                                                rule.forward(engine, tensors), rule.keep(...),
                                                rule.backward(engine, kept, cotangents, needs)
        saved_tensors_hooks(pack, unpack) -> context manager
        forward_ad() -> context manager, a level of forward mode; in it
        make_dual(tensor, tangent) -> tensor    tangent_of(tensor) -> tensor or None
        watch(tensor) -> function               of no arguments: is the tensor's memory in use?
        threads = True                          where graphs may be used from several threads

    Leave a parameter out of `backward` or `grad_of` where the engine has no such choice.
    """

    _contract_only = True
    _required = ("backward", "grad")
    accumulates: ClassVar[bool] = True
    """Whether a second backward adds to `.grad`; set it to False only where that is documented."""
    frees_graph: ClassVar[bool] = True
    """Whether backward frees the graph, so that a second one through it owes an error."""
    threads: ClassVar[bool] = False
    """Whether the engine documents that threads may record and run backward."""

    def backward(self, tensor: Tensor, gradient: Tensor | None = None) -> None:
        """Run backward from `tensor`, seeded by `gradient` (ones for a scalar)."""
        raise NotImplementedError(f"{type(self).__name__} must define backward(tensor, gradient)")

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return the gradient that backward left on `tensor`, or None."""
        raise NotImplementedError(f"{type(self).__name__} must define grad(tensor)")


Pure = Callable[..., tuple[Tensor, ...]]
"""A pure function of engine tensors, given one by one, that returns a tuple of engine tensors."""


class FunctionalEngine(Engine):
    """An engine that differentiates functions: JAX-like, without a tape and without `.grad`.

    `tensor`, `numpy` and `apply` deal in the engine's own arrays; `tensor` may ignore
    `requires_grad`. The base records the steps of a program and replays them as a pure function, so
    that the engine runs the programs of tapes as far as they ask for derivatives: leaf gradients,
    cotangents, shared subexpressions, `grad_of`, higher orders (name `grad_of.create_graph` and
    `backward.create_graph` in `lacks()` where there is only one order). What a function transform
    has no notion of (accumulation, freed graphs, flags, hooks, in-place writes) is no capability.

    Optional: `stop_gradient(tensor)`, which gives programs `detach` and the grad modes, and
    `jvp(fn, primals, tangents)`, which returns the results of `fn(*primals)` and their derivatives
    along `tangents`, two tuples.
    """

    _contract_only = True
    _required = ("vjp",)

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Return the gradient of `fn(*primals)`, a tuple seeded by `cotangents`, per primal."""
        raise NotImplementedError(f"{type(self).__name__} must define vjp(fn, primals, cotangents)")

    def session(self) -> Engine:
        """Return a tape that records one program and asks `vjp` for its gradients."""
        from conformance.adapters.recording import Recording

        return Recording(self)

    def _defined(self) -> set[str]:
        found = super()._defined()
        found.update(DIFFERENTIATING)
        if "jvp" in found:
            found.add("make_dual")
        if "stop_gradient" in found:
            found.update(("detach", "no_grad", "enable_grad", "set_grad_enabled"))
        return found


DIFFERENTIATING = frozenset(
    "grad backward backward.gradient backward.retain_graph backward.create_graph backward.inputs"
    " backward_many grad_of grad_of.grad_outputs grad_of.retain_graph grad_of.create_graph".split()
)
"""What a recorded program may ask of any functional engine."""


def mode(engine: Engine, name: str, *arguments: Any) -> AbstractContextManager[Any]:
    """Return the engine's grad-mode context manager of that name."""
    manager: AbstractContextManager[Any] = getattr(engine, name)(*arguments)
    return manager
