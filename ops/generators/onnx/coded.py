"""Draw variants from a sampler that was exported in two halves: each seed image is encoded once, each variant decoded.

`content.onnx` turns a seed image into codes, which depend on nothing else; `decoder.onnx` turns codes and noise into a
variant. A set's rows are in the order of their seed images, so few codes need to be kept at a time.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnxruntime as ort

from ops.generators.drawers import SamplerInfo, draw_in_parts
from ops.generators.feeds import IMAGE, NOISE, Feeds, count_rows
from ops.generators.folder import CONTENT, DECODER
from ops.generators.onnx.engine import OnnxFile, choose_provider, load_session

KEPT = 64  # seed images whose codes are kept

Codes = dict[str, np.ndarray]
"""What the decoder takes beside noise, by its name there: arrays without a dimension for rows."""


@dataclass(frozen=True)
class CodedFile:
    """A sampler beside whose file its halves lie, as a `DrawerSpec`."""

    path: Path
    uses_torch: ClassVar[bool] = False

    def read_info(self) -> SamplerInfo:
        """The sampler's metadata; raises as `OnnxFile.read_info`."""
        return OnnxFile(self.path).read_info()

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        return choose_provider(wanted, allow_fallback=allow_fallback)

    def open(self, provider: str, batch_size: int) -> CodedDrawer:
        return CodedDrawer(self.path, provider=provider, batch_size=batch_size)


class CodedDrawer:
    """The two loaded halves, a `Drawer`. Images are encoded one by one, and variants decoded in padded batches.

    Several threads may share the sessions if each has its own drawer (`with_batch_size`).
    """

    def __init__(self, path: Path, *, provider: str = "cpu", batch_size: int = 64) -> None:
        self.info, self.batch_size = CodedFile(path).read_info(), batch_size
        self._provider = provider
        self._encoder = _load(path.parent / CONTENT, provider, 1)
        self._decoder = _load(path.parent / DECODER, provider, batch_size)
        self._names = [output.name for output in self._encoder.get_outputs()]
        self._codes: OrderedDict[bytes, Codes] = OrderedDict()

    def with_batch_size(self, batch_size: int) -> CodedDrawer:
        """The same sessions with codes of its own; ValueError on CUDA, where the size is part of the session."""
        if self._provider != "cpu":
            raise ValueError("the batch size of a CUDA session is fixed when it is opened")
        other = copy.copy(self)
        other.batch_size, other._codes = batch_size, OrderedDict()
        return other

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Variants uint8 [n, H, W, C]; ValueError for other inputs."""
        return draw_in_parts(self.info, feeds, self.batch_size, self._draw_part)

    def _draw_part(self, feeds: Feeds) -> np.ndarray:
        """Up to one batch."""
        count, found = count_rows(feeds), [self._encode(image) for image in feeds[IMAGE]]
        padding = self.batch_size - count
        given = {NOISE: np.pad(feeds[NOISE], ((0, padding), (0, 0), (0, 0), (0, 0)))}
        for name in self._names:
            given[name] = np.stack([codes[name] for codes in found + found[-1:] * padding])
        (variants,) = self._decoder.run(None, given)
        images: np.ndarray = variants[:count]
        return images

    def _encode(self, image: np.ndarray) -> Codes:
        """The codes of one image [H, W, C], from memory if it was among the last ones."""
        key = image.tobytes()
        codes = self._codes.pop(key, None)
        if codes is None:
            found = self._encoder.run(self._names, {IMAGE: image[None]})
            codes = {name: code[0] for name, code in zip(self._names, found, strict=True)}
            if len(self._codes) >= KEPT:
                self._codes.popitem(last=False)
        self._codes[key] = codes
        return codes


def _load(path: Path, provider: str, batch_size: int) -> ort.InferenceSession:
    return load_session(path, provider, batch_size=batch_size if provider == "cuda" else None)
