"""What the engine promises for each order, whatever shares its batch."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from diffusion import Failure, Order, Picture, schedulers
from PIL import Image

SOURCE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def distance(one: np.ndarray, two: np.ndarray) -> int:
    """The largest difference of any two values, of 255."""
    return int(np.abs(one.astype(int) - two.astype(int)).max())


def pictures(engine, orders: list[Order], **callbacks) -> list[np.ndarray]:
    outcomes = engine.render(orders, **callbacks)
    assert all(isinstance(outcome, Picture) for outcome in outcomes), outcomes
    return [outcome.images for outcome in outcomes]


@contextmanager
def models_of(engine, name="one"):
    with engine.shelf.borrowed(name, 0, lambda: pytest.fail("not in memory")) as models:
        yield models


@contextmanager
def before_each_unet_call(engine, hook):
    """`hook` hears how many rows the UNet gets each time, and may raise what a device would."""
    with models_of(engine) as models:
        handle = models.unet.register_forward_pre_hook(lambda _module, inputs: hook(len(inputs[0])))
        try:
            yield
        finally:
            handle.remove()


@pytest.fixture(scope="session")
def plain(checkpoints):
    """Diffusers' own pipeline on the same weights."""
    from_text = StableDiffusionXLPipeline.from_pretrained(checkpoints / "one", add_watermarker=False)
    from_image = StableDiffusionXLImg2ImgPipeline(**from_text.components, add_watermarker=False)
    own = from_text.scheduler

    def run(order: Order) -> np.ndarray:
        pipeline = from_text if order.source is None else from_image
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = schedulers.make(order.scheduler, own, order.steps)
        size = {"width": order.width, "height": order.height}
        begin = size if order.source is None else {"image": Image.fromarray(order.source), "strength": order.strength}
        made = [
            pipeline(
                prompt=order.prompt,
                negative_prompt=order.negative_prompt or None,
                num_inference_steps=order.steps,
                guidance_scale=order.guidance,
                generator=torch.Generator().manual_seed(seed),
                output_type="np",
                **begin,
            ).images[0]
            for seed in order.seeds
        ]
        return (np.stack(made) * 255).round().astype(np.uint8)

    return run


