"""Gates, tables, the JSON of all figures and the plot. Pure but for the files it writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpu.measure import Distance, Row

WANTED_RATIO = 1.6
# Half as far again from float32 as the library's own fp16 is: less than the step from fp16 to any coarser format.
TOLERATED_RATIO = 1.5
# One value in a hundred off by one level: below this nobody is near or far.
SMALLEST_MEAN = 0.01

# For orientation only: other machines, other software, other weights, measured by others.
PUBLISHED = (
    "published, not measured here: 2.37 images/s per H200 at 20 steps (TensorRT, FP8)",
    "published, not measured here: 1.47 s for an image at 30 steps (TensorRT, H100)",
)
BASELINE = "plain diffusers fp16"


@dataclass(frozen=True)
class Gate:
    """`passed` is None where it is not judged: speed on a CPU says nothing about a GPU."""

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Run:
    """Everything that one run found out."""

    facts: Mapping[str, Any]
    rows: Sequence[Row]
    distances: Mapping[str, Distance]
    """By the name of the setting; the baseline's under BASELINE."""
    not_equal_work: Sequence[str]
    """Names of settings that change pictures on purpose."""
    must_be_equal: Sequence[str]
    """Names of settings in which a difference beyond the tolerance is a defect."""
    remarks: Sequence[str]
    judges_speed: bool
    floor_seconds: Mapping[int, float]
    """By the number of steps: seconds an image, if the matrix units did nothing but the UNet's operations at full rate."""

    def baseline(self, batch: int, steps: int) -> Row | None:
        return next(
            (row for row in self._of("baseline") if (row.batch, row.steps) == (batch, steps)),
            None,
        )

    def is_equal(self, name: str) -> bool | None:
        """Whether a setting's pictures are as near to float32 as the baseline's. None: they were not compared."""
        ours, theirs = self.distances.get(name), self.distances.get(BASELINE)
        if ours is None or theirs is None:
            return None
        return ours.mean <= TOLERATED_RATIO * max(theirs.mean, SMALLEST_MEAN)

    def gates(self) -> list[Gate]:
        return [self._pictures(), *self._speed()]

    def _pictures(self) -> Gate:
        limit = f"mean distance to float32 at most {TOLERATED_RATIO:g} times the baseline's"
        if not self.must_be_equal:
            return Gate("pictures", passed=False, sentence=f"{limit}: no setting was measured that must keep it")
        # One that was measured and could not be compared has not shown it.
        differing = [name for name in self.must_be_equal if not self.is_equal(name)]
        if differing:
            return Gate("pictures", passed=False, sentence=f"{limit}: not so for {', '.join(differing)}")
        return Gate("pictures", passed=True, sentence=f"{limit}: so for {', '.join(self.must_be_equal)}")

    def _speed(self) -> list[Gate]:
        """Of the one setting, of those whose pictures are equal, whose worse ratio is best."""
        ratios = {
            name: found
            for name in dict.fromkeys(row.name for row in self._of("engine") if row.is_equal_work)
            if self.is_equal(name) and (found := self._ratios(name)) is not None
        }
        if not ratios:
            nothing = "no setting with equal pictures was measured beside the baseline"
            passed = False if self.judges_speed else None
            return [Gate(name, passed, nothing) for name in ("throughput", "latency")]
        best = max(ratios, key=lambda name: min(min(pair) for pair in ratios[name].values()))
        gates = []
        for place, (gate, how) in enumerate(
            (("throughput", "best batch against best batch"), ("latency", "one image"))
        ):
            of_steps = {steps: pair[place] for steps, pair in ratios[best].items()}
            spoken = ", ".join(f"{ratio:.2f} times at {steps} steps" for steps, ratio in of_steps.items())
            passed = min(of_steps.values()) >= WANTED_RATIO if self.judges_speed else None
            gates.append(Gate(gate, passed, f"{best}: {spoken} ({how}); wanted {WANTED_RATIO:g}"))
        return gates

    def _ratios(self, name: str) -> dict[int, tuple[float, float]] | None:
        """By steps: of throughput and of latency. None if one of them is missing."""
        found = {}
        for steps in dict.fromkeys(row.steps for row in self._of("baseline")):
            theirs = [row for row in self._of("baseline") if row.steps == steps]
            ours = [row for row in self._of("engine") if row.steps == steps and row.name == name]
            singles = [next((row for row in rows if row.batch == 1), None) for rows in (ours, theirs)]
            if not ours or not theirs or singles[0] is None or singles[1] is None:
                return None
            throughput = max(row.images_per_second for row in ours) / max(row.images_per_second for row in theirs)
            found[steps] = (throughput, singles[1].seconds_per_image / singles[0].seconds_per_image)
        return found or None

    def _of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind and row.seconds]

    def as_json(self) -> dict[str, Any]:
        return {
            "facts": dict(self.facts),
            "rows": [row.as_json() for row in self.rows],
            "distances": {
                # JSON knows no infinity.
                name: asdict(distance) | {"psnr": min(distance.psnr, 999.0), "isEqual": self.is_equal(name)}
                for name, distance in self.distances.items()
            },
            "floorSecondsPerImage": dict(self.floor_seconds),
            "gates": [asdict(gate) for gate in self.gates()],
            "remarks": list(self.remarks),
            "published": list(PUBLISHED),
        }

    def as_markdown(self) -> str:
        parts = [
            "\n".join(f"- {name}: {value}" for name, value in self.facts.items()),
            *(self._table(steps) for steps in dict.fromkeys(row.steps for row in self.rows)),
            self._distances(),
            "\n".join(self.remarks),
            "\n".join(PUBLISHED),
            "\n".join(f"{_word(gate.passed)}: {gate.name}: {gate.sentence}" for gate in self.gates()),
        ]
        return "\n\n".join(part for part in parts if part)

    def _table(self, steps: int) -> str:
        lines = [
            f"| {steps} steps | batch | s per image | images/s | spread | memory | against baseline | load | warm-up |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *(self._line(row) for row in self.rows if row.steps == steps),
        ]
        if steps in self.floor_seconds:
            lines.append(
                f"\nFloor of the UNet alone on this device's measured matrix rate: {self.floor_seconds[steps]:.3f} s."
            )
        return "\n".join(lines)

    def _line(self, row: Row) -> str:
        name = row.name + ("" if row.is_equal_work else " (not equal work)")
        if not row.seconds:
            return f"| {name} | {row.batch} | {row.note} | | | | | | |"
        baseline = self.baseline(row.batch, row.steps)
        ratio = f"{baseline.seconds_per_image / row.seconds_per_image:.2f}" if baseline else "-"
        memory = f"{row.peak_bytes / 2**30:.2f} GiB" if row.peak_bytes else "-"
        return (
            f"| {name} | {row.batch} | {row.seconds_per_image:.4f} | {row.images_per_second:.3f} | {row.spread:.1%} "
            f"| {memory} | {ratio} | {row.load_seconds:.1f} s | {row.warm_up_seconds:.1f} s |"
        )

    def _distances(self) -> str:
        lines = [
            "| distance to float32, levels of 255 | mean | most | PSNR | equal |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, distance in self.distances.items():
            asked = name != BASELINE and name not in self.not_equal_work
            is_equal = {True: "yes", False: "NO", None: "-"}[self.is_equal(name) if asked else None]
            lines.append(f"| {name} | {distance.mean:.4f} | {distance.most} | {distance.psnr:.1f} dB | {is_equal} |")
        return "\n".join(lines)


def _word(passed: bool | None) -> str:  # noqa: FBT001 three words for three values
    return {True: "passed", False: "FAILED", None: "not judged on a CPU"}[passed]


def write(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps(run.as_json(), indent=1) + "\n")
    (folder / "report.md").write_text(run.as_markdown() + "\n")
    (folder / "throughput.svg").write_text(plot(run.rows))


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 60, 250, 30, 50
COLOURS = ("#222222", "#1b6ca8", "#d1495b", "#2e8b57", "#edae49", "#6a4c93", "#00798c", "#a0522d", "#7a7a7a", "#c71585")


def plot(rows: Sequence[Row]) -> str:
    """Images a second against the batch, at the first number of steps, as SVG."""
    steps = next((row.steps for row in rows if row.seconds), 0)
    lines: dict[str, list[Row]] = {}
    for row in rows:
        if row.seconds and row.steps == steps:
            lines.setdefault(row.name, []).append(row)
    batches = sorted({row.batch for line in lines.values() for row in line})
    most = max((row.images_per_second for line in lines.values() for row in line), default=1.0) * 1.1

    def across(batch: int) -> float:
        # Even distances: batches double.
        return LEFT + (batches.index(batch) + 0.5) / len(batches) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18">Images a second against the batch, {steps} steps</text>',
        *(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(most * part / 5):.1f}" y2="{up(most * part / 5):.1f}" '
            f'stroke="#dddddd"/><text x="{LEFT - 6}" y="{up(most * part / 5) + 4:.1f}" text-anchor="end">'
            f"{most * part / 5:.2f}</text>"
            for part in range(6)
        ),
        *(
            f'<text x="{across(batch):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{batch}</text>'
            for batch in batches
        ),
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [(across(row.batch), up(row.images_per_second)) for row in sorted(line, key=lambda row: row.batch)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 18 * (number + 1)}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
