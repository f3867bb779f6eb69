"""The folder of checkpoints: what is found in it, and what is said about what cannot be used."""

import json
import shutil

import pytest
import torch
from diffusion import Catalogue, Failed, Order, Picture, Refused
from diffusion.failures import Unavailable

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16


@pytest.fixture
def folder(checkpoints, tmp_path):
    """A checkpoint of a test's own, to be spoilt."""
    shutil.copytree(checkpoints / "one", tmp_path / "mine")
    return tmp_path


def complaint(folder, name="mine") -> str:
    with pytest.raises(Unavailable) as unavailable:
        Catalogue(folder).find(name).size_bytes(FLOAT32)
    return str(unavailable.value)


def test_checkpoints_are_listed_in_order_and_other_folders_are_not(checkpoints, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "lonely.safetensors").touch()
    shutil.copytree(checkpoints / "one", tmp_path / "zebra")
    shutil.copytree(checkpoints / "one", tmp_path / "ant")

    assert Catalogue(tmp_path).names() == ["ant", "zebra"]
    assert Catalogue(tmp_path / "missing").names() == []


def test_a_checkpoint_that_is_mounted_later_is_found_later(checkpoints, tmp_path):
    catalogue = Catalogue(tmp_path)
    with pytest.raises(Unavailable, match="The checkpoint late is not on this server; there are: none"):
        catalogue.find("late")

    shutil.copytree(checkpoints / "one", tmp_path / "late")

    assert catalogue.find("late").name == "late"


@pytest.mark.parametrize("name", [" ", "../one", "a/b", ".hidden", "x" * 65, "é"])
def test_what_is_no_name_is_refused_and_never_looked_for(checkpoints, name):
    with pytest.raises(Refused, match="CHECKPOINT is "):
        Catalogue(checkpoints).find(name)


def test_the_size_is_that_of_the_weights_in_memory(checkpoints):
    checkpoint = Catalogue(checkpoints).find("one")
    files = sum(file.stat().st_size for file in (checkpoints / "one").rglob("*.safetensors"))

    assert 0.9 * files < checkpoint.size_bytes(FLOAT32) < files, "files have headers besides"
    assert checkpoint.size_bytes(BFLOAT16) == checkpoint.size_bytes(FLOAT32) // 2


def test_the_identity_follows_the_weights(checkpoints, folder):
    one, same = Catalogue(checkpoints).find("one"), Catalogue(folder).find("mine")
    assert one.identity.removeprefix("one@") == same.identity.removeprefix("mine@")
    assert one.identity != Catalogue(checkpoints).find("two").identity.replace("two", "one")


def test_a_revision_that_is_stated_takes_the_place_of_the_digest(folder):
    (folder / "mine" / "imagetron.json").write_text(json.dumps({"revision": "v9"}))

    assert Catalogue(folder).find("mine").identity == "mine@v9"


def test_the_default_scheduler_and_the_ban_of_guidance_come_from_the_settings(folder, new_engine):
    engine = new_engine(folder=folder)
    values = {"checkpoint": "mine", "prompt": "a cat", "seeds": (1,), "width": 64, "height": 64, "steps": 2}
    [own] = engine.render([Order(guidance=0.0, scheduler="euler-a", **values)])
    (folder / "mine" / "imagetron.json").write_text(json.dumps({"scheduler": "euler-a", "guidance": False}))

    turbo = new_engine(folder=folder)
    fast, refused = turbo.render([Order(guidance=0.0, **values), Order(guidance=7.0, **values)])

    assert fast.images.tobytes() == own.images.tobytes()
    assert refused.code == "INVALID_ARGUMENT"
    assert refused.sentence == "GUIDANCE is 7; the checkpoint mine was made to run without: send 0."
    turbo.warm_up("mine")


@pytest.mark.parametrize(
    ("settings", "complains"),
    [
        ('{"scheduler": "magic"}', "SCHEDULER is 'magic'"),
        ('{"guidance": "no"}', "may say scheduler (str), guidance (bool)"),
        ('{"colour": "red"}', "and nothing else"),
        ("{", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_understood_are_named(folder, settings, complains):
    (folder / "mine" / "imagetron.json").write_text(settings)

    assert "mine (imagetron.json)" in complaint(folder)
    assert complains in complaint(folder)


def test_a_folder_with_a_missing_part_says_which(folder):
    (folder / "mine" / "unet" / "diffusion_pytorch_model.safetensors").unlink()

    assert "has no unet/diffusion_pytorch_model.safetensors" in complaint(folder)


def test_another_kind_of_pipeline_is_not_taken_for_this_one(folder):
    (folder / "mine" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')

    assert complaint(folder) == "The checkpoint mine is a FluxPipeline, no Stable Diffusion XL."


def test_a_single_file_needs_a_folder_with_configurations(folder):
    (folder / "file.safetensors").touch()

    assert "must name, as `components`, a folder" in complaint(folder, "file")


def test_weights_that_are_broken_make_the_checkpoint_unavailable_and_not_the_engine(folder, checkpoints, new_engine):
    shutil.copytree(checkpoints / "two", folder / "two")
    for file in (folder / "mine").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-1000])
    order = {"prompt": "a cat", "seeds": (1,), "width": 64, "height": 64, "steps": 1, "guidance": 0.0}

    broken, fine = new_engine(folder=folder).render([Order("mine", **order), Order("two", **order)])

    assert broken.code == "UNAVAILABLE"
    assert isinstance(fine, Picture)


def test_warming_up_what_is_not_there_says_so(new_engine):
    with pytest.raises(Failed, match="The checkpoint none is not on this server"):
        new_engine().warm_up("none")


def test_files_with_the_name_of_a_variant_are_read_where_the_settings_say_so(folder, new_engine):
    for file in (folder / "mine").rglob("*.safetensors"):
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    (folder / "mine" / "imagetron.json").write_text('{"variant": "fp16"}')

    new_engine(folder=folder).warm_up("mine")
