"""What is measured: a Stable Diffusion XL of full size with random weights, made on the device; nothing is downloaded.

Speed does not depend on what weights say. Pictures mean nothing, but they must not be insensitive: see `_calibrate`.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
)

ROOT = Path(__file__).parents[2]
NAME = "random"
TINY_VAE = "tiny-vae"
# As published checkpoints are stored: every precision that is compared starts from the same numbers.
STORED = torch.float16
SEED = 20260
LATENT_CHANNELS = 4

# The numbers of SDXL base 1.0: unet/config.json, vae/config.json, text_encoder/config.json, text_encoder_2/config.json and
# scheduler/scheduler_config.json of the checkpoint published as stabilityai/stable-diffusion-xl-base-1.0.
UNET: dict[str, Any] = {
    "sample_size": 128,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
UNET_PARAMETERS = 2_567_463_684
VAE: dict[str, Any] = {
    "sample_size": 1024,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": LATENT_CHANNELS,
    "norm_num_groups": 32,
    "scaling_factor": 0.13025,
    "force_upcast": True,
}
TEXT: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
TEXT_2: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
VOCABULARY = 49408
SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
# TAESD's numbers, for the setting with a tiny VAE.
TAESD: dict[str, Any] = {
    "encoder_block_out_channels": (64, 64, 64, 64),
    "decoder_block_out_channels": (64, 64, 64, 64),
    "num_encoder_blocks": (1, 3, 3, 3),
    "num_decoder_blocks": (3, 3, 3, 1),
}


def write(folder: Path, device: torch.device, *, is_tiny: bool) -> int:
    """A checkpoint `folder/random` and a VAE `folder/tiny-vae` in diffusers' layout; the UNet's count of parameters.

    Equal on every machine of one kind: the seed is fixed. Takes 7 GB for the full size.
    """
    scripts = _tiny_scripts()
    torch.manual_seed(SEED)
    pipeline = scripts.tiny_pipeline() if is_tiny else _full_pipeline(scripts, device)
    pipeline = pipeline.to(device)
    _calibrate(pipeline, device)
    # The dtype beside the device would warn on the CPU; the components take it quietly.
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2):
        part.to(STORED)
    pipeline.save_pretrained(folder / NAME)
    # Named, so that nobody waits for 7 GB to be hashed.
    (folder / NAME / "imagetron.json").write_text(json.dumps({"revision": f"random-{SEED}"}))
    (scripts.tiny_vae() if is_tiny else AutoencoderTiny(**TAESD)).to(STORED).save_pretrained(folder / TINY_VAE)
    return sum(parameter.numel() for parameter in pipeline.unet.parameters())


def _full_pipeline(scripts: ModuleType, device: torch.device) -> StableDiffusionXLPipeline:
    # Outside of the block: it computes its tables with numpy, on the CPU and in float32.
    scheduler = EulerDiscreteScheduler(**SCHEDULER)
    with _made_on(device, STORED):
        return StableDiffusionXLPipeline(
            unet=_sized(UNet2DConditionModel(**UNET), UNET_PARAMETERS),
            vae=AutoencoderKL(**VAE),
            text_encoder=CLIPTextModel(_text_config(scripts, TEXT)),
            text_encoder_2=CLIPTextModelWithProjection(_text_config(scripts, TEXT_2)),
            tokenizer=scripts._tokenizer("<|endoftext|>"),  # noqa: SLF001 the script beside us; sharing is the point
            tokenizer_2=scripts._tokenizer("!"),  # noqa: SLF001
            scheduler=scheduler,
            force_zeros_for_empty_prompt=True,
            add_watermarker=False,
        )


def _text_config(scripts: ModuleType, numbers: dict[str, Any]) -> CLIPTextConfig:
    """The full table of tokens, of which the hand-made tokenizer uses the first few hundred."""
    tokens = scripts._vocabulary()  # noqa: SLF001
    return CLIPTextConfig(
        vocab_size=VOCABULARY,
        bos_token_id=tokens["<|startoftext|>"],
        eos_token_id=tokens["<|endoftext|>"],
        pad_token_id=tokens["<|endoftext|>"],
        max_position_embeddings=77,
        **numbers,
    )


def _sized(unet: Any, parameters: int) -> Any:  # noqa: ANN401 torch has no types here
    found = sum(parameter.numel() for parameter in unet.parameters())
    if found != parameters:
        raise SystemExit(
            f"the UNet has {found:,} parameters; SDXL base 1.0 has {parameters:,}: diffusers builds another."
        )
    return unet


@torch.no_grad()
def _calibrate(pipeline: StableDiffusionXLPipeline, device: torch.device) -> None:
    """Scale both last convolutions so that rounding errors inside show in the pictures.

    Fresh weights predict next to nothing and paint an even grey: any two precisions would agree on that. A trained UNet
    predicts noise of deviation 1, and a picture's values spread over a quarter of their range.
    """
    unet, vae = pipeline.unet, pipeline.vae
    generator = torch.Generator("cpu").manual_seed(SEED)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device)

    config = unet.config
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    side = 32
    dtype = unet.dtype
    predicted = unet(
        noise(1, LATENT_CHANNELS, side, side).to(dtype),
        torch.tensor(500.0, device=device),
        encoder_hidden_states=noise(1, 77, config.cross_attention_dim).to(dtype),
        added_cond_kwargs={
            "text_embeds": noise(1, pooled).to(dtype),
            "time_ids": torch.full((1, 6), side * 8.0, device=device, dtype=dtype),
        },
    ).sample.float()
    _scale(unet.conv_out, predicted, wanted=1.0)
    vae.to(torch.float32)
    # Latents of random weights stay as large as the noise that they begin as: 14.6 with this schedule.
    latents = noise(1, LATENT_CHANNELS, side, side) * 14.6 / vae.config.scaling_factor
    _scale(vae.decoder.conv_out, vae.decode(latents).sample, wanted=0.5)


def _scale(conv: Any, made: torch.Tensor, wanted: float) -> None:  # noqa: ANN401
    conv.weight.mul_((wanted / made.std()).to(conv.weight.dtype))
    conv.bias.zero_()


@contextmanager
def _made_on(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Modules made in the block have their weights there, and no copy anywhere else."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def unet_flops(side: int) -> int:
    """Floating-point operations of the full UNet for one row of one step, counted on tensors without memory."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNET)
        inputs = torch.empty(1, LATENT_CHANNELS, side // 8, side // 8)
        text = torch.empty(1, 77, UNET["cross_attention_dim"])
        added = {"text_embeds": torch.empty(1, TEXT_2["projection_dim"]), "time_ids": torch.empty(1, 6)}
        timestep = torch.empty(())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet(inputs, timestep, encoder_hidden_states=text, added_cond_kwargs=added)
    return int(counter.get_total_flops())


def first_noise(seeds: list[int], width: int, height: int) -> torch.Tensor:
    """[seeds, 4, height / 8, width / 8] in float32, each row from its own seed: what the engine begins with too."""
    draw: Callable[[int], torch.Tensor] = lambda seed: torch.randn(  # noqa: E731
        (1, LATENT_CHANNELS, height // 8, width // 8), generator=torch.Generator("cpu").manual_seed(seed)
    )
    return torch.cat([draw(seed) for seed in seeds])


def _tiny_scripts() -> ModuleType:
    file = ROOT / "scripts" / "make_tiny_sdxl.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None  # noqa: S101 the file is in this repository
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
