"""One damaged device: its name, what happened to it, and exactly what verify must find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Apply = Callable[[Path], None]


@dataclass(frozen=True)
class Damage:
    """A damaged device of manifests/golden.

    Attributes:
        name: of its folder.
        what: is wrong with it, in one sentence.
        fast: codes of the findings of `transfer verify`.
        deep: codes of the findings of `transfer verify --deep`.
        apply: turns a copy of the good device into this one.
    """

    name: str
    what: str
    fast: frozenset[str]
    deep: frozenset[str]
    apply: Apply


class Gallery:
    """Collects damages; the decorated function does the damage, its docstring says what is wrong."""

    def __init__(self) -> None:
        self.damages: list[Damage] = []

    def damage(self, fast: str, deep: str | None = None) -> Callable[[Apply], Apply]:
        """Add a damage that is found by these codes; without `deep` by the same in both modes."""
        fast_codes = frozenset(fast.split())
        deep_codes = fast_codes if deep is None else frozenset(deep.split())

        def add(apply: Apply) -> Apply:
            name = apply.__name__.replace("_", "-")
            what = " ".join((apply.__doc__ or "").split())
            self.damages.append(Damage(name, what, fast_codes, deep_codes, apply))
            return apply

        return add
