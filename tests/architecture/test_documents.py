"""What the repository says of itself is true: links lead somewhere, settings and decisions are written down."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from imagetron_chassis.settings import BaseServiceSettings

ROOT = Path(__file__).parents[2]
SERVICES = ["gateway", "prompt", "generator", "deriver", "publisher"]
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def tracked(*patterns: str) -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)

    broken = [target for target in _LINK.findall(text) if not (page.parent / target).exists()]

    assert broken == []


def test_the_configuration_page_is_generated_from_the_settings():
    check = [sys.executable, str(ROOT / "scripts" / "configuration_page.py"), "--check"]

    assert subprocess.run(check, capture_output=True, text=True, check=False).stderr == ""


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_described_and_frozen(service):
    settings: type[BaseServiceSettings] = import_module(f"imagetron_{service}.settings").Settings

    assert settings.model_config["frozen"] is True
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_page_that_names_what_it_takes_and_gives_its_settings_and_how_it_fails(service):
    page = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8").lower()

    assert [word for word in ("consumes", "publishes", "settings", "failure modes") if word not in page] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_in_two_lines(service):
    lines = (ROOT / "services" / service / "src" / f"imagetron_{service}" / "__main__.py").read_text().splitlines()

    body = [line for line in lines if line.strip() and not line.startswith(("import", "from", '"""'))]
    assert len(body) == 2


def test_every_decision_is_a_page_with_the_five_parts():
    for page in tracked("docs/adr/*.md"):
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives", "What enforces it"], page.name


def test_locked_requirements_have_hashes_and_no_download_addresses():
    locks = tracked("requirements/*.txt")

    assert {lock.name for lock in locks} == {"bootstrap.txt", "dev.txt", "runtime.txt", "sdxl.txt", "triton.txt"}
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        pins = len(re.findall(r"^[A-Za-z0-9_.-]+(?:\[[^]]+\])?==", text, flags=re.MULTILINE))
        assert pins
        assert "://" not in text
        assert len(re.findall(r"==[^\n]*\\\n    --hash=sha256:", text)) == pins


@pytest.mark.parametrize(
    "module",
    tracked("libs/**/*.py", "services/**/*.py", "cli/**/*.py", "deploy/**/*.py"),
    ids=lambda module: str(module.relative_to(ROOT)),
)
def test_every_module_says_what_lives_in_it(module):
    text = module.read_text(encoding="utf-8")

    assert text.startswith(('"""', 'r"""', "#!")), "the first line of a module is its docstring"


def test_the_environment_is_read_in_the_settings_only():
    readers = [
        str(path.relative_to(ROOT))
        for path in tracked("libs/**/*.py", "services/**/*.py")
        if re.search(r"os\.environ|getenv\(", path.read_text(encoding="utf-8"))
    ]

    assert readers == ["libs/chassis/src/imagetron_chassis/settings.py"]
