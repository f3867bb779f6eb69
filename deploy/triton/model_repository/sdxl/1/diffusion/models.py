"""A checkpoint in memory: tokenizers, text encoders, UNet, VAE, set up as the options say. Loading touches no network."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, StableDiffusionXLPipeline
from diffusers.models.attention_processor import AttnProcessor
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from torch.nn import Module
from transformers.utils import logging as transformers_logging

from .checkpoints import Checkpoint
from .failures import Unavailable
from .options import EngineOptions
from .prompts import Prompts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Models:
    checkpoint: Checkpoint
    prompts: Prompts
    unet: Any
    vae: Any
    scheduler: Any
    """The checkpoint's own; never stepped, only its configuration is copied."""
    predict: Callable[..., Any] = field(repr=False)
    """The UNet's forward pass, compiled where the options say so."""
    decode: Callable[[torch.Tensor], torch.Tensor] = field(repr=False)
    """Latents to pixels from -1 to 1, compiled where the options say so."""

    def to_latents(self, pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Pixels (-1 to 1) of one row to latents as the UNet knows them; the VAE's draw comes from `generator`."""
        encoded = self.vae.encode(pixels.to(self.vae.device, self.vae.dtype))
        drawn = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample(generator)
        mean, deviation = self._statistics(drawn)
        return (drawn - mean) * self.vae.config.scaling_factor / deviation

    def to_pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents of one row as the UNet left them to uint8 [height, width, 3] on the CPU."""
        mean, deviation = self._statistics(latents)
        latents = latents * deviation / self.vae.config.scaling_factor + mean
        pixels = self.decode(latents.to(self.vae.dtype))[0].float()
        return (pixels / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu()

    def _statistics(self, like: torch.Tensor) -> tuple[torch.Tensor | float, torch.Tensor | float]:
        config = self.vae.config
        mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is None or deviation is None:
            return 0.0, 1.0
        return like.new_tensor(mean).view(1, -1, 1, 1), like.new_tensor(deviation).view(1, -1, 1, 1)


def load(checkpoint: Checkpoint, options: EngineOptions) -> Models:
    """Read the weights and set them up. Unavailable if they cannot be read; running out of memory is passed on."""
    _quieten()
    try:
        pipeline = _pipeline(checkpoint, options)
        if options.vae is not None:
            pipeline.vae = _other_vae(options)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        log.exception("loading the checkpoint %s failed", checkpoint.name)
        raise Unavailable(
            f"The checkpoint {checkpoint.name} cannot be loaded ({type(error).__name__}); the server's log says why."
        ) from error
    _check(checkpoint, pipeline)
    unet = _prepared(pipeline.unet, options.torch_dtype, options)
    overflows = bool(getattr(pipeline.vae.config, "force_upcast", False))
    vae = _prepared(pipeline.vae, options.vae_torch_dtype(overflows_in_float16=overflows), options)
    if options.attention == "plain":
        unet.set_attn_processor(AttnProcessor())
    if options.fuse_qkv:
        unet.fuse_qkv_projections()
        if isinstance(vae, AutoencoderKL):
            vae.fuse_qkv_projections()
    predict, decode = _forward(unet, vae, options)
    return Models(
        checkpoint=checkpoint,
        prompts=Prompts(
            [pipeline.tokenizer, pipeline.tokenizer_2],
            [
                _prepared(encoder, options.torch_dtype, options)
                for encoder in (pipeline.text_encoder, pipeline.text_encoder_2)
            ],
            is_empty_zero=pipeline.config.force_zeros_for_empty_prompt,
            capacity=options.prompt_cache,
        ),
        unet=unet,
        vae=vae,
        scheduler=pipeline.scheduler,
        predict=predict,
        decode=decode,
    )


def _quieten() -> None:
    """Progress bars and advice of the libraries do not belong into a server's log."""
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


def _pipeline(checkpoint: Checkpoint, options: EngineOptions) -> StableDiffusionXLPipeline:
    common = {"dtype": options.torch_dtype, "local_files_only": True, "add_watermarker": False}
    if checkpoint.is_single_file:
        return StableDiffusionXLPipeline.from_single_file(
            str(checkpoint.path), config=str(checkpoint.components), **common
        )
    return StableDiffusionXLPipeline.from_pretrained(
        checkpoint.path, variant=checkpoint.settings.variant or None, use_safetensors=True, **common
    )


def _other_vae(options: EngineOptions) -> Module:
    kind = (
        AutoencoderTiny
        if AutoencoderTiny.load_config(options.vae)["_class_name"] == "AutoencoderTiny"
        else AutoencoderKL
    )
    return kind.from_pretrained(options.vae, dtype=options.torch_dtype, local_files_only=True, use_safetensors=True)


def _check(checkpoint: Checkpoint, pipeline: StableDiffusionXLPipeline) -> None:
    if pipeline.text_encoder is None or pipeline.tokenizer is None:
        raise Unavailable(f"The checkpoint {checkpoint.name} has one text encoder: refiners cannot begin pictures.")
    if pipeline.unet.config.time_cond_proj_dim is not None:
        raise Unavailable(
            f"The UNet of the checkpoint {checkpoint.name} takes guidance as an input, which is not supported."
        )
    if not checkpoint.settings.scheduler and pipeline.scheduler.order != 1:
        raise Unavailable(
            f"The scheduler of the checkpoint {checkpoint.name} calls the UNet twice in a step, which is not supported: "
            "name another one in its settings."
        )


def _prepared(module: Module, dtype: torch.dtype, options: EngineOptions) -> Module:
    module = module.requires_grad_(False).eval().to(options.torch_device, dtype)  # noqa: FBT003 torch's own name for it
    return module.to(memory_format=torch.channels_last) if options.channels_last else module


def _forward(unet: Module, vae: Module, options: EngineOptions) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def decode(latents: torch.Tensor) -> torch.Tensor:
        pixels: torch.Tensor = vae.decode(latents, return_dict=False)[0]
        return pixels

    if options.compile == "none":
        return unet, decode
    # One compiled version for each size and batch; with torch's default of 8 the rest would silently run uncompiled.
    torch._dynamo.config.recompile_limit = 128  # noqa: SLF001 there is no public name
    return (
        torch.compile(unet, mode=options.compile, fullgraph=True, dynamic=False),
        torch.compile(decode, mode=options.compile, fullgraph=True, dynamic=False),
    )