@pytest.mark.parametrize("scheduler", ["", *schedulers.NAMES])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"negative_prompt": "clouds"},
        {"guidance": 0.0},
        {"source": SOURCE, "strength": 0.6},
    ],
    ids=["guided", "negative prompt", "without guidance", "image to image"],
)
def test_pictures_are_those_of_diffusers_own_pipeline(engine, an_order, plain, scheduler, changes):
    order = an_order(scheduler=scheduler, seeds=(7, 8), **changes)

    [images] = pictures(engine, [order])

    assert distance(images, plain(order)) <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": (8,)},
        {"prompt": "something else entirely"},
        {"negative_prompt": "clouds"},
        {"guidance": 20.0},
        {"steps": 3},
        {"scheduler": "euler-a"},
        {"checkpoint": "two"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_word_of_an_order_moves_the_picture(engine, an_order, changes):
    """Else the comparisons with a tolerance would compare nothing."""
    [usual], [other] = pictures(engine, [an_order()]), pictures(engine, [an_order(**changes)])

    assert distance(usual, other) > 1


def test_the_same_order_gives_the_same_bytes(engine, new_engine, an_order):
    [first], [second] = pictures(engine, [an_order()]), pictures(new_engine(), [an_order()])

    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("scheduler", schedulers.NAMES)
def test_a_row_of_a_batch_is_what_it_is_alone(engine, an_order, scheduler):
    orders = [
        an_order(scheduler=scheduler),
        an_order(scheduler=scheduler, seeds=(8,), guidance=3.0),
        an_order(scheduler=scheduler, prompt="a cat", negative_prompt="a dog"),
    ]
    alone = [pictures(engine, [order])[0] for order in orders]
    seen: list[int] = []

    with before_each_unet_call(engine, seen.append):
        together = pictures(engine, orders)

    assert seen == [6] * 6, "three orders, both halves of guidance, six steps"
    assert max(distance(a, b) for a, b in zip(alone, together, strict=True)) <= 1


def test_several_images_of_one_order_are_the_ones_that_their_seeds_give_alone(engine, an_order):
    [together] = pictures(engine, [an_order(seeds=(7, 8, 9))])

    alone = np.concatenate([pictures(engine, [an_order(seeds=(seed,))])[0] for seed in (7, 8, 9)])
    assert together.shape == (3, 64, 96, 3)
    assert distance(together, alone) <= 1


def test_orders_that_differ_in_size_steps_or_guidance_do_not_share_a_batch_and_are_all_made(engine, an_order):
    orders = [an_order(), an_order(width=64), an_order(steps=4), an_order(guidance=1.0), an_order(checkpoint="two")]

    together = pictures(engine, orders)

    for order, image in zip(orders, together, strict=True):
        assert image.tobytes() == pictures(engine, [order])[0].tobytes()


def test_a_batch_holds_no_more_pixels_than_the_option_says(new_engine, an_order):
    engine = new_engine(max_batch_pixels=2 * 96 * 64)
    engine.warm_up("one")
    seen: list[int] = []

    with before_each_unet_call(engine, seen.append):
        pictures(engine, [an_order(seeds=(seed,)) for seed in range(5)])

    assert seen == [4] * 6 + [4] * 6 + [2] * 6


@pytest.mark.parametrize("scheduler", ["euler", "euler-a", "dpm++2m-karras", "dpm++2m-sde-karras", "unipc", "lcm"])
def test_a_cancelled_order_leaves_at_the_next_step_and_its_mates_get_their_own_pictures(engine, an_order, scheduler):
    orders = [an_order(scheduler=scheduler, seeds=(seed, seed + 10), steps=8) for seed in range(3)]
    alone = [pictures(engine, [order])[0] for order in orders]
    rows: list[int] = []
    told: list[tuple[int, int]] = []

    with before_each_unet_call(engine, rows.append):
        first, second, third = engine.render(
            orders,
            on_step=lambda index, step, _steps: told.append((index, step)),
            is_cancelled=lambda index: index == 1 and len(rows) >= 3,
        )

    assert second == Failure("CANCELLED", "The request was cancelled.")
    assert rows == [12] * 3 + [8] * 5
    assert max(step for index, step in told if index == 1) == 2
    assert distance(first.images, alone[0]) <= 1
    assert distance(third.images, alone[2]) <= 1


def test_a_batch_whose_orders_are_all_cancelled_stops(engine, an_order):
    rows: list[int] = []

    with before_each_unet_call(engine, rows.append):
        outcomes = engine.render([an_order(steps=50), an_order(steps=50)], is_cancelled=lambda _index: bool(rows))

    assert [outcome.code for outcome in outcomes] == ["CANCELLED", "CANCELLED"]
    assert len(rows) == 1


def test_an_order_that_is_cancelled_while_it_waits_is_answered_at_the_next_step_of_the_others(engine, an_order):
    told: list[str] = []

    engine.render(
        [an_order(), an_order(width=64)],
        on_step=lambda index, step, _steps: told.append(f"{index} step {step}"),
        is_cancelled=lambda index: index == 1 and "0 step 2" in told,
        on_outcome=lambda index, _outcome: told.append(f"{index} over"),
    )

    assert told == ["0 step 1", "0 step 2", "1 over", *(f"0 step {step}" for step in (3, 4, 5, 6)), "0 over"]


def test_progress_is_told_for_every_order_and_every_step(engine, an_order):
    told: list[tuple[int, int, int]] = []

    engine.render([an_order(steps=3), an_order(steps=2)], on_step=lambda *news: told.append(news))

    assert [news for news in told if news[0] == 0] == [(0, 1, 3), (0, 2, 3), (0, 3, 3)]
    assert [news for news in told if news[0] == 1] == [(1, 1, 2), (1, 2, 2)]


def test_an_outcome_is_told_as_soon_as_it_is_known(engine, an_order):
    told: list[str] = []

    engine.render(
        [an_order(), an_order(width=64)],
        on_step=lambda index, step, _steps: told.append(f"{index} step {step}"),
        on_outcome=lambda index, _outcome: told.append(f"{index} done"),
    )

    assert told.index("0 done") < told.index("1 step 1")


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        (
            {"checkpoint": "none"},
            Failure("UNAVAILABLE", "The checkpoint none is not on this server; there are: one, two."),
        ),
        ({"scheduler": "magic"}, "INVALID_ARGUMENT"),
        ({"scheduler": "lcm", "steps": 60}, "INVALID_ARGUMENT"),
        ({"prompt": "x " * 1999}, "INVALID_ARGUMENT"),
    ],
    ids=["unknown checkpoint", "unknown scheduler", "too many steps for the scheduler", "too many tokens"],
)
def test_an_order_that_cannot_be_made_fails_alone(engine, an_order, changes, failure):
    before, bad, after = engine.render([an_order(), an_order(**changes), an_order(seeds=(8,))])

    assert bad == failure if isinstance(failure, Failure) else bad.code == failure
    assert isinstance(before, Picture)
    assert isinstance(after, Picture)


