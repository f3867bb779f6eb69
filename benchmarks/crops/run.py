"""How much of a picture's subject crops keep: the deriver's, the centre, Sharp's two strategies. `npm ci` here first.

Writes a table, the detector's processor time, and with `--sheet` a picture of some crops.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parents[1]))

from crops.album import FOLDER, Picture, pictures
from crops.measures import Case, Cropping, Result, Summary, cases, centred, found_in, measured, ours
from crops.sheet import sheet
from PIL import Image

from imagetron_deriver.adapters.imaging import detecting
from imagetron_deriver.domain.windows import Window

RENDERS = ((1344, 768), (1920, 1080))


def sharps(strategy: str, of: Sequence[Case], folder: Path) -> Cropping:
    """Where Sharp cuts, asked for all at once."""
    asked, lines = [], []
    for case in of:
        file = folder / f"{case.picture.name}.png"
        if not file.exists():
            case.picture.image.save(file, compress_level=1)
        size = centred(case.picture, case.target)
        asked.append(((case.picture.name, case.target), size))
        lines.append(json.dumps({"file": str(file), "width": size.width, "height": size.height, "strategy": strategy}))
    told = subprocess.run(
        ["node", "sharp.js"],  # noqa: S607 - whichever node there is
        cwd=FOLDER,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    windows = {
        key: Window(place["left"], place["top"], size.width, size.height)
        for (key, size), place in zip(asked, map(json.loads, told), strict=True)
    }
    return lambda picture, target: windows[picture.name, target]


def detector_milliseconds(album: Sequence[Picture], size: tuple[int, int]) -> list[float]:
    """Processor time of one look at each picture, stretched to a size; of three looks the shortest."""
    spent = []
    for picture in album:
        image = picture.image.resize(size, Image.Resampling.BICUBIC)
        looks = []
        for _ in range(3):
            started = time.process_time()
            detecting.detect(image)
            looks.append(1000 * (time.process_time() - started))
        spent.append(min(looks))
    return spent


def print_table(rows: dict[str, list[Result]]) -> None:
    print("| crops | kept of the best possible | photographs | composites | worst | faces cut | turned away, cut |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, results in rows.items():
        total = Summary.of(results)
        parts = [
            Summary.of([result for result in results if result.case.picture.is_composite == is_composite]).mean
            for is_composite in (False, True)
        ]
        print(
            f"| {name} | {total.mean:.1%} | {parts[0]:.1%} | {parts[1]:.1%} | {total.worst:.1%} "
            f"| {total.faces_cut} | {total.turned_away_cut} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, help="draw crops into this PNG")
    parser.add_argument("--without-sharp", action="store_true")
    options = parser.parse_args()
    detecting.prepare()
    album = list(pictures())
    every = cases(album)
    findings = {picture.name: found_in(picture) for picture in album}
    rows = {"ours": measured(ours(findings), every), "centre": measured(centred, every)}
    if not options.without_sharp:
        with tempfile.TemporaryDirectory() as folder:
            for strategy in ("attention", "entropy"):
                rows[f"Sharp, {strategy}"] = measured(sharps(strategy, every, Path(folder)), every)
    fitting = sum(case.most_faces for case in every), sum(case.most_turned_away for case in every)
    print(
        f"{detecting.DETECTOR}\n{len(album)} pictures, {len(every)} crops; heads that fit: {fitting[0]}, {fitting[1]}\n"
    )
    print_table(rows)
    print("\nfurthest from the best:")
    for result in sorted(rows["ours"], key=lambda result: result.share)[:12]:
        print(f"  {result.share:6.1%} {result.case.picture.name} as {result.case.family}")
    for size in RENDERS:
        spent = sorted(detector_milliseconds(album, size))
        load = os.getloadavg()[0]
        print(
            f"\nlooking at {size[0]}x{size[1]}: processor time mean {mean(spent):.0f} ms, median {median(spent):.0f} ms, "
            f"most {spent[-1]:.0f} ms (load {load:.1f})"
        )
    if options.sheet:
        sheet({picture.name: picture for picture in album}, findings).save(options.sheet, optimize=True)


if __name__ == "__main__":
    main()
