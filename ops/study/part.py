"""What all kinds of parts of a study have in common: seeds, measures, and a check against the workspace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from ops.settings.kinds import Kind
from ops.settings.section import Count
from ops.workspaces.workspace import Workspace

Item = TypeVar("Item", bound=Hashable)


def refuse_repeats(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The same items; ValueError where one is there twice."""
    if twice := [item for number, item in enumerate(items) if item in items[:number]]:
        raise ValueError(f"{twice[0]} is there twice; keep one of them")
    return items


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.-]*$"), BeforeValidator(lambda name: str(name))]
Names = Annotated[tuple[Name, ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)]
Seed = Annotated[int, Field(ge=0, le=10_000)]
Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)]
Steps = Annotated[tuple[Count, ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)]


class Part(Kind):
    """A part of a study; each kind adds its own keys, `seeds` and `measures` among them."""

    turn: Count = Field(
        1, description="parts of an earlier turn are run with all their seeds before those of a later one"
    )
    seeds: Seeds
    measures: Sequence[str]

    def find_turn(self, setting: str) -> int:
        """The turn in which the blocks of a setting are run."""
        return self.turn

    @abstractmethod
    def check(self, workspace: Workspace, place: str) -> None:
        """UserError where the part does not fit the workspace; `place` is for the message."""