@pytest.mark.parametrize("largest", [1, 2, 4])
def test_orders_that_memory_has_no_room_for_together_are_made_apart(new_engine, an_order, largest):
    engine = new_engine()
    engine.warm_up("one")
    told: list[tuple[int, int]] = []

    def refuse(rows: int) -> None:
        if rows > 2 * largest:
            raise torch.OutOfMemoryError("no")

    orders = [an_order(seeds=(seed,)) for seed in range(4)]
    with before_each_unet_call(engine, refuse):
        made = pictures(engine, orders, on_step=lambda index, step, _steps: told.append((index, step)))

    assert max(distance(a, pictures(engine, [b])[0]) for a, b in zip(made, orders, strict=True)) <= 1
    assert len(told) == len(set(told)), "a step is told once, also when a batch begins again"


def test_an_order_too_large_for_memory_by_itself_is_refused_and_its_mates_are_made(new_engine, an_order):
    engine = new_engine()
    engine.warm_up("one")

    def refuse(rows: int) -> None:
        if rows > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    with before_each_unet_call(engine, refuse):
        small, large = engine.render([an_order(), an_order(seeds=(1, 2))])

    assert isinstance(small, Picture)
    assert large == Failure("RESOURCE_EXHAUSTED", "There is not enough memory for 2 images of 96x64.")


def test_a_defect_fails_its_own_batch_with_a_text_that_quotes_nothing(engine, an_order, caplog):
    def fail(rows: int) -> None:
        if rows == 4:
            raise ValueError("a text that may quote the prompt")

    with before_each_unet_call(engine, fail):
        broken, fine = engine.render([an_order(seeds=(1, 2)), an_order(width=64)])

    assert broken == Failure("INTERNAL", "The model failed (ValueError).")
    assert isinstance(fine, Picture)
    assert "rendering failed" in caplog.text


def test_a_prompt_is_read_to_its_end(engine, an_order):
    """The text encoders take 77 tokens at once; here every letter is one."""
    long = "a boat on the water " * 6

    [one], [other] = pictures(engine, [an_order(long + "at dawn")]), pictures(engine, [an_order(long + "at night")])

    assert distance(one, other) > 1


def test_a_short_prompt_does_not_change_when_a_long_one_is_asked_for_with_it(engine, an_order):
    [alone] = pictures(engine, [an_order()])

    together, _ = pictures(engine, [an_order(), an_order("a boat on the water " * 6)])

    assert alone.tobytes() == together.tobytes()


def test_texts_are_encoded_once(new_engine, an_order):
    engine = new_engine()
    pictures(engine, [an_order()])
    with models_of(engine) as models:
        before = models.prompts.encoded

    pictures(engine, [an_order(seeds=(8,)), an_order(seeds=(9,))])

    with models_of(engine) as models:
        assert models.prompts.encoded == before


def test_a_source_comes_back_itself_when_there_is_no_strength(engine, an_order):
    [image] = pictures(engine, [an_order(source=SOURCE, strength=0.0, seeds=(1, 2))])

    assert [picture.tobytes() for picture in image] == [SOURCE.tobytes()] * 2


def test_more_strength_goes_further_from_the_source(engine, an_order):
    made = [pictures(engine, [an_order(source=SOURCE, strength=s, steps=10)])[0][0] for s in (0.1, 0.5, 1.0)]

    from_first = [int(np.abs(made[0].astype(int) - picture).sum()) for picture in made]
    assert from_first[0] < from_first[1] < from_first[2]


def test_a_source_of_another_shape_is_cut_around_its_middle(engine, an_order):
    wide = np.zeros((50, 300, 3), np.uint8)
    wide[:, 120:180] = 200

    [[image]] = pictures(engine, [an_order(source=wide, strength=0.0, width=64, height=64)])

    assert image.shape == (64, 64, 3)
    assert (image[32, 8:56] == 200).all()


@pytest.mark.parametrize("options", [{"fuse_qkv": True}, {"channels_last": True}, {"attention": "plain"}], ids=str)
def test_options_for_speed_alone_leave_the_picture(engine, new_engine, an_order, options):
    [usual], [faster] = pictures(engine, [an_order()]), pictures(new_engine(**options), [an_order()])

    assert distance(usual, faster) <= 1


def test_half_the_bits_are_near_the_same_picture(engine, new_engine, an_order):
    [usual], [rough] = pictures(engine, [an_order()]), pictures(new_engine(dtype="bfloat16"), [an_order()])

    assert 0 < np.abs(usual.astype(int) - rough).mean() < 3


