"""The usual alternative: diffusers' UNet2DModel with its defaults, and the training loop of diffusers' example.

The model works at full resolution in fp32, with the default two layers per block and the default attention in the
middle. Only its widths are adapted to small images; they are those of our network. The loop is PyTorch's usual one: a
Dataset that normalises one image at a time, a DataLoader, AdamW, clipped gradients and the mean squared error of DDPM's
noise. The example's decoding of PNG files and its moving average are left out, in favour of this side. The module does
not know Growset's training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DModel
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


def build_plain_unet() -> UNet2DModel:
    """The model for grey images of 28 x 28."""
    return UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 64),
        layers_per_block=2,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=8,
    )


class NormalisedImages(Dataset[Tensor]):
    """uint8 images [n, C, H, W], each scaled to -1..1 on access."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return (self.images[index].float() / 255 - 0.5) / 0.5


def train_plainly(model: nn.Module, images: Tensor, *, batch_size: int, loaders: int) -> Callable[[int], None]:
    """A function that trains for a further number of steps; `loaders`: worker processes of the DataLoader."""
    model.train()
    loader = DataLoader(
        NormalisedImages(images),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=loaders,
        persistent_workers=loaders > 0,
    )
    batches = _repeat(loader)
    scheduler = DDPMScheduler()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def go_on(steps: int) -> None:
        for _ in range(steps):
            batch = next(batches)
            noise = torch.randn_like(batch)
            times = torch.randint(0, scheduler.config["num_train_timesteps"], (len(batch),))
            predicted = model(scheduler.add_noise(batch, noise, times), times).sample
            loss = F.mse_loss(predicted, noise)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return go_on


def _repeat(loader: DataLoader[Tensor]) -> Iterator[Tensor]:
    while True:
        yield from loader
