"""What a user should know about how a source is read: what is not read, and names that look like something else.

Nothing here is a fault. Each observation is a sentence for `growset init` and `growset inspect`; no image is opened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ops.sources.ambiguity import ASIDE, list_beside, name_some
from ops.sources.conversion import SUFFIXES
from ops.sources.grouping import find_group_column, find_shared
from ops.sources.layouts import PACKED_KINDS, metadata, npz
from ops.sources.layouts.arrays import list_arrays
from ops.sources.layouts.folder import find_class_folders, list_all, list_images, list_visible
from ops.sources.listing import find_split
from ops.sources.spec import SourceSpec
from ops.sources.table_splits import join_names
from ops.sources.tables import is_separated

WARNING = "warning: "  # begins a sentence about what is probably wrong
PACKED = (".zip", ".tar", ".gz", ".tgz", ".npz", ".7z", ".rar")
_LEFT_BEHIND = ("thumbs.db", "desktop.ini")  # by Windows, in lower case
_MASK = re.compile(r"(.+?)[ _-]*(?:mask|seg|segmentation|annotation|groundtruth|gt)(?:[ _-]*\d+)?", re.I)


def observe(spec: SourceSpec) -> list[str]:
    """Sentences about a source on this machine, which must be readable. Raises as its layout."""
    if spec.kind == "folder":
        folders = [folder for _, folder in find_class_folders(spec.root)]
        files = [path for folder in folders for path in list_all(folder)]
        beside = [f"{name} ({count} image{'s' * (count > 1)})" for name, count in list_beside(spec.root).items()]
        names = sorted({folder.name for folder in folders})
        return [
            *([f"not read: the folders beside those of the splits: {', '.join(beside)}"] if beside else []),
            *_observe_formats(files),
            *_observe_packed(spec.root),
            *_observe_names(names),
            *_observe_masks([path for path in files if path.suffix.lower() in SUFFIXES]),
        ]
    if spec.kind == "metadata":
        return [*_observe_tables(spec), *_observe_groups(spec), *_observe_packed(spec.root)]
    if spec.kind in PACKED_KINDS:
        count = len(list_images(spec.root)) if spec.root.is_dir() else 0
        beside = [f"not read: {count} image{'s' * (count > 1)} beside the archives"] if count else []
        return [*beside, *(_observe_arrays(spec) if spec.kind == "npz" else [])]
    return []


def _observe_formats(files: Iterable[Path]) -> list[str]:
    """Files in class folders that are no images by their suffix."""
    others = [path for path in files if path.suffix.lower() not in SUFFIXES and path.name.lower() not in _LEFT_BEHIND]
    counts = Counter(path.suffix.lower() or "without a suffix" for path in others)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return [f"not read: {told} in the class folders; images have the suffixes {', '.join(SUFFIXES)}"] if told else []


def _observe_packed(root: Path) -> list[str]:
    names = [path.name for path in list_visible(root) if path.suffix.lower() in PACKED and path.is_file()]
    return [f"not read: {name_some(names)} beside the folders"] if names else []


def _observe_names(names: list[str]) -> list[str]:
    """Classes that are called like splits or like masks."""
    found = {
        name: {split for word in re.findall("[a-z]+", name.lower()) if (split := find_split(word))} for name in names
    }
    like = [name for name, splits in found.items() if splits]
    aside = [name for name in names if name.lower() in ASIDE]
    told = []
    if len(set.union(set(), *found.values())) > 1:
        told.append(
            f"{WARNING}{name_some(like)} are read as classes, although they are called like splits; if they are splits,"
            " call them train, validation and test"
        )
    if aside:
        told.append(
            f"{WARNING}{name_some(aside)} {'is read as a class' if len(aside) == 1 else 'are read as classes'}, but"
            " masks and annotations often have such names; move what is no class out of the source"
        )
    return told


def _observe_masks(images: list[Path]) -> list[str]:
    """Images called `x_mask` that lie beside an image x."""
    stems = {(path.parent, path.stem) for path in images}
    masks = [path for path in images if (match := _MASK.fullmatch(path.stem)) and (path.parent, match[1]) in stems]
    if not masks:
        return []
    return [
        f"{WARNING}{len(masks)} images, such as {masks[0].name}, lie beside an image of that name and count as images"
        " of its class; if they are masks, keep them elsewhere"
    ]


def _observe_tables(spec: SourceSpec) -> list[str]:
    """Images that the table does not name, other tables, and what gives the splits."""
    tables, named = metadata.find_images(spec)
    told = []
    if "split_column" in spec.model_fields_set and spec.split_column is not None:
        told.append(f"the column {spec.split_column} gives the splits")
    used = sorted({table.name for table in tables.values()})
    if count := sum(path not in named for path in list_images(spec.root)):
        told.append(f"not used: {count} image{'s' * (count > 1)} that {', '.join(used)} does not name")
    names = [path.name for path in list_visible(spec.root) if is_separated(path) and path not in tables.values()]
    others = [name for name in names if join_names([used[0], name])]
    if others:
        told.append(
            f"not read: {', '.join(others)}; to read the tables as splits, set"
            f" `table: '{join_names([used[0], others[0]])}'`"
        )
    return told


def _observe_groups(spec: SourceSpec) -> list[str]:
    """A column of patients or the like that does not keep their images together."""
    frames = metadata.read_tables(spec)
    if (
        spec.group is not None
        or "train" not in frames
        or not (column := find_group_column(frames["train"], spec.label))
    ):
        return []
    if any(column not in frame.columns for frame in frames.values()):
        return []
    if shared := find_shared(metadata.list_splits(spec.model_copy(update={"group": column}))):
        return [
            f"{WARNING}images of one {column} lie in several splits (such as {sorted(shared)[0]}), which flatters the"
            f" result; with `group: {column}` a run refuses that"
        ]
    if spec.split is None:
        return []
    return [f"{WARNING}images of one {column} may be drawn into several splits; `group: {column}` keeps them together"]


def _observe_arrays(spec: SourceSpec) -> list[str]:
    """Arrays of the npz files that belong to no split."""
    used = {(file.path, file.member) for pair in npz.find_pairs(spec).values() for file in pair}
    paths = sorted({path for path, _ in used})
    others = [name for path in paths for name in list_arrays(path) if (path, f"{name}.npy") not in used]
    return [f"not read: the arrays {', '.join(others)}"] if others else []
