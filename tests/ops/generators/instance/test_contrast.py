"""What the encoder learns from, and the scale of its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.generators.instance.contrast import (
    ContrastSteps,
    count_carrying,
    learn_encoder,
    make_view,
    standardise,
)
from ops.generators.instance.network import Encoder
from ops.machine.parallel import start_threads
from ops.recipe.instance import EncoderSettings
from ops.training.checkpoint import Checkpoints
from ops.training.contrast import find_nt_xent
from ops.training.loop import TrainingDiverged
from ops.training.terms import Terms


def make_images(count: int, channels: int = 1) -> Tensor:
    """Bright blobs of random places and widths, uint8 [n, C, 12, 12]."""
    rng = np.random.default_rng(0)
    (row, column), width = rng.uniform(3, 9, (2, count)), rng.uniform(2, 6, count)
    grid = np.arange(12)
    squares = [((grid - r) ** 2)[:, None] + (grid - c) ** 2 for r, c in zip(row, column, strict=True)]
    blobs = [255 * np.exp(-s / w) for s, w in zip(squares, width, strict=True)]
    return torch.from_numpy(np.stack(blobs).astype(np.uint8))[:, None].repeat(1, channels, 1, 1)


def build(features: int = 4, channels: int = 1) -> Encoder:
    torch.manual_seed(0)
    return Encoder((channels, 12, 12), widths=(8, 16), features=features).eval()


def test_views_follow_from_the_generator_stay_in_range_and_are_mirrored_only_on_request() -> None:
    images = make_images(64).float() / 127.5 - 1

    def view(flip: float, seed: int = 1) -> Tensor:
        return make_view(images, flip, torch.Generator().manual_seed(seed))

    assert torch.equal(view(0.0), view(0.0)) and not torch.equal(view(0.0), view(0.0, 2))
    assert view(0.0).abs().max() <= 1 and view(0.0).shape == images.shape
    same = (view(0.0) == view(1.0)).flatten(1).all(dim=1)
    assert not same.any(), "with flip: 1 every view is mirrored"


@pytest.mark.parametrize("channels", [1, 3])
def test_features_have_mean_0_variance_1_and_no_correlation_over_the_pool(channels: int) -> None:
    encoder, images = build(channels=channels), make_images(120, channels)
    with start_threads() as pool:
        features = standardise(encoder, images, pool, "cpu")
    assert features.shape == (120, 4) and features.mean(0).abs().max() < 1e-4
    assert torch.allclose(features.T @ features / 120, torch.eye(4), atol=1e-3)
    with torch.inference_mode():
        again = encoder.encode(images.float() / 127.5 - 1)
        before = encoder.see(images.float() / 127.5 - 1)
    assert torch.allclose(again, features, atol=1e-2), "the encoder itself is on this scale"
    # The first feature is the widest direction of what the encoder sees.
    centred = before - before.mean(0)
    widest = float(torch.linalg.svdvals(centred)[0]) / 120**0.5
    along = centred @ (encoder.whitening[:, 0] / encoder.whitening[:, 0].norm())
    assert float(along.square().mean().sqrt()) == pytest.approx(widest, rel=1e-3)


def test_a_pool_of_equal_images_has_finite_features() -> None:
    encoder = build()
    with start_threads() as pool:
        features = standardise(encoder, make_images(1).repeat(30, 1, 1, 1), pool, "cpu")
    assert features.isfinite().all() and encoder.whitening.isfinite().all()


def test_a_feature_that_hardly_varies_beside_the_widest_is_not_blown_up_and_is_told() -> None:
    class Narrow(Encoder):
        """Sees two numbers of ordinary spread and two that are rounding errors beside them."""

        def see(self, x: Tensor) -> Tensor:
            return super().see(x) * torch.tensor([1e3, 1e3, 1e-3, 1e-3] + [0.0] * (len(self.mean) - 4))

    torch.manual_seed(0)
    encoder = Narrow((1, 12, 12), widths=(8, 16), features=4).eval()
    with start_threads() as pool:
        features = standardise(encoder, make_images(100), pool, "cpu")
        whole = standardise(build(), make_images(100), pool, "cpu")
    assert count_carrying(features) == 2 and count_carrying(whole) == 4
    assert features[:, 2:].std(dim=0).max() < 0.1


def test_views_are_compared_in_fp32_whatever_they_are_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[bool]()

    def note(compared: Tensor, temperature: float) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return find_nt_xent(compared, temperature)

    monkeypatch.setattr("ops.generators.instance.contrast.find_nt_xent", note)
    steps = ContrastSteps(
        lambda x: x.flatten(1), make_images(6), EncoderSettings(batch_size=4), seed=0, precision="bf16"
    )
    assert torch.isfinite(steps(0)) and seen == [False]


def test_an_encoder_that_diverges_is_told_by_its_own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = EncoderSettings(steps=30, batch_size=4, warmup_steps=0, learning_rate=1e30)
    with (
        start_threads() as pool,
        pytest.raises(TrainingDiverged, match=r"lower the prior's encoder.learning_rate \(now"),
    ):
        terms = Terms(0, "fp32", pool, section="prior")
        learn_encoder(build().train(), settings, make_images(8), Checkpoints(tmp_path, 1), terms)
