"""The upscaler's engine on the CPU, without Triton."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[5]
# As Triton does: the model's folder is on the path, and is not a package of ours.
sys.path.insert(0, str(ROOT / "deploy" / "triton" / "model_repository" / "upscaler" / "1"))
sys.path.insert(0, str(Path(__file__).parents[1]))
