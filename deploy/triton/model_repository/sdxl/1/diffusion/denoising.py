"""The denoising loop of one batch: equal steps, size and scheduler; its rows are independent and can leave between steps.

It follows diffusers' StableDiffusionXLPipeline (and its image-to-image twin) number for number, and differs in three
ways: guidance is a value for each row, each row draws its noise from a generator of its own on the CPU (so that noise
depends on neither the batch nor the device), and rows can be dropped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from time import perf_counter
from typing import Any

import torch

from . import schedulers
from .models import Models
from .options import EngineOptions
from .orders import Order
from .sources import as_signal, fitted


@dataclass
class _Rows:
    """One row for each picture; `owners` says whose. All tensors have as many rows as there are owners."""

    owners: list[int]
    generators: list[torch.Generator]
    latents: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor | None
    pooled: torch.Tensor
    negative_pooled: torch.Tensor | None
    guidance: torch.Tensor

    def keep(self, kept: torch.Tensor) -> None:
        numbers = kept.tolist()
        self.owners = [self.owners[number] for number in numbers]
        self.generators = [self.generators[number] for number in numbers]
        for name in ("latents", "positive", "negative", "pooled", "negative_pooled", "guidance"):
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, value[kept.to(value.device)])


class Denoising:
    """A batch under way. `steps` does the work, `drop` takes an order's rows out, `pictures` is for afterwards."""

    def __init__(self, models: Models, orders: Sequence[Order], options: EngineOptions) -> None:
        first = orders[0]
        self._models = models
        self._options = options
        self._is_guided = first.is_guided
        self._scheduler = schedulers.make(
            first.scheduler or models.checkpoint.settings.scheduler, models.scheduler, first.steps
        )
        self._draws_noise = "generator" in signature(self._scheduler.step).parameters
        # Some schedulers round to other counts of timesteps than asked for.
        begin = max(0, len(self._scheduler.timesteps) - first.active_steps)
        self._timesteps = self._scheduler.timesteps[begin:]
        self._on_device = self._timesteps.to(options.torch_device)
        if hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(begin)
        self._rows = self._first_rows(orders)
        # As SDXL was trained: the size before cropping, the crop's corner, the size asked for.
        self._sizes = torch.tensor(
            [[first.height, first.width, 0, 0, first.height, first.width]],
            dtype=torch.float32,
            device=options.torch_device,
        )
        self._guided_steps = self.total - int(self.total * options.guidance_off_share)

    @property
    def total(self) -> int:
        return len(self._timesteps)

    @property
    def owners(self) -> list[int]:
        """The orders that still have rows, each once."""
        return list(dict.fromkeys(self._rows.owners))

    def rows_of(self, owner: int) -> int:
        return self._rows.owners.count(owner)

    @property
    def rows(self) -> int:
        return len(self._rows.owners)

    def drop(self, owner: int) -> None:
        kept = torch.tensor([row for row, other in enumerate(self._rows.owners) if other != owner], dtype=torch.long)
        self._rows.keep(kept)
        schedulers.keep_rows(self._scheduler, kept.to(self._rows.latents.device))

    def steps(self) -> Iterator[float]:
        """Do the steps one by one, yielding the seconds each took. Ends early when all rows were dropped."""
        pace = _Pace(self._options.torch_device)
        for number, timestep in enumerate(self._timesteps):
            if not self._rows.owners:
                return
            self._step(number, timestep)
            yield pace.seconds()

    def pictures(self, owner: int) -> torch.Tensor:
        """uint8 [rows of the order, height, width, 3]. Decoded one by one: a row's bytes do not depend on its mates."""
        rows = [row for row, other in enumerate(self._rows.owners) if other == owner]
        return torch.stack([self._models.to_pixels(self._rows.latents[row : row + 1]) for row in rows])

    def _step(self, number: int, timestep: torch.Tensor) -> None:
        rows = self._rows
        is_guided = self._is_guided and number < self._guided_steps
        given = self._scheduler.scale_model_input(rows.latents, timestep)
        if is_guided:
            assert rows.negative is not None  # noqa: S101 guided rows have one
            assert rows.negative_pooled is not None  # noqa: S101
            unconditional, conditional = self._predict(
                torch.cat([given, given]),
                number,
                torch.cat([rows.negative, rows.positive]),
                torch.cat([rows.negative_pooled, rows.pooled]),
            ).chunk(2)
            noise = unconditional + rows.guidance * (conditional - unconditional)
        else:
            noise = self._predict(given, number, rows.positive, rows.pooled)
        extra: dict[str, Any] = {"generator": rows.generators} if self._draws_noise else {}
        rows.latents = self._scheduler.step(noise, timestep, rows.latents, **extra, return_dict=False)[0]

    def _predict(self, latents: torch.Tensor, number: int, tokens: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """The UNet's output for step `number`, in float32 like the latents: only the UNet itself runs in the options' dtype."""
        count = len(latents)
        latents = latents.to(self._options.torch_dtype)
        filled = _next(self._options.batch_sizes, count)
        if filled > count:
            # Repeats of the last row, thrown away below: compiled code meets fewer shapes this way.
            index = torch.arange(filled, device=latents.device).clamp(max=count - 1)
            latents, tokens, pooled = latents[index], tokens[index], pooled[index]
        if self._options.channels_last:
            latents = latents.contiguous(memory_format=torch.channels_last)
        if self._options.compile in {"reduce-overhead", "max-autotune"}:
            # The outputs of a CUDA graph live until its next run.
            torch.compiler.cudagraph_mark_step_begin()
        predicted = self._models.predict(
            latents,
            self._on_device[number],
            encoder_hidden_states=tokens,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": self._sizes.expand(len(latents), -1)},
            return_dict=False,
        )[0]
        predicted = predicted[:count].float()
        return predicted.clone() if self._options.compile != "none" else predicted

    def _first_rows(self, orders: Sequence[Order]) -> _Rows:
        prompts = self._models.prompts
        owners: list[int] = []
        generators: list[torch.Generator] = []
        latents: list[torch.Tensor] = []
        texts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        guidance: list[float] = []
        for owner, order in enumerate(orders):
            positive, negative = prompts.encode(order.prompt), prompts.encode_negative(order.negative_prompt)
            pieces = pieces_of(self._models, order)
            encoded = (
                prompts.padded(positive, pieces),
                prompts.padded(negative, pieces) if order.is_guided else positive.tokens,
                positive.pooled,
                negative.pooled,
            )
            for seed in order.seeds:
                generator = torch.Generator("cpu").manual_seed(seed)
                owners.append(owner)
                generators.append(generator)
                latents.append(self._first_latents(order, generator))
                texts.append(encoded)
                guidance.append(order.guidance)
        positive_rows, negative_rows, pooled, negative_pooled = (torch.cat(part) for part in zip(*texts, strict=True))
        return _Rows(
            owners,
            generators,
            torch.cat(latents),
            positive_rows,
            negative_rows if self._is_guided else None,
            pooled,
            negative_pooled if self._is_guided else None,
            torch.tensor(guidance, dtype=torch.float32, device=self._options.torch_device).view(-1, 1, 1, 1),
        )

    def _first_latents(self, order: Order, generator: torch.Generator) -> torch.Tensor:
        """Noise, or the source's latents with the noise of the step that the order begins at."""
        device = self._options.torch_device
        shape = (1, self._models.unet.config.in_channels, order.height // 8, order.width // 8)
        if order.source is None:
            noise = torch.randn(shape, generator=generator)
            return noise.to(device) * self._scheduler.init_noise_sigma
        pixels = as_signal(fitted(order.source, order.width, order.height))
        clean = self._models.to_latents(pixels, generator).float()
        noise = torch.randn(shape, generator=generator).to(device)
        return self._scheduler.add_noise(clean, noise, self._timesteps[:1])  # type: ignore[no-any-return]


def pieces_of(models: Models, order: Order) -> int:
    """How many pieces of text the order's rows carry: rows share a batch only with an equal count."""
    pieces = models.prompts.encode(order.prompt).pieces
    return max(pieces, models.prompts.encode(order.negative_prompt).pieces) if order.is_guided else pieces


def _next(sizes: tuple[int, ...], count: int) -> int:
    return next((size for size in sizes if size >= count), count)


class _Pace:
    """Keeps the CPU at most one step ahead of the GPU: else all steps would be queued at once, and none could be cancelled."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last: torch.cuda.Event | None = None
        self._since = perf_counter()

    def seconds(self) -> float:
        """Since the last call, after waiting for the step before the one that was just queued."""
        if self._device.type == "cuda":
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(self._device))
            if self._last is not None:
                self._last.synchronize()
            self._last = event
        now = perf_counter()
        passed, self._since = now - self._since, now
        return passed
