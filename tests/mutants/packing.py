"""Wrong engines on hooks for saved tensors."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant


@mutant(
    "saved-tensor-hooks-ignored",
    "SAVE-1 SAVE-4 SAVE-6 SAVE-7 SAVE-8",
    "Hooks for saved tensors are accepted and never called.",
)
class HooksIgnored(OverTorch):
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        return nullcontext()


@mutant(
    "packed-in-half-precision",
    "SAVE-2",
    "What hooks give back is kept in half precision.",
)
class HalfPacked(OverTorch):
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        return super().saved_tensors_hooks(pack, lambda p: unpack(p).half().double())


@mutant(
    "saved-tensor-hooks-stay",
    "SAVE-3",
    "Hooks for saved tensors stay in force after their block.",
)
class HooksStay(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[AbstractContextManager[Any]] = []

    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        hooks = super().saved_tensors_hooks(pack, unpack)
        hooks.__enter__()
        self.open.append(hooks)
        return nullcontext()

    def reset(self) -> None:
        super().reset()
        while self.open:
            self.open.pop().__exit__(None, None, None)


@mutant(
    "saved-tensor-hooks-chained",
    "SAVE-4",
    "Nested hooks for saved tensors are called one after the other.",
)
class HooksChained(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[Any] = []

    @contextmanager
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        self.pairs.append((pack, unpack))
        pairs = list(self.pairs)

        def packed(tensor: Any) -> Any:
            for one, _ in pairs:
                tensor = one(tensor)
            return tensor

        def unpacked(tensor: Any) -> Any:
            for _, one in reversed(pairs):
                tensor = one(tensor)
            return tensor

        try:
            with super().saved_tensors_hooks(packed, unpacked):
                yield
        finally:
            self.pairs.pop()


@mutant(
    "constants-packed-too",
    "SAVE-5",
    "Operands are packed whether or not anything is recorded.",
)
class ConstantsPacked(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.pack: Any = None

    @contextmanager
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        self.pack = pack
        with super().saved_tensors_hooks(pack, unpack):
            yield
        self.pack = None

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if self.pack is not None:
            self.pack(tensors[0].detach())
        return super().apply(op, *tensors, **params)


@mutant(
    "errors-of-packing-swallowed",
    "SAVE-6",
    "A hook for saved tensors that raises is taken out of use without a word.",
)
class ErrorsSwallowed(OverTorch):
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        def tried(hook: Any) -> Any:
            def call(value: Any) -> Any:
                try:
                    return hook(value)
                except KeyError:
                    return value

            return call

        return super().saved_tensors_hooks(tried(pack), tried(unpack))


@mutant(
    "unpacked-once",
    "SAVE-7",
    "A saved tensor is unpacked once and kept from then on.",
)
class UnpackedOnce(OverTorch):
    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        class Held:
            def __init__(self, packed: Any) -> None:
                self.packed, self.value = packed, None

        def opened(held: Held) -> Any:
            if held.value is None:
                held.value = unpack(held.packed)
            return held.value

        return super().saved_tensors_hooks(lambda t: Held(pack(t)), opened)


@mutant(
    "functions-save-past-the-hooks",
    "SAVE-8",
    "What custom functions save does not pass through the hooks.",
)
class PastTheHooks(OverTorch):
    @wraps(OverTorch.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        with super().saved_tensors_hooks(lambda t: t, lambda t: t):
            return super().custom_function(rule, *tensors, **marks)


@mutant(
    "packed-graphs-differentiated-once",
    "SAVE-9",
    "A gradient through packed tensors has no graph of its own.",
)
class PackedOnce(OverTorch):
    packed = False

    def saved_tensors_hooks(self, pack: Any, unpack: Any) -> Any:
        self.packed = True
        return super().saved_tensors_hooks(pack, unpack)

    def reset(self) -> None:
        super().reset()
        self.packed = False

    @wraps(OverTorch.grad_of)
    def grad_of(self, *given: Any, **options: Any) -> Any:
        found = super().grad_of(*given, **options)
        return [g.detach() if self.packed and torch.is_tensor(g) else g for g in found]
