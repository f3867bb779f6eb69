"""Orders in, pictures out: what may share a batch is put together, and each order is answered by itself.

Nothing in here knows Triton; benchmarks call the same code.
"""

import logging
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from time import perf_counter

import torch

from . import classifier as classifying
from . import models as loading
from . import schedulers
from .checkpoints import Catalogue, Checkpoint
from .classifier import Classifier
from .denoising import Denoising, pieces_of
from .failures import Cancelled, Failed, OutOfMemory, Refused, Unavailable
from .memory import Shelf, free_caches, is_out_of_memory, room_on
from .models import Models
from .options import EngineOptions
from .orders import Failure, Order, Outcome, Picture
from .sources import fitted

# Part of every fingerprint: raise it with every change that moves a pixel.
VERSION = "1"

log = logging.getLogger(__name__)

OnStep = Callable[[int, int, int], None]
"""Called with the order's place in the list, the finished step (from 1), and how many there are."""
IsCancelled = Callable[[int], bool]
OnOutcome = Callable[[int, Outcome], None]


class Engine:
    """One device. Not for several threads at once."""

    def __init__(
        self, catalogue: Catalogue, options: EngineOptions | None = None, classifier: Classifier | None = None
    ) -> None:
        self.options = options or EngineOptions()
        self._catalogue = catalogue
        self._classifier = classifier
        device = self.options.torch_device
        self.shelf: Shelf[Models] = Shelf(
            room=room_on(device, self.options.memory_bytes, self.options.reserve_bytes), release=free_caches
        )
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)

    @torch.inference_mode()
    def render(
        self,
        orders: Sequence[Order],
        on_step: OnStep = lambda _index, _step, _steps: None,
        is_cancelled: IsCancelled = lambda _index: False,
        on_outcome: OnOutcome = lambda _index, _outcome: None,
    ) -> list[Outcome]:
        """One outcome for each order, in their order; `on_outcome` hears of each as soon as it is known.

        An order that fails or is cancelled never changes what the others get; cancelled ones end before the next step.
        """
        work = _Work(orders, on_step, is_cancelled, on_outcome)
        for name in dict.fromkeys(order.checkpoint for order in orders):
            indexes = [index for index, order in enumerate(orders) if order.checkpoint == name]
            try:
                checkpoint = self._catalogue.find(name or self._last_used())
                size = checkpoint.size_bytes(self.options.torch_dtype)
                with self.shelf.borrowed(
                    checkpoint.name, size, lambda checkpoint=checkpoint: self._loaded(checkpoint)
                ) as models:
                    self._render_with(models, indexes, work)
            except Exception as error:  # noqa: BLE001 the other checkpoints' orders go on
                for index in work.unanswered(indexes):
                    work.fail(index, _as_failed(error))
        return work.answers()

    def warm_up(self, name: str) -> None:
        """Load the checkpoint and make pictures of the options' sizes with it, so that compiling is over. Raises Failed."""
        checkpoint = self._catalogue.find(name)
        guidance = 5.0 if checkpoint.settings.guidance else 0.0
        sizes = self.options.warm_up_sizes or ((64, 64),)
        for width, height in sizes:
            for rows in self.options.batch_sizes or (1,):
                # Of a batch of rows the UNet sees twice as many with guidance: both halves are filled up together.
                count = max(1, rows // 2) if guidance else rows
                orders = [
                    Order(name, "warm-up", (seed,), width, height, self.options.warm_up_steps, guidance)
                    for seed in range(count)
                ]
                for outcome in self.render(orders):
                    if isinstance(outcome, Failure) and outcome.code != "CONTENT_FILTERED":
                        raise _failed(outcome)

    def free_memory(self) -> None:
        """Put away every checkpoint and hand cached memory back to the device."""
        self.shelf.clear()

    def fingerprint(self, models: Models, scheduler: str) -> str:
        """Everything that could change a pixel of an order."""
        spoken = scheduler or models.checkpoint.settings.scheduler or type(models.scheduler).__name__
        other_vae = f" vae={self.options.vae.name}" if self.options.vae else ""
        return (
            f"sdxl-{VERSION} {models.checkpoint.identity}{other_vae} {spoken} torch-{torch.__version__} "
            f"diffusers-{version('diffusers')} {self.options.traits} {_processor(self.options.torch_device)}"
        )

    def _last_used(self) -> str:
        """What an order without a checkpoint gets: health checks neither load anything nor push anything out."""
        in_memory = self.shelf.names
        if not in_memory:
            raise Unavailable("CHECKPOINT is empty, which means the one in memory, and none is loaded.")
        return in_memory[-1]

    def _loaded(self, checkpoint: Checkpoint) -> Models:
        checkpoint.identity  # noqa: B018 hashed now, while the files are being read anyway
        return loading.load(checkpoint, self.options)

    def _render_with(self, models: Models, indexes: list[int], work: "_Work") -> None:
        groups: dict[tuple[object, ...], list[int]] = {}
        for index in indexes:
            order = work.orders[index]
            try:
                _check(models.checkpoint, order)
                pieces = pieces_of(models, order)
            except Refused as refusal:
                work.fail(index, refusal)
                continue
            if order.active_steps == 0:
                self._give_back_source(models, index, work)
                continue
            groups.setdefault((*_key(order, models.checkpoint), pieces), []).append(index)
        for group in groups.values():
            for batch in self._packed(group, work.orders):
                self._render_batch(models, batch, work)

    def _packed(self, group: list[int], orders: Sequence[Order]) -> list[list[int]]:
        """The group in batches of at most `max_batch_pixels`; an order that exceeds it alone has a batch of its own."""
        batches: list[list[int]] = []
        pixels = 0
        for index in group:
            order = orders[index]
            own = order.width * order.height * len(order.seeds)
            if not batches or pixels + own > self.options.max_batch_pixels:
                batches.append([])
                pixels = 0
            batches[-1].append(index)
            pixels += own
        return batches

    def _render_batch(self, models: Models, batch: list[int], work: "_Work") -> None:
        """Halved and tried again when memory runs out, so that only what is too large by itself is refused."""
        batch = work.unanswered(batch)
        if not batch:
            return
        refusal: Failed | None = None
        try:
            self._denoise(models, batch, work)
        except Exception as error:  # noqa: BLE001 the other batches go on
            refusal = _as_failed(error, work.orders[batch[0]])
        if refusal is None:
            return
        if isinstance(refusal, OutOfMemory):
            # Only here: while the error was being handled, its traceback held the tensors.
            free_caches()
            if len(batch) > 1:
                middle = len(batch) // 2
                self._render_batch(models, batch[:middle], work)
                self._render_batch(models, batch[middle:], work)
                return
        for index in work.unanswered(batch):
            work.fail(index, refusal)

    def _denoise(self, models: Models, batch: list[int], work: "_Work") -> None:
        orders = [work.orders[index] for index in batch]
        seconds = dict.fromkeys(batch, 0.0)
        began = perf_counter()
        denoising = Denoising(models, orders, self.options)
        for owner, index in enumerate(batch):
            if work.ended_by_caller(index):
                denoising.drop(owner)
        preparing = (perf_counter() - began) / len(batch)
        for step, passed in enumerate(denoising.steps(), start=1):
            rows = denoising.rows
            work.look_for_cancelled()
            for owner in denoising.owners:
                index = batch[owner]
                seconds[index] += passed * denoising.rows_of(owner) / rows
                if work.ended_by_caller(index):
                    denoising.drop(owner)
                elif step < denoising.total:
                    work.step(index, step, denoising.total)
        for owner in denoising.owners:
            index = batch[owner]
            began = perf_counter()
            images = denoising.pictures(owner).numpy()
            seconds[index] += perf_counter() - began + preparing
            work.steps_done(index, denoising.total)
            made_by = self.fingerprint(models, orders[owner].scheduler)
            self._hand_over(index, Picture(images, denoising.total, made_by, seconds[index]), work)

    def _give_back_source(self, models: Models, index: int, work: "_Work") -> None:
        """So little strength that no step is left: the source itself, in the order's size."""
        order = work.orders[index]
        began = perf_counter()
        assert order.source is not None  # noqa: S101 only a source leaves no steps
        image = fitted(order.source, order.width, order.height)
        images = image[None].repeat(len(order.seeds), 1, 1, 1).numpy()
        work.steps_done(index, 1)
        picture = Picture(images, 1, self.fingerprint(models, order.scheduler), perf_counter() - began)
        self._hand_over(index, picture, work)

    def _hand_over(self, index: int, picture: Picture, work: "_Work") -> None:
        try:
            classifying.check(self._classifier, picture.images)
        except Failed as failure:
            work.fail(index, failure)
        else:
            work.answer(index, picture)


class _Work:
    """What became of each order of one call, and who is told."""

    def __init__(
        self, orders: Sequence[Order], on_step: OnStep, is_cancelled: IsCancelled, on_outcome: OnOutcome
    ) -> None:
        self.orders = orders
        self._on_step = on_step
        self._is_cancelled = is_cancelled
        self._on_outcome = on_outcome
        self._outcomes: dict[int, Outcome] = {}
        self._furthest: dict[int, int] = {}

    def step(self, index: int, step: int, steps: int) -> None:
        """Told once for each step, also when a batch begins again."""
        if step > self._furthest.get(index, 0):
            self._furthest[index] = step
            self._on_step(index, step, steps)

    def steps_done(self, index: int, steps: int) -> None:
        self.step(index, steps, steps)

    def ended_by_caller(self, index: int) -> bool:
        """Whether the order is over: answered before, or cancelled, which is answered here."""
        if index not in self._outcomes and self._is_cancelled(index):
            self.fail(index, Cancelled("The request was cancelled."))
        return index in self._outcomes

    def look_for_cancelled(self) -> None:
        """Also those whose batch has not begun: they need not wait for it to hear that they are over."""
        for index in range(len(self.orders)):
            self.ended_by_caller(index)

    def answer(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        self._on_outcome(index, outcome)

    def fail(self, index: int, failure: Failed) -> None:
        self.answer(index, Failure(failure.code, str(failure)))

    def unanswered(self, indexes: list[int]) -> list[int]:
        return [index for index in indexes if index not in self._outcomes]

    def answers(self) -> list[Outcome]:
        return [self._outcomes[index] for index in range(len(self.orders))]


def _key(order: Order, checkpoint: Checkpoint) -> tuple[object, ...]:
    """Orders with equal keys can share a batch."""
    scheduler = order.scheduler or checkpoint.settings.scheduler
    return order.width, order.height, order.steps, scheduler, order.is_guided, order.source is None, order.skipped_steps


def _check(checkpoint: Checkpoint, order: Order) -> None:
    schedulers.check(order.scheduler)
    if order.is_guided and not checkpoint.settings.guidance:
        raise Refused(
            f"GUIDANCE is {order.guidance:g}; the checkpoint {checkpoint.name} was made to run without: send 0."
        )


def _as_failed(error: Exception, order: Order | None = None) -> Failed:
    """What the caller hears. A defect is logged here; its text may quote anything and goes no further."""
    if isinstance(error, Failed):
        return error
    if is_out_of_memory(error):
        wanted = f"{len(order.seeds)} images of {order.width}x{order.height}" if order else "the checkpoint"
        return OutOfMemory(f"There is not enough memory for {wanted}.")
    log.error("rendering failed", exc_info=error)
    return Failed(f"The model failed ({type(error).__name__}).")


def _failed(outcome: Failure) -> Failed:
    failed = Failed(outcome.sentence)
    failed.code = outcome.code
    return failed


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device).replace(" ", "-")
    return platform.machine()
