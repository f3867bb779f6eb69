"""Enlarging tile by tile: the same picture as in one piece, in bounded memory, and clear words when it cannot be."""

import numpy as np
import pytest
import torch
from enlarging import Cancelled, Enlarger, OutOfMemory, Refused
from enlarging.rrdb import RRDBNet
from enlarging.tiles import spans
from networks import enlarging

# Convolutions of another size may add up in another order, and a value on the edge be rounded the other way.
ROUNDING = 1
PICTURE = np.random.default_rng(3).integers(0, 256, (75, 101, 3), dtype=np.uint8)


def an_enlarger(network, factor=2, tile=32, overlap=4, **changes) -> Enlarger:
    values = {"fingerprint": "test", "device": torch.device("cpu"), "dtype": torch.float32} | changes
    return Enlarger(network, factor=factor, tile=tile, overlap=overlap, **values)


def repeated(factor):
    return lambda signal: signal.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def distance(one: np.ndarray, two: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - two.astype(int)).max())


@pytest.fixture
def network():
    """Looks two enlarged pixels far, and takes a view of any size."""
    made = enlarging()
    return lambda signal: made.mix(made.blur(repeated(2)(signal)))


@pytest.mark.parametrize("tile", [32, 40, 64])
def test_tiles_make_the_picture_that_one_piece_makes(network, tile):
    whole = an_enlarger(network, tile=1000).enlarge(PICTURE, 2)

    tiled = an_enlarger(network, tile=tile).enlarge(PICTURE, 2)

    assert tiled.shape == (150, 202, 3)
    assert distance(whole, tiled) <= ROUNDING


def test_without_an_overlap_the_seams_would_show(network):
    whole = an_enlarger(network, tile=1000).enlarge(PICTURE, 2)

    assert distance(whole, an_enlarger(network, overlap=0).enlarge(PICTURE, 2)) > 10 * ROUNDING


@pytest.mark.parametrize("fold", [1, 2])
def test_tiles_of_a_published_kind_of_network_are_seamless_too(fold):
    torch.manual_seed(5)
    network = RRDBNet(fold=fold, blocks=1, features=8, growth=4).eval().requires_grad_(False)
    # Random weights alone make darkness.
    network.conv_last.weight *= 20
    network.conv_last.bias.fill_(0.5)
    factor = 4 // fold
    # It looks 20 pixels of what it reads far: 15 convolutions in the block, five around it.
    whole = an_enlarger(network, factor, tile=1000).enlarge(PICTURE, factor)

    tiled = an_enlarger(network, factor, overlap=24 * fold).enlarge(PICTURE, factor)

    assert whole.std() > 5
    assert distance(whole, tiled) <= ROUNDING


@pytest.mark.parametrize(("factor", "scale"), [(4, 2), (4, 3), (2, 3), (2, 4), (2, 8), (3, 2)])
def test_a_network_of_another_factor_serves_the_scale_that_is_asked_for(factor, scale):
    flat = np.full((20, 12, 3), (200, 100, 7), dtype=np.uint8)

    enlarged = an_enlarger(repeated(factor)).enlarge(flat, scale)

    assert enlarged.shape == (20 * scale, 12 * scale, 3)
    assert distance(enlarged, np.broadcast_to(flat[:1, :1], enlarged.shape)) == 0


@pytest.mark.parametrize(("factor", "scale"), [(4, 3), (2, 3)])
def test_reducing_to_the_scale_leaves_no_seams(factor, scale):
    whole = an_enlarger(repeated(factor), factor, tile=1000).enlarge(PICTURE, scale)

    assert distance(whole, an_enlarger(repeated(factor), factor, overlap=8).enlarge(PICTURE, scale)) <= ROUNDING


def test_the_network_never_sees_more_than_a_tile_and_its_overlap():
    seen = []

    def network(signal):
        seen.append(tuple(signal.shape))
        return repeated(2)(signal)

    an_enlarger(network, tile=32, overlap=8).enlarge(np.zeros((300, 500, 3), np.uint8), 2)

    assert max(side for shape in seen for side in shape[2:]) <= 32 + 2 * 8
    assert {shape[:2] for shape in seen} == {(1, 3)}


def test_a_network_that_is_applied_again_gets_no_larger_views_the_second_time():
    seen = []

    def network(signal):
        seen.append(signal.shape[-1])
        return repeated(2)(signal)

    an_enlarger(network, tile=128, overlap=8).enlarge(np.zeros((256, 256, 3), np.uint8), 4)

    assert 128 < max(seen) <= 128 + 2 * 8


def test_tiles_get_smaller_when_memory_runs_out_and_the_picture_is_the_same(network):
    def narrow(signal):
        if signal.shape[-1] > 70:
            raise torch.OutOfMemoryError("out of memory")
        return network(signal)

    whole = an_enlarger(network, tile=1000).enlarge(PICTURE, 2)

    assert distance(whole, an_enlarger(narrow, tile=1000).enlarge(PICTURE, 2)) <= ROUNDING


def test_memory_that_does_not_suffice_for_the_smallest_tile_is_said_so():
    def full(signal):
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(OutOfMemory, match="32x32"):
        an_enlarger(full).enlarge(PICTURE, 2)


def test_a_caller_who_leaves_is_noticed_before_the_next_tile(network):
    asked = []

    def is_cancelled():
        asked.append(len(asked))
        return len(asked) == 3

    with pytest.raises(Cancelled):
        an_enlarger(network).enlarge(PICTURE, 2, is_cancelled)

    assert len(asked) == 3


@pytest.mark.parametrize(
    ("image", "scale", "says"),
    [
        (PICTURE, 1, "SCALE is 1"),
        (PICTURE, 9, "SCALE is 9"),
        (PICTURE[:, :, :2], 2, "IMAGE"),
        (PICTURE.astype(np.float32), 2, "IMAGE"),
        (np.zeros((0, 5, 3), np.uint8), 2, "IMAGE is 5x0"),
        (np.zeros((1, 4097, 3), np.uint8), 2, "IMAGE is 4097x1"),
    ],
)
def test_what_cannot_be_enlarged_is_refused_with_its_name(network, image, scale, says):
    with pytest.raises(Refused, match=says):
        an_enlarger(network).enlarge(image, scale)


@pytest.mark.parametrize("length", [1, 4, 5, 31, 97, 1024])
@pytest.mark.parametrize("tile", [32, 50])
def test_pieces_cover_a_side_once_and_none_is_too_long(length, tile):
    pieces = list(spans(length, tile, overlap=6))

    assert [pixel for piece in pieces for pixel in range(piece.start, piece.stop)] == list(range(length))
    assert max(piece.stop - piece.start for piece in pieces) <= tile
