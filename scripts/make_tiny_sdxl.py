#!/usr/bin/env python3
"""Make tiny Stable Diffusion XL checkpoints with random weights: the real classes, a second of work, nothing to download.

    .venv/sdxl/bin/python scripts/make_tiny_sdxl.py FOLDER... [--seed 1] [--tiny-vae]

What they paint means nothing. They are for tests and for trying the server out on a machine without a GPU.
"""

import argparse
import json
import string
import tempfile
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

WIDTH = 32
TIME_NUMBERS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="one for each checkpoint")
    parser.add_argument("--seed", type=int, default=1, help="of the first one's weights; the next has the next")
    parser.add_argument("--tiny-vae", action="store_true", help="tiny VAEs of TAESD's kind instead of checkpoints")
    arguments = parser.parse_args()
    for seed, folder in enumerate(arguments.folders, start=arguments.seed):
        torch.manual_seed(seed)
        made = tiny_vae() if arguments.tiny_vae else tiny_pipeline()
        made.save_pretrained(folder)


def tiny_vae() -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    )


def tiny_pipeline() -> StableDiffusionXLPipeline:
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_NUMBERS,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=WIDTH + 6 * TIME_NUMBERS,
        cross_attention_dim=2 * WIDTH,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=0.13025,
        force_upcast=True,
        sample_size=256,
    )
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(_text_config("quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(_text_config("gelu")),
        tokenizer=_tokenizer("<|endoftext|>"),
        tokenizer_2=_tokenizer("!"),
        unet=unet,
        # As SDXL's own.
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )


def _vocabulary() -> dict[str, int]:
    letters = [character for character in string.printable if not character.isspace()]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def _tokenizer(padding: str) -> CLIPTokenizer:
    """One token for each character: a vocabulary without merges."""
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocabulary.write_text(json.dumps(_vocabulary()))
        merges.write_text("#version: 0.2\n")
        return CLIPTokenizer(str(vocabulary), str(merges), pad_token=padding, model_max_length=77)


def _text_config(activation: str) -> CLIPTextConfig:
    vocabulary = _vocabulary()
    return CLIPTextConfig(
        vocab_size=len(vocabulary),
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_attention_heads=4,
        num_hidden_layers=3,
        projection_dim=WIDTH,
        hidden_act=activation,
        max_position_embeddings=77,
    )


if __name__ == "__main__":
    main()
