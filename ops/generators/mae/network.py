"""The masked autoencoder (He et al. 2022): an encoder of visible patches, a decoder of all places, and latents.

Its weights have the names of transformers' `ViTMAEForPreTraining`, and with equal ones it computes the same.

A latent is what the decoder reads: the class token and one token for each patch, [1 + L, D], before the embedding of
their places is added. In the place of a hidden patch there is the mask token. Where patches are normalised, a token
has two numbers more, the mean and the logarithm of the deviation of its patch in the image; so a latent is alone enough
to draw its image. Each number is standardised over images of the pool, at its own place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ops.generators.mae.frame import Padding, Resizing
from ops.generators.mae.patches import cut, join, measure
from ops.generators.mae.sizes import STATISTICS, find_grid, find_latent_shape
from ops.generators.mae.transformer import Layer, embed_places

SMALL = 0.02  # deviation of a new class or mask token


class PatchEmbeddings(nn.Module):
    """Patches to tokens."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.projection(x).flatten(2).transpose(1, 2)
        return tokens


class Embeddings(nn.Module):
    """The class token, patches, and the places of both."""

    position_embeddings: Tensor

    def __init__(self, network: dict[str, Any]) -> None:
        super().__init__()
        width, grid = network["hidden_size"], find_grid(network)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embeddings = PatchEmbeddings(network["num_channels"], network["patch_size"], width)
        self.register_buffer("position_embeddings", embed_places(grid, width))


def build_layers(network: dict[str, Any], half: str) -> tuple[nn.ModuleList, nn.LayerNorm]:
    """The layers of a half, whose keys begin with `half`, and the norm that follows them."""
    width, epsilon, bias = network[f"{half}hidden_size"], network["layer_norm_eps"], network["qkv_bias"]
    heads, inner = network[f"{half}num_attention_heads"], network[f"{half}intermediate_size"]
    count = network[f"{half}num_hidden_layers"]
    layers = nn.ModuleList(Layer(width, heads, inner, bias=bias, epsilon=epsilon) for _ in range(count))
    return layers, nn.LayerNorm(width, eps=epsilon)


