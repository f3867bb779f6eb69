"""Which files are networks, what they are told to be, and what an operator hears of those that are not."""

import pytest
import torch
from enlarging import BadSetting, Settings, load, settings_from
from enlarging.rrdb import RRDBNet
from networks import write
from safetensors.torch import save_file


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def on_cpu(file) -> Settings:
    return Settings(file, device="cpu", threads=1)


@pytest.mark.parametrize(("fold", "factor"), [(1, 4), (2, 2)])
def test_safetensors_of_a_published_kind_are_recognised_with_their_factor(tmp_path, fold, factor):
    file = tmp_path / "network.safetensors"
    save_file(RRDBNet(fold=fold, blocks=2, features=8, growth=4).state_dict(), file)

    assert load(on_cpu(file)).factor == factor


def test_torchscript_is_asked_for_its_factor(folder):
    assert load(on_cpu(folder / "twice.pt")).factor == 2


def test_the_fingerprint_tells_files_of_one_name_apart(folder):
    first = load(on_cpu(folder / "twice.pt")).fingerprint
    file = folder / "network.safetensors"
    fingerprints = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        save_file(RRDBNet(fold=1, blocks=1, features=8, growth=4).state_dict(), file)
        fingerprints.append(load(on_cpu(file)).fingerprint)

    assert len({first, *fingerprints}) == 3
    assert first.startswith("upscaler-1 twice@sha256:")


@pytest.mark.parametrize(
    ("name", "says"), [("words.pt", "neither TorchScript"), ("flat.pt", "must enlarge"), ("none.pt", "no such file")]
)
def test_a_file_that_is_no_upscaling_network_is_refused_with_its_name(folder, name, says):
    with pytest.raises(BadSetting, match=says) as refused:
        load(on_cpu(folder / name))

    assert name in str(refused.value)


@pytest.mark.parametrize("tensors", [{"weight": torch.zeros(1)}, "with one too few"])
def test_safetensors_of_another_network_are_refused(tmp_path, tensors):
    if isinstance(tensors, str):
        tensors = RRDBNet(fold=1, blocks=1, features=8, growth=4).state_dict()
        del tensors["conv_last.bias"]
    file = tmp_path / "other.safetensors"
    save_file(tensors, file)

    with pytest.raises(BadSetting, match="RRDBNet"):
        load(on_cpu(file))


def test_settings_come_from_variables():
    given = {"UPSCALER_WEIGHTS": "/weights/x4.safetensors", "UPSCALER_TILE": "64", "UPSCALER_DTYPE": "float16"}

    settings = settings_from(given | {"UPSCALER_OVERLAP": " "}, device="cpu")

    assert (settings.weights.name, settings.tile_pixels, settings.overlap) == ("x4.safetensors", 64, 32)
    assert (settings.torch_device.type, settings.torch_dtype) == ("cpu", torch.float16)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UPSCALER_WEIGHTS", ""),
        ("UPSCALER_TILE", "8"),
        ("UPSCALER_TILE", "large"),
        ("UPSCALER_OVERLAP", "-1"),
        ("UPSCALER_DTYPE", "int8"),
        ("UPSCALER_THREADS", "0"),
        ("UPSCALER_DEVICE", "abacus"),
    ],
)
def test_a_setting_that_cannot_be_is_named(variable, value):
    with pytest.raises(BadSetting, match=variable):
        load(settings_from({"UPSCALER_WEIGHTS": __file__, variable: value}))
