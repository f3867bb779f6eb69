"""Texts to what the UNet reads. Each text is encoded by itself, so that a row never depends on its batch mates.

The text encoders read 77 tokens at once. Longer texts are read in pieces of 75 (and a begin and an end each), whose
outputs are laid one after the other; nothing of a prompt is dropped silently.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from .failures import Refused

MOST_PIECES = 8


@dataclass(frozen=True)
class Encoded:
    """`tokens` is [1, 77 * pieces, width], `pooled` is [1, width]."""

    tokens: torch.Tensor
    pooled: torch.Tensor
    pieces: int


class Prompts:
    """Two tokenizers and encoders, and a least-recently-used cache of what they made of texts."""

    def __init__(
        self,
        tokenizers: list[PreTrainedTokenizerBase],
        encoders: list[torch.nn.Module],
        *,
        is_empty_zero: bool,
        capacity: int,
    ) -> None:
        self._tokenizers = tokenizers
        self._encoders = encoders
        self._is_empty_zero = is_empty_zero
        self._capacity = capacity
        self._cache: OrderedDict[str, Encoded] = OrderedDict()
        self.encoded = 0
        """How many texts the encoders have read."""

    def encode(self, text: str) -> Encoded:
        return self._cached(text)

    def encode_negative(self, text: str) -> Encoded:
        """An empty one is all zeros where the checkpoint was trained that way."""
        encoded = self._cached(text)
        if text or not self._is_empty_zero:
            return encoded
        return Encoded(torch.zeros_like(encoded.tokens), torch.zeros_like(encoded.pooled), encoded.pieces)

    def padded(self, encoded: Encoded, pieces: int) -> torch.Tensor:
        """Its tokens with empty pieces behind: both sides of guidance must have one length."""
        if encoded.pieces == pieces:
            return encoded.tokens
        return torch.cat([encoded.tokens, *[self._cached("").tokens] * (pieces - encoded.pieces)], dim=1)

    def _cached(self, text: str) -> Encoded:
        known = self._cache.get(text)
        if known is not None:
            self._cache.move_to_end(text)
            return known
        encoded = self._encoded(text)
        self.encoded += 1
        self._cache[text] = encoded
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)
        return encoded

    def _encoded(self, text: str) -> Encoded:
        by_encoder = [_pieces(tokenizer, text) for tokenizer in self._tokenizers]
        pieces = len(by_encoder[0])
        if pieces > MOST_PIECES:
            raise Refused(
                f"A prompt is longer than {MOST_PIECES * 75} tokens; about {MOST_PIECES * 50} English words fit."
            )
        rows, pooled = [], None
        for ids, encoder in zip(by_encoder, self._encoders, strict=True):
            outputs = [encoder(piece.to(encoder.device), output_hidden_states=True) for piece in ids]
            # SDXL reads the layer before the last, and takes the pooled output of the second encoder's first piece.
            rows.append(torch.cat([output.hidden_states[-2] for output in outputs], dim=1))
            pooled = outputs[0][0]
        assert pooled is not None  # noqa: S101 there are two encoders
        return Encoded(torch.cat(rows, dim=-1), pooled, pieces)


def _pieces(tokenizer: PreTrainedTokenizerBase, text: str) -> list[torch.Tensor]:
    length = tokenizer.model_max_length
    room = length - 2
    # Without truncation; `verbose` would log the text's length against the limit.
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    pieces = []
    for start in range(0, max(len(ids), 1), room):
        piece = [tokenizer.bos_token_id, *ids[start : start + room], tokenizer.eos_token_id]
        piece += [tokenizer.pad_token_id] * (length - len(piece))
        pieces.append(torch.tensor([piece]))
    return pieces
