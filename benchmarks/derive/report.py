"""Goals, tables and the JSON of all figures. Pure but for the files it writes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from derive import measure, quality
from derive.formats import PPM, Cost
from derive.measure import COMPARISONS, Comparison, Ratio, Samples, Way, cpu_ratio, wall_ratio
from derive.plot import Bar, plot
from derive.quality import File

WHOLE_OVER_ENCODING: Final = 1.25
SCALING: Final = 1.9
EQUAL_BYTES: Final = 0.02
FAST_BYTES: Final = 0.10
EQUAL_SSIM: Final = 0.001


@dataclass(frozen=True)
class Goal:
    """A line of the verdict."""

    name: str
    has_passed: bool
    sentence: str


@dataclass(frozen=True)
class Run:
    """Everything that one run found out."""

    facts: Mapping[str, Any]
    shapes: Sequence[str]
    one: Samples
    two: Samples
    files: Sequence[File]
    costs: Sequence[Cost]
    machine_scaling: float
    """What two busy loops gained over one."""

    def goals(self) -> list[Goal]:
        return [goal for shape in self.shapes for goal in self._goals(shape)]

    def _goals(self, shape: str) -> Iterator[Goal]:
        for comparison in COMPARISONS:
            if comparison.wanted is not None:
                yield from self._speed(shape, comparison, comparison.wanted)
        for who, kind, most in (
            (measure.QUALITY, "png", EQUAL_BYTES),
            # Sharp makes a WebP smaller while it decodes it, which costs likeness: its files say less, in less bytes.
            (measure.QUALITY, "webp", None),
            (measure.FAST, "png", FAST_BYTES),
        ):
            yield self._equal(shape, who, kind, most)
        whole = cpu_ratio(self.one, shape, measure.OWN_PATH, measure.ENCODING)
        if whole:
            yield Goal(
                f"{shape}, whole job against its encoding alone, CPU on one core",
                whole.median <= WHOLE_OVER_ENCODING,
                f"{whole}; wanted at most {WHOLE_OVER_ENCODING:g}",
            )
        scaling = self._scaling(shape)
        if scaling:
            yield Goal(
                f"{shape}, two cores against one, wall",
                scaling.median >= SCALING,
                f"{scaling}; wanted {SCALING:g}; the machine's own {self.machine_scaling:.2f}",
            )

    def _scaling(self, shape: str) -> Ratio | None:
        return wall_ratio(self.two, shape, measure.ALONE_PATH, measure.OWN_PATH)

    def _speed(self, shape: str, comparison: Comparison, wanted: float) -> Iterator[Goal]:
        for where, ratio in (
            ("CPU on one core", cpu_ratio(self.one, shape, comparison.theirs, comparison.ours)),
            ("wall on two cores", wall_ratio(self.two, shape, comparison.theirs, comparison.ours)),
        ):
            if ratio:
                yield Goal(
                    f"{shape}, {comparison.name}, {where}", ratio.median >= wanted, f"{ratio}; wanted {wanted:g}"
                )

    def _equal(self, shape: str, who: str, kind: str, most: float | None) -> Goal:
        """Against each side's own resizing as well as the common reference: Sharp enlarges with a shift of half a pixel.

        `most` is None where bytes are not judged. Fewer bytes are no fault, at the same likeness.
        """
        theirs = quality.of(self.files, shape, Way(measure.PLAIN, kind))
        ours = quality.of(self.files, shape, Way(who, kind))
        more = ours.more_bytes(theirs)
        common, own = ours.common.ssim - theirs.common.ssim, ours.own.ssim - theirs.own.ssim
        wanted = "not judged" if most is None else f"wanted at most {most:+.0%}"
        return Goal(
            f"{shape}, {who}, from {kind}, bytes and likeness",
            (most is None or more <= most) and min(common, own) >= -EQUAL_SSIM,
            f"{more:+.1%} bytes ({wanted}), SSIM {common:+.4f}, against the own resizing {own:+.4f} "
            f"(wanted at least {-EQUAL_SSIM:+.3f}); {ours.spread(theirs)}",
        )

    def bars(self) -> list[Bar]:
        """What the plot shows, shapes beneath each other."""
        found = []
        for shape in self.shapes:
            for comparison in COMPARISONS:
                ratio = cpu_ratio(self.one, shape, comparison.theirs, comparison.ours)
                if ratio:
                    found.append(
                        Bar(f"{shape}: {comparison.name}", ratio.median, ratio.low, ratio.high, comparison.wanted)
                    )
        return found

    def as_json(self) -> dict[str, Any]:
        def told(samples: Samples) -> list[dict[str, Any]]:
            return [
                {"shape": shape, **asdict(way), "spent": [asdict(spent) for spent in every]}
                for (shape, way), every in samples.spent.items()
            ]

        return {
            "facts": dict(self.facts),
            "oneCore": told(self.one),
            "twoCores": told(self.two),
            "files": [asdict(file) for file in self.files],
            "formats": [asdict(cost) for cost in self.costs],
            "machineScaling": self.machine_scaling,
            "goals": [asdict(goal) for goal in self.goals()],
        }

    def as_markdown(self) -> str:
        parts = [
            "\n".join(f"- {name}: {value}" for name, value in self.facts.items()),
            *(
                part
                for shape in self.shapes
                for part in (self._speeds(shape), self._times(shape), self._likeness(shape))
            ),
            self._formats(),
            "\n".join(
                f"- {'passed' if goal.has_passed else 'MISSED'}: {goal.name}: {goal.sentence}" for goal in self.goals()
            ),
        ]
        return "\n\n".join(part for part in parts if part)

    def _speeds(self, shape: str) -> str:
        lines = [
            f"| {shape}: Sharp's time over ours | CPU, one core | wall, one core | CPU, two cores | wall, two cores | wanted |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for comparison in COMPARISONS:
            cells = [
                str(ratio(samples, shape, comparison.theirs, comparison.ours) or "")
                for samples in (self.one, self.two)
                for ratio in (cpu_ratio, wall_ratio)
            ]
            lines.append(f"| {comparison.name} | {' | '.join(cells)} | {comparison.wanted or ''} |")
        return "\n".join(lines)

    def _times(self, shape: str) -> str:
        lines = [
            f"| {shape}: a job, mean | from | CPU, one core | wall, one core | wall, two cores, two in flight |",
            "| --- | --- | --- | --- | --- |",
        ]
        ways = sorted({way for found, way in (*self.one.spent, *self.two.spent) if found == shape}, key=str)
        for way in ways:
            alone, together = self.one.of(shape, way), self.two.of(shape, way)
            cells = [
                _milliseconds([spent.cpu for spent in alone]),
                _milliseconds([spent.wall for spent in alone]),
                _milliseconds([spent.wall / measure.IN_A_ROW for spent in together]),
            ]
            lines.append(f"| {way.who} | {way.kind} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _likeness(self, shape: str) -> str:
        lines = [
            f"| {shape}: files | from | bytes | against Sharp | SSIM | PSNR | SSIM, own resizing | PSNR, own resizing |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for way in quality.WAYS:
            files = quality.of(self.files, shape, way)
            more = files.more_bytes(quality.of(self.files, shape, Way(measure.PLAIN, way.kind)))
            lines.append(
                f"| {way.who} | {way.kind} | {files.byte_count:,} | {more:+.1%} | {files.common.ssim:.4f} "
                f"| {files.common.psnr:.2f} dB | {files.own.ssim:.4f} | {files.own.psnr:.2f} dB |"
            )
        return "\n".join(lines)

    def _formats(self) -> str:
        lines = ["| a render as | write | read | both | bytes |", "| --- | --- | --- | --- | --- |"]
        for cost in sorted(self.costs, key=lambda cost: cost.write + cost.read):
            name = f"**{cost.name}**" if cost.name == PPM else cost.name
            lines.append(
                f"| {name} | {cost.write * 1000:.1f} ms | {cost.read * 1000:.1f} ms "
                f"| {(cost.write + cost.read) * 1000:.1f} ms | {cost.byte_count / 1e6:.2f} MB |"
            )
        return "\n".join(lines)


def write(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps(run.as_json(), indent=1) + "\n")
    (folder / "report.md").write_text(run.as_markdown() + "\n")
    plot(
        f"Processor time of {run.facts['Sharp'].split(',')[0].capitalize()} over ours, one core",
        run.bars(),
        folder / "derive.png",
    )


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{1000 * sum(seconds) / len(seconds):.0f} ms" if seconds else ""
