"""Settings in variables: read as they are meant, and refused with their name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusion import BadOption, EngineOptions, classifier_from, options_from


def test_without_variables_the_defaults_hold():
    assert options_from({}, device="cpu") == EngineOptions(device="cpu")


def test_variables_are_read_as_they_are_meant():
    options = options_from(
        {
            "SDXL_DEVICE": "cpu",
            "SDXL_DTYPE": "bfloat16",
            "SDXL_VAE": "/vae",
            "SDXL_CHANNELS_LAST": "1",
            "SDXL_BATCH_SIZES": "2,4, 8",
            "SDXL_GUIDANCE_OFF_SHARE": "0.25",
            "SDXL_MEMORY_BYTES": "1000",
            "SDXL_WARM_UP_SIZES": "1024x1024, 1344x768",
            "SDXL_THREADS": " ",
        },
        threads=3,
    )

    assert options == EngineOptions(
        device="cpu",
        dtype="bfloat16",
        vae=Path("/vae"),
        channels_last=True,
        batch_sizes=(2, 4, 8),
        guidance_off_share=0.25,
        memory_bytes=1000,
        warm_up_sizes=((1024, 1024), (1344, 768)),
        threads=3,
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SDXL_DTYPE", "int8"),
        ("SDXL_COMPILE", "fast"),
        ("SDXL_CHANNELS_LAST", "yes"),
        ("SDXL_MEMORY_BYTES", "8 GB"),
        ("SDXL_WARM_UP_SIZES", "1024"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(variable, value):
    with pytest.raises(BadOption, match=variable):
        options_from({variable: value}, device="cpu")


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "plain", "fuse_qkv": True},
        {"compile": "default"},
        {"guidance_off_share": 1.5},
        {"batch_sizes": (4, 2)},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(BadOption):
        EngineOptions(device="cpu", **options)


@pytest.mark.parametrize(
    ("options", "overflows", "dtype"),
    [
        ({"dtype": "float16"}, True, torch.float32),
        ({"dtype": "float16"}, False, torch.float16),
        ({"dtype": "bfloat16"}, True, torch.bfloat16),
        ({"dtype": "bfloat16", "vae_dtype": "float32"}, True, torch.float32),
    ],
)
def test_the_vae_runs_in_a_type_that_it_does_not_overflow_in(options, overflows, dtype):
    assert EngineOptions(device="cpu", **options).vae_torch_dtype(overflows_in_float16=overflows) is dtype


def test_what_can_change_a_pixel_shows_in_the_traits():
    options = EngineOptions(device="cpu", dtype="bfloat16", fuse_qkv=True, guidance_off_share=0.2)

    assert options.traits == "cpu bfloat16 fuse_qkv guidance-off-0.2"


def test_a_classifier_is_made_from_a_file_or_a_module(tmp_path):
    file = tmp_path / "strict.py"
    file.write_text("class Strict:\n    def __call__(self, images):\n        return [False for _ in images]\n")
    images = np.zeros((2, 8, 8, 3), np.uint8)

    classifier = classifier_from(f"{file}:Strict")

    assert classifier is not None
    assert classifier(images) == [False, False]
    assert classifier_from("") is None
    assert classifier_from("collections:OrderedDict") == {}


@pytest.mark.parametrize("path", ["strict", "no.such.module:Class", "collections:Nothing", "/no/such/file.py:Class"])
def test_a_classifier_that_cannot_be_imported_is_named(path):
    with pytest.raises(BadOption, match="SDXL_CLASSIFIER is "):
        classifier_from(path)