def test_guidance_can_be_left_out_of_the_last_steps(engine, new_engine, an_order):
    thrifty = new_engine(guidance_off_share=0.5)
    thrifty.warm_up("one")
    rows: list[int] = []

    with before_each_unet_call(thrifty, rows.append):
        [cheap] = pictures(thrifty, [an_order()])

    assert rows == [2, 2, 2, 1, 1, 1]
    assert distance(cheap, pictures(engine, [an_order()])[0]) > 0


def test_batches_are_filled_up_to_the_sizes_that_were_compiled(engine, new_engine, an_order):
    filling = new_engine(batch_sizes=(4, 8))
    filling.warm_up("one")
    rows: list[int] = []

    with before_each_unet_call(filling, rows.append):
        [image] = pictures(filling, [an_order(seeds=(7, 8, 9))])

    assert set(rows) == {8}
    assert distance(image, pictures(engine, [an_order(seeds=(7, 8, 9))])[0]) <= 1


def test_a_tiny_vae_takes_the_place_of_the_checkpoints_own(make, new_engine, engine, an_order, tmp_path):
    torch.manual_seed(3)
    make.tiny_vae().save_pretrained(tmp_path / "taesdxl")

    outcomes = new_engine(vae=tmp_path / "taesdxl").render(
        [an_order(), an_order(source=SOURCE, strength=0.5)],
    )

    assert all(isinstance(outcome, Picture) for outcome in outcomes)
    assert distance(outcomes[0].images, pictures(engine, [an_order()])[0]) > 1
    assert "vae=taesdxl" in outcomes[0].fingerprint


def test_the_fingerprint_names_whatever_could_change_a_pixel(engine, new_engine, an_order):
    [usual], [other] = engine.render([an_order()]), new_engine(dtype="bfloat16").render([an_order(scheduler="ddim")])

    for word in ("sdxl-1 ", "one@sha256:", "EulerDiscreteScheduler", f"torch-{torch.__version__}", "cpu float32"):
        assert word in usual.fingerprint
    assert " ddim " in other.fingerprint
    assert " bfloat16 " in other.fingerprint


class Prude:
    """Withholds what is darker than the middle on average, and remembers what it saw."""

    def __init__(self, answer) -> None:
        self.seen: list[np.ndarray] = []
        self._answer = answer

    def __call__(self, images: np.ndarray) -> list[bool]:
        self.seen.append(images)
        return self._answer(images)


def test_what_the_classifier_withholds_fails_its_own_order(new_engine, an_order):
    prude = Prude(lambda images: [len(images) == 1] * len(images))

    allowed, withheld = new_engine(prude).render([an_order(), an_order(seeds=(1, 2))])

    assert isinstance(allowed, Picture)
    assert withheld.code == "CONTENT_FILTERED"
    assert [images.shape for images in prude.seen] == [(1, 64, 96, 3), (2, 64, 96, 3)]


@pytest.mark.parametrize("answer", [lambda _images: [], lambda _images: 1 / 0], ids=["too few answers", "an error"])
def test_nothing_leaves_unseen_when_the_classifier_fails(new_engine, an_order, answer):
    [outcome] = new_engine(Prude(answer)).render([an_order()])

    assert outcome.code == "UNAVAILABLE"


def test_the_least_recently_used_checkpoint_makes_room_when_memory_is_for_one(new_engine, checkpoints, an_order):
    size = new_engine()._catalogue.find("one").size_bytes(torch.float32)
    engine = new_engine(memory_bytes=size + size // 2)

    outcomes = [engine.render([an_order(checkpoint=name)])[0] for name in ("one", "two", "one")]

    assert engine.shelf.names == ["one"]
    assert outcomes[0].images.tobytes() == outcomes[2].images.tobytes()


def test_a_checkpoint_larger_than_the_memory_is_refused_with_the_figures(new_engine, an_order):
    [outcome] = new_engine(memory_bytes=1000).render([an_order()])

    assert outcome.code == "RESOURCE_EXHAUSTED"
    assert "The checkpoint one needs" in outcome.sentence


def test_an_order_without_a_checkpoint_takes_the_last_one_in_memory_and_loads_nothing(new_engine, an_order):
    engine = new_engine()
    [empty] = engine.render([an_order(checkpoint="")])
    [_, two] = engine.render([an_order(), an_order(checkpoint="two")])

    [last] = engine.render([an_order(checkpoint="")])

    assert empty.code == "UNAVAILABLE"
    assert last.images.tobytes() == two.images.tobytes()
    assert engine.shelf.names == ["one", "two"]


def test_every_order_knows_its_share_of_the_time(engine, an_order):
    outcomes = engine.render([an_order(), an_order(seeds=(1, 2, 3))])

    assert 0 < outcomes[0].model_seconds < outcomes[1].model_seconds
