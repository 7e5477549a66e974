"""Zero-shot CLIP: the probability of each class name for an image, by a network that was trained on captions.

Radford et al. 2021, §3.1.4: a class embedding is the mean of its prompts' normalised embeddings, normalised again. The
probabilities are the softmax, over classes, of the model's own temperature times the cosine with the image's embedding.
Nothing is trained on the dataset. CLIP is weak on small grey images, so its results for generated images must be
compared with those for real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.pretrained.differentiable import Channels, prepare
from ops.pretrained.loading import load_network, run_batches
from ops.pretrained.preprocessing import Preprocessing
from ops.pretrained.prompts import encode_prompts, find_limit, open_tokenizer, write_prompts
from ops.pretrained.validation import check_clip
from ops.recipe.pretrained import PROMPTS

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, eq=False)
class Clip:
    """An opened CLIP: network with both towers, tokenizer, and preprocessing.

    limit: how many tokens it reads. key: the recipe's section, for messages.
    """

    network: Any
    tokenizer: Tokenizer
    limit: int
    preprocessing: Preprocessing
    key: str

    def agreement(
        self,
        images: Tensor,
        class_names: Sequence[str],
        prompts: Sequence[str] = PROMPTS,
    ) -> np.ndarray:
        """Probabilities float32 [n, K] of the K classes for uint8 images [n, C, H, W], C of 1 or 3; rows sum to 1.

        `prompts` hold `{}` in place of the class name. UserError for names with equal words or a too long prompt.
        """
        classes = self.embed_classes(class_names, prompts)
        seen = run_batches(self._embed_images, images, self.preprocessing)
        return (self.scale * seen @ classes.T).softmax(dim=1).numpy()

    @property
    def scale(self) -> float:
        """The factor of cosines before the softmax: the inverse of the model's own temperature."""
        return float(self.network.logit_scale.detach().exp())

    def embed_classes(self, class_names: Sequence[str], prompts: Sequence[str] = PROMPTS) -> Tensor:
        """One normalised embedding per class, float32 [K, d]."""
        return self.embed_sentences(write_prompts(class_names, prompts, self.key))

    @torch.inference_mode()
    def embed_sentences(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """The same from each class's own sentences [K][prompts]."""
        embedded = torch.cat([self._embed_texts(row) for row in texts])
        return F.normalize(embedded.view(len(texts), len(texts[0]), -1).mean(dim=1), dim=1)

    def see(self, images: Tensor, mean: Channels = None, deviation: Channels = None) -> Tensor:
        """Normalised embeddings float32 [n, d] of images float [n, C, H, W] in 0..1, differentiable.

        As `ops.pretrained.differentiable.prepare` prepares them; for stored images these are the library's.
        """
        return self._embed_images(prepare(images, self.preprocessing, mean, deviation)).float()

    def _embed_texts(self, texts: Sequence[str]) -> Tensor:
        rows = encode_prompts(self.tokenizer, texts, self.limit, self.key)
        longest = max(map(len, rows))
        tokens = torch.tensor([row + row[-1:] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        found = self.network.get_text_features(input_ids=tokens, attention_mask=mask)
        return F.normalize(found.pooler_output.float(), dim=1).cpu()

    def _embed_images(self, x: Tensor) -> Tensor:
        return F.normalize(self.network.get_image_features(pixel_values=x).pooler_output, dim=1)


def open_clip(path: Path, *, key: str = "clip") -> Clip:
    """The CLIP in the folder `path`.

    Raises as `ops.pretrained.validation.check_clip` does, and UserError for a weight that is missing or of
    another size.
    """
    folder, preprocessing = check_clip(path, key)
    tokenizer = open_tokenizer(folder, key)
    network = load_network(folder, "CLIPModel", key).requires_grad_(False)
    return Clip(network, tokenizer, find_limit(folder), preprocessing, key)
