"""The description of a source, `sources/<name>.yaml`: the type and meaning of every key, and how it is read.

Strict like a recipe: an unknown key or a wrong type gives one sentence. The module does not act on the keys: the
layouts find images and labels, `conversion` converts images, and `reading` makes the splits.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from ops.errors import UserError
from ops.recipe.loading import explain
from ops.settings.reading import read_yaml
from ops.settings.section import Section

Kind = Literal["folder", "metadata", "parquet", "webdataset", "zip", "npz", "idx", "cifar", "gtsrb", "tiny-imagenet"]
Share = Annotated[float, Field(gt=0, lt=1)]
Level = Annotated[int, Field(ge=0, le=255)]
Colour = Annotated[tuple[Level, Level, Level], Field(strict=False)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=2)]


SUBFOLDER = "subfolder"  # the only `group` of kind folder

KINDS_BY_KEY = {  # the kinds that read a key; with any other kind the key has no effect, which is an error
    "image": ("parquet",),
    "label": ("parquet", "metadata", "webdataset", "cifar"),
    "table": ("metadata",),
    "file_name": ("metadata",),
    "split_column": ("metadata",),
    "group": ("folder", "parquet", "metadata", "webdataset"),
    "class_names": ("parquet", "metadata", "webdataset", "zip", "npz", "idx", "cifar", "gtsrb"),
}


class SplitRule(Section):
    """Splits that are drawn from the images of another one, because the source does not have them."""

    validation: Share | None = Field(None, description="share of each class that becomes validation")
    validation_from: Literal["train", "test"] = Field(
        "train",
        description="the images of which validation is a share; test: for published splits whose training images are"
        " all used, test keeps the rest",
    )
    test: Share | None = Field(None, description="share of each class that becomes test")
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="seed of the draw; it belongs to the source, so all recipes share the split"
    )

    stable: bool = Field(
        False, description="draw by each image's own hash: new images move no other, and shares are approximate"
    )

    @model_validator(mode="after")
    def _check_shares(self) -> SplitRule:
        if self.validation is None and self.test is None:
            raise ValueError("split draws nothing; add validation or test, a share between 0 and 1")
        if "validation_from" in self.model_fields_set and self.validation is None:
            raise ValueError("validation_from has no effect without validation; add it, a share between 0 and 1")
        if self.validation_from == "test" and self.test is not None:
            raise ValueError("validation_from: test needs test images of the source's own; remove test")
        if (self.validation or 0) + (self.test or 0) >= 1:
            raise ValueError("validation and test leave nothing for train; together they must be below 1")
        return self


class SourceSpec(Section):
    """The keys of a source's description; `name` is the name of its file, and `path` is absolute or a URI."""

    name: str
    kind: Kind = Field(description="the layout of the files; docs/bring-your-own-data.md shows each")
    path: str = Field(min_length=1, description="a folder or file, absolute or relative to the description; or a URI")
    licence: str = Field(min_length=1, description="licence of the images, as their owner states it; cards repeat it")
    origin: str | None = Field(
        None, min_length=1, description="where the files come from; a sentence about missing ones repeats it"
    )
    size: int | None = Field(None, ge=1, le=4096, description="side in pixels to which every image is resized")
    fit: Literal["crop", "pad", "stretch"] = Field(
        "crop",
        description="how to make images square: crop the middle, pad two sides with bars, or stretch; bicubic",
    )
    background: Literal["black", "white"] | Colour | None = Field(
        None, description="colour of transparent pixels and bars; without it transparent images are refused"
    )
    split: SplitRule | None = Field(None, description="draw the missing splits from train, or validation from test")
    group: str | None = Field(
        None,
        description="column of groups (patients, serial numbers); `subfolder` where they are folders within class"
        " folders. All images of a group get the same drawn split and the same fold where choices are cross-fitted, and"
        " are one draw in the verdict's intervals; a group in test and in another split is refused",
    )
    table: str | None = Field(
        None,
        pattern=r"^[^/\\]+\.(?i:csv|tsv|jsonl|parquet)$",
        description="file of the table, such as labels.csv, or `{split}.csv` for train.csv, val.csv and test.csv"
        " (metadata); null: metadata.csv, .jsonl or .parquet",
    )
    file_name: str = Field("file_name", description="column of the images' files (metadata)")
    split_column: str | None = Field(
        "split", description="column of the splits, if the table has it (metadata); null: it gives none"
    )
    image: str = Field("image", description="column of the images (parquet)")
    label: str = Field("label", description="column or key of the labels (parquet, metadata, webdataset, cifar)")
    class_names: Names | None = Field(None, description="names of the labels 0, 1, … if the files have none")
    allow_conflicts: bool = Field(
        False,
        description="go on although a picture has several labels in a split; without it that is refused",
    )
    skip_damaged: bool = Field(False, description="leave out images that cannot be decoded, and count them")
    skip_copies: bool = Field(
        False,
        description="leave out images of train and validation that a later split has too, and count them; without it"
        " that is refused",
    )

    @model_validator(mode="after")
    def _check_keys(self) -> SourceSpec:
        if self.fit != "crop" and self.size is None:
            raise ValueError(f"fit: {self.fit} has no effect without size; add size or remove fit")
        for key, kinds in KINDS_BY_KEY.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise ValueError(f"{key} has no effect with kind: {self.kind}; allowed with {', '.join(kinds)}")
        if self.kind == "folder" and self.group not in (None, SUBFOLDER):
            raise ValueError(f"group is {self.group}, and folders have no columns; allowed: {SUBFOLDER}")
        return self

    @property
    def root(self) -> Path:
        """The local folder or file; for a remote source see `remote.fetch_source`."""
        return Path(self.path)


def load_source_spec(path: Path) -> SourceSpec:
    """Read a source's description; a relative `path` starts at the file's folder. UserError for any mistake in it."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; expected the description of a source")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold keys such as 'kind:' and 'path:'; it holds {type(content).__name__}")
    if "name" in content:
        raise UserError(f"unknown key 'name' in {path}; a source has the name of its file")
    place: Any = content.get("path")
    if isinstance(place, str) and place and not is_remote(place):
        place = os.path.normpath(path.parent / place)
    try:
        return SourceSpec.model_validate(
            {**content, **({"path": place} if "path" in content else {}), "name": path.stem}
        )
    except ValidationError as error:
        raise UserError(explain(error, path, SourceSpec)) from None


def is_remote(path: str) -> bool:
    """Whether a source's path is a URI such as `s3://bucket/images`."""
    return "://" in path
