"""Check and identify a folder with a diffusion pipeline, in the layout of diffusers.

Nothing is downloaded, and only JSON, text and safetensors are opened. Each part must be of a class that is listed here,
so no code from the folder is run. To find a folder's identity every byte of the used files is read, once: a cache has
their hashes as long as the files do not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.hash_cache import HashCache
from ops.files.hashing import hash_file, hash_json
from ops.files.model_folders import check_weights, read_object, require_file, require_identity

INDEX = "model_index.json"
KEY = "generator"  # of the recipe's section, in messages

PIPELINES: Mapping[str, tuple[str, ...]] = {  # whose folder a kind can use
    "stable-diffusion": ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"),
    "unclip": ("StableUnCLIPImg2ImgPipeline",),
}
CONFIG = "config.json"
# The parts by name: the classes that they may have, and their files beside the weights. A scheduler may be any, since
# only the noise schedule is taken from it, and no solver. A tokenizer is one file or two.
_DIFFUSERS = "diffusion_pytorch_model"
_TRANSFORMERS = "model"
_CLASSES: Mapping[str, tuple[str, ...]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "safety_checker": ("StableDiffusionSafetyChecker",),
    "image_encoder": ("CLIPVisionModelWithProjection",),
    "image_normalizer": ("StableUnCLIPImageNormalizer",),
}
_WEIGHTS: Mapping[str, str] = {
    "unet": _DIFFUSERS,
    "vae": _DIFFUSERS,
    "text_encoder": _TRANSFORMERS,
    "safety_checker": _TRANSFORMERS,
    "image_encoder": _TRANSFORMERS,
    "image_normalizer": _DIFFUSERS,
}
_FILES: Mapping[str, tuple[str, ...]] = {
    "scheduler": ("scheduler_config.json",),
    "image_noising_scheduler": ("scheduler_config.json",),
    "feature_extractor": ("preprocessor_config.json",),
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "stable-diffusion": ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
    "unclip": (
        "unet",
        "vae",
        "text_encoder",
        "tokenizer",
        "scheduler",
        "feature_extractor",
        "image_encoder",
        "image_normalizer",
        "image_noising_scheduler",
    ),
}
LATENT_CHANNELS = 4  # by them diffusers' image-to-image tells a latent from an image
PREDICTIONS = ("epsilon", "v_prediction")  # what a unet may predict: the noise, or the velocity
CHECKER = ("safety_checker", "feature_extractor")  # parts that look at images


@dataclass(frozen=True)
class PipelineFolder:
    """The used contents of a folder.

    configs: of each part, the content of its JSON file. weights: of each part that has some, the file relative to
    `path`. files: all used files, in order.
    """

    path: Path
    kind: str
    configs: Mapping[str, dict[str, Any]]
    weights: Mapping[str, str]
    files: tuple[str, ...]

    @property
    def factor(self) -> int:
        """Pixels of a side for each place of a latent."""
        return int(2 ** (len(self.configs["vae"].get("block_out_channels", [0])) - 1))

    @property
    def side(self) -> int:
        """The side in pixels at which the pipeline draws by itself; DamagedData where it names none."""
        side = self.configs["unet"].get("sample_size")
        if not isinstance(side, int) or side < 1:
            raise DamagedData(f"{self.path / 'unet' / CONFIG} names no side (sample_size) of its images")
        return side * self.factor

    def hash_files(self, cache: HashCache | None = None) -> str:
        """sha256 hex over the names and contents of all used files: the folder's identity.

        cache: of this folder; a file that has not changed since it was hashed is not read again.
        """
        hashed = {
            name: hash_file(self.path / name) if cache is None else cache.hash_file(self.path, name)
            for name in self.files
        }
        if cache is not None:
            cache.save()
        return hash_json(hashed)


def read_pipeline(path: Path, kind: str, variant: str | None = None, *, checked: bool = True) -> PipelineFolder:
    """The contents of the folder `path` of a pipeline for `kind`; of the weights only the headers are read.

    checked: whether the safety checker will look at images. UserError for a folder of another pipeline, a part that is
    missing or of another class, and weights that are missing, a pickle, or in several files; DamagedData for a damaged
    file.
    """
    index = read_object(require_file(path, INDEX, KEY))
    found = index.get("_class_name")
    if found not in PIPELINES[kind]:
        raise UserError(
            f"{KEY}.model: {path} holds a pipeline of class {found!r}; kind: {kind} needs"
            f" {' or '.join(PIPELINES[kind])}"
        )
    names = [*_NEEDED[kind], *(CHECKER if kind == "stable-diffusion" and checked else ())]
    configs, weights, files = {}, {}, [INDEX]
    for name in names:
        _check_class(path, name, index.get(name), required_by=kind)
        if name == "tokenizer":
            files += _find_tokenizer(path / name)
            continue
        (config,) = _FILES.get(name, (CONFIG,))
        configs[name] = read_object(require_file(path / name, config, KEY))
        files.append(f"{name}/{config}")
        if name in _WEIGHTS:
            weights[name] = f"{name}/{_find_weights(path / name, _WEIGHTS[name], variant)}"
            files.append(weights[name])
    folder = PipelineFolder(path, kind, configs, weights, tuple(files))
    _require_fitting_parts(folder)
    return folder


def identify_pipeline(folder: PipelineFolder, sha256: str | None, cache: HashCache | None = None) -> str:
    """The folder's identity, which a recipe states as `sha256`; reads all weights that `cache` does not know.

    UserError, with the right value, if `sha256` is missing or different.
    """
    return require_identity(folder.path, folder.hash_files(cache), sha256, KEY)


def _check_class(path: Path, name: str, entry: Any, *, required_by: str) -> None:
    """UserError unless the index gives a part a class that is known, of a library and not of the folder."""
    if not isinstance(entry, list) or len(entry) != 2 or entry[1] is None:
        hint = f"; set {KEY}.safety_checker: false to draw without" if name in CHECKER else ""
        raise UserError(f"{KEY}.model: {path} has no {name}, which kind: {required_by} needs{hint}")
    library, found = entry
    if library not in ("diffusers", "transformers", "stable_diffusion"):
        raise UserError(
            f"{KEY}.model: {path / INDEX} takes {name} from {library!r}; code that lies in a folder is never run"
        )
    allowed = _CLASSES.get(name)
    if allowed is not None and found not in allowed:
        raise UserError(f"{KEY}.model: {name} of {path} is a {found}; allowed: {' or '.join(allowed)}")


def _require_fitting_parts(folder: PipelineFolder) -> None:
    """UserError for networks that cannot work together in this kind, such as those of inpainting."""
    unet, vae, text = (folder.configs[name] for name in ("unet", "vae", "text_encoder"))
    latent = vae.get("latent_channels", 4)
    if latent != LATENT_CHANNELS:
        raise UserError(
            f"{KEY}.model: the vae of {folder.path} has {latent} channels; kind: {folder.kind} needs {LATENT_CHANNELS}"
        )
    if (wanted := folder.configs["scheduler"].get("prediction_type", PREDICTIONS[0])) not in PREDICTIONS:
        raise UserError(
            f"{KEY}.model: the unet of {folder.path} predicts {wanted!r} (prediction_type of its scheduler); allowed:"
            f" {' and '.join(PREDICTIONS)}"
        )
    if unet.get("in_channels", 4) != latent or unet.get("out_channels", 4) != latent:
        raise UserError(
            f"{KEY}.model: the unet of {folder.path} takes {unet.get('in_channels')} channels and its vae has {latent};"
            f" kind: {folder.kind} needs equally many (one for inpainting or upscaling has more)"
        )
    if vae.get("in_channels", 3) != 3 or vae.get("out_channels", 3) != 3:
        raise UserError(f"{KEY}.model: the vae of {folder.path} does not draw images of 3 channels")
    if unet.get("cross_attention_dim") != text.get("hidden_size"):
        raise UserError(
            f"{KEY}.model: the unet of {folder.path} reads texts of {unet.get('cross_attention_dim')} numbers, and its"
            f" text_encoder writes {text.get('hidden_size')}"
        )
    if folder.kind == "unclip":
        seen = folder.configs["image_encoder"].get("projection_dim", 0)
        read = unet.get("projection_class_embeddings_input_dim")  # an embedding, and as many numbers on its noise
        if unet.get("class_embed_type") != "projection" or read != 2 * seen:
            raise UserError(
                f"{KEY}.model: the unet of {folder.path} does not read the {seen} numbers of its image_encoder"
            )


def _find_tokenizer(path: Path) -> list[str]:
    """The files of a tokenizer, relative to the folder of the pipeline; UserError where it asks for others."""
    words = ["tokenizer.json"] if (path / "tokenizer.json").is_file() else ["vocab.json", "merges.txt"]
    for name in (*words, "tokenizer_config.json"):
        require_file(path, name, KEY)
    if "fast_tokenizer_files" in read_object(path / "tokenizer_config.json"):
        raise UserError(
            f"{KEY}.model: {path / 'tokenizer_config.json'} names fast_tokenizer_files, and other files than"
            " tokenizer.json are never opened; remove this key"
        )
    more = [name for name in ("special_tokens_map.json", "added_tokens.json") if (path / name).is_file()]
    return [f"{path.name}/{name}" for name in ("tokenizer_config.json", *more, *words)]


def _find_weights(path: Path, stem: str, variant: str | None) -> str:
    """The file of a part's weights, whose header is read."""
    name = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    if not (path / name).is_file():
        pickles = sorted(file.name for file in path.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".ckpt"))
        others = sorted(file.name for file in path.iterdir() if file.suffix == ".safetensors")
        if others:
            raise UserError(
                f"{KEY}.model: the folder {path} has no {name}, but {others[0]}; set {KEY}.variant, or fetch the"
                " weights in one file"
            )
        if pickles:
            raise UserError(
                f"{KEY}.model: the folder {path} has no {name}; its {pickles[0]} is a pickle, which may run code and is"
                " never opened: fetch or convert the safetensors"
            )
    check_weights(require_file(path, name, KEY))
    return name
