"""The masked autoencoder against transformers' `ViTMAEForPreTraining`: same weights and mask, same numbers.

Without transformers these tests are left out.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ops.generators.mae.learning import Rating
from ops.generators.mae.masking import count_kept
from ops.generators.mae.network import Mae, build_mae
from ops.generators.mae.patches import cut, join
from ops.generators.mae.transformer import embed_places
from ops.generators.mae.weights import rename

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="the extra `clip` is not installed")

NETWORK: dict[str, Any] = {
    "image_size": [12, 12], "patch_size": 4, "num_channels": 3, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 24, "decoder_hidden_size": 8, "decoder_num_hidden_layers": 2,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 20, "qkv_bias": True, "layer_norm_eps": 1e-12,
    "norm_pix_loss": False,
}  # fmt: skip


def build_theirs(**changes: Any) -> Any:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    theirs = ViTMAEForPreTraining(ViTMAEConfig(**{**NETWORK, "image_size": 12, **changes})).eval()
    for name, value in theirs.named_parameters():
        if "pos" not in name:
            value.data.add_(0.2 * torch.randn(value.shape))  # no weight stays zero or one
    return theirs


def build_ours(weights: dict[str, Tensor], **changes: Any) -> Mae:
    ours = build_mae({"channels": 3, "height": 12, "width": 12, "network": {**NETWORK, **changes}, "frame": None})
    ours.load_state_dict({**ours.state_dict(), **weights})
    return ours.eval()


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("bias", [True, False])
def test_predictions_and_loss_are_those_of_transformers(normalise: bool, bias: bool) -> None:
    changes = {"norm_pix_loss": normalise, "qkv_bias": bias}
    theirs = build_theirs(**changes, mask_ratio=0.6)
    ours = build_ours(theirs.state_dict(), **changes)
    x, noise = torch.rand(5, 3, 12, 12) * 2 - 1, torch.rand(5, 9)
    kept = noise.argsort(dim=1)[:, : count_kept(0.6, 9)]
    with torch.inference_mode():
        expected = theirs(x, noise=noise)
        patches, loss = ours.rebuild(x, kept), Rating(ours, 0.0)(x, kept)
        encoded, hidden = theirs.vit(x, noise=noise), expected.mask.bool()
        torch.testing.assert_close(ours.vit(x, kept), encoded.last_hidden_state, atol=1e-5, rtol=0)
        torch.testing.assert_close(patches, expected.logits, atol=1e-5, rtol=0)
        assert float(loss.mean()) == pytest.approx(float(expected.loss), abs=1e-5)
        # Hidden from the attention instead of left out, as for variants.
        whole = ours.decoder(ours.decoder.place(ours.vit(x, hidden=hidden), hidden=hidden))
    torch.testing.assert_close(whole, expected.logits, atol=1e-5, rtol=0)


def test_patches_and_places_are_those_of_transformers() -> None:
    from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

    theirs, x = build_theirs(), torch.rand(2, 3, 12, 12)
    assert torch.equal(cut(x, 4), theirs.patchify(x))
    assert torch.equal(join(cut(x, 4), 4, (3, 3)), theirs.unpatchify(cut(x, 4)))
    for grid in ((3, 3), (2, 5)):  # rows come first in their function, and columns in published weights
        rows, columns = build_2d_sinusoidal_position_embedding(*grid, 16, cls_token=True).chunk(2, dim=1)
        torch.testing.assert_close(embed_places(grid, 16)[0], torch.cat([columns, rows], dim=1))


def test_our_weights_open_there_and_a_folder_s_weights_here(tmp_path: Path) -> None:
    from transformers import ViTMAEForPreTraining

    ours = build_mae({"channels": 3, "height": 12, "width": 12, "network": NETWORK, "frame": None}).state_dict()
    theirs = build_theirs()
    own = {name: value for name, value in ours.items() if name not in ("mean", "spread")}
    theirs.load_state_dict(own)  # strict
    theirs.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert stored.keys() != own.keys(), "folders keep the former names"
    assert {rename(name) for name in stored} == own.keys()
    assert all(torch.equal(value, own[rename(name)]) for name, value in stored.items())
    again = ViTMAEForPreTraining.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(again[name], value) for name, value in own.items())