class Encoder(nn.Module):
    """Images to tokens."""

    def __init__(self, network: dict[str, Any]) -> None:
        super().__init__()
        self.embeddings = Embeddings(network)
        self.layers, self.layernorm = build_layers(network, "")

    def forward(self, x: Tensor, kept: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        """Tokens [n, 1 + K, width] of images: of the patches `kept` int64 [n, K] alone, or of all, with some hidden,
        bool [n, L]."""
        places = self.embeddings.position_embeddings
        tokens = self.embeddings.patch_embeddings(x) + places[:, 1:]
        if kept is not None:
            tokens = tokens.gather(1, kept[:, :, None].expand(-1, -1, tokens.shape[2]))
        first = (self.embeddings.cls_token + places[:, :1]).expand(x.shape[0], -1, -1).to(tokens.dtype)
        tokens = torch.cat([first, tokens], dim=1)
        covered = None if hidden is None else torch.cat([torch.zeros_like(hidden[:, :1]), hidden], dim=1)
        for layer in self.layers:
            tokens = layer(tokens, covered)
        result: Tensor = self.layernorm(tokens)
        return result


class Decoder(nn.Module):
    """Tokens to what the decoder reads, and that to patches."""

    decoder_pos_embed: Tensor

    def __init__(self, network: dict[str, Any]) -> None:
        super().__init__()
        width = network["decoder_hidden_size"]
        self.decoder_embed = nn.Linear(network["hidden_size"], width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("decoder_pos_embed", embed_places(find_grid(network), width))
        self.decoder_layers, self.decoder_norm = build_layers(network, "decoder_")
        self.decoder_pred = nn.Linear(width, network["patch_size"] ** 2 * network["num_channels"])

    def place(self, tokens: Tensor, kept: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        """What is read, [n, 1 + L, width], of the encoder's tokens: the mask token where no patch was seen."""
        embedded: Tensor = self.decoder_embed(tokens)
        first, rest = embedded[:, :1], embedded[:, 1:]
        mask = self.mask_token.to(embedded.dtype)
        if kept is not None:
            empty = mask.expand(rest.shape[0], self.decoder_pos_embed.shape[1] - 1, -1)
            rest = empty.scatter(1, kept[:, :, None].expand(-1, -1, rest.shape[2]), rest)
        if hidden is not None:
            rest = torch.where(hidden[:, :, None], mask, rest)
        return torch.cat([first, rest], dim=1)

    def forward(self, read: Tensor) -> Tensor:
        """Patches [n, L, patch² · C]."""
        x = read + self.decoder_pos_embed
        for layer in self.decoder_layers:
            x = layer(x)
        patches: Tensor = self.decoder_pred(self.decoder_norm(x))[:, 1:]
        return patches


class Mae(nn.Module):
    """Both halves, the scale of their latents, and the frame between the dataset's images and the network's."""

    mean: Tensor
    spread: Tensor

    def __init__(self, network: dict[str, Any], frame: Padding | Resizing) -> None:
        super().__init__()
        self.vit, self.decoder, self.frame = Encoder(network), Decoder(network), frame
        self.patch, self.grid = int(network["patch_size"]), find_grid(network)
        self.normalised = bool(network["norm_pix_loss"])
        self.register_buffer("mean", torch.zeros(find_latent_shape(network)))
        self.register_buffer("spread", torch.ones(find_latent_shape(network)))

    @property
    def places(self) -> int:
        """How many patches an image has."""
        return self.grid[0] * self.grid[1]

    def rebuild(self, x: Tensor, kept: Tensor) -> Tensor:
        """Patches as the decoder predicts them, from the patches `kept` of the network's own images."""
        patches: Tensor = self.decoder(self.decoder.place(self.vit(x, kept), kept))
        return patches

    def find_target(self, x: Tensor) -> Tensor:
        """What the decoder is to predict of the network's own images."""
        patches = cut(x, self.patch)
        if not self.normalised:
            return patches
        mean, deviation = measure(patches)
        return (patches - mean) / deviation

    def read(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Latents, not standardised, of the dataset's images."""
        seen = self.frame.enter(x)
        tokens = self.decoder.place(self.vit(seen, hidden=hidden), hidden=hidden).float()
        if not self.normalised:
            return tokens
        mean, deviation = measure(cut(seen, self.patch))
        statistics = torch.cat([mean, deviation.log()], dim=2).float()
        first = statistics.new_zeros(x.shape[0], 1, STATISTICS)
        return torch.cat([tokens, torch.cat([first, statistics], dim=1)], dim=2)

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Latents float [n, 1 + L, D] of images [n, C, H, W] in -1..1; `hidden` patches, bool [n, L], are not seen."""
        return (self.read(x, hidden) - self.mean) / self.spread

    def decode(self, latent: Tensor) -> Tensor:
        """Images [n, C, H, W], not clamped, of latents; gradients pass through."""
        known = latent * self.spread + self.mean
        if not self.normalised:
            patches = self.decoder(known).float()
        else:
            statistics = known[:, 1:, -STATISTICS:]
            patches = (
                self.decoder(known[:, :, :-STATISTICS]).float() * statistics[:, :, 1:].exp() + statistics[:, :, :1]
            )
        return self.frame.leave(join(patches, self.patch, self.grid))


def initialise(mae: Mae) -> None:
    """New weights as published: matrices by Xavier's rule, the two tokens small."""
    for module in mae.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.flatten(1) if module.weight.ndim > 2 else module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(mae.vit.embeddings.cls_token, std=SMALL)
    nn.init.normal_(mae.decoder.mask_token, std=SMALL)


def build_mae(config: dict[str, Any]) -> Mae:
    """The network that a generator's config.json describes, newly initialised."""
    shape, network = (config["channels"], config["height"], config["width"]), config["network"]
    size, frame = network["image_size"], config["frame"]
    mae = Mae(network, Padding(shape, size) if frame is None else Resizing(shape, size, **frame))
    initialise(mae)
    return mae
