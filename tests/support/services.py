"""The five services as processes of their own, over a broker and a model's server that the test has."""

from collections.abc import Callable
from pathlib import Path

from support.service_process import ServiceProcess, StartService

WORKERS = ("prompt", "generator", "deriver", "publisher")


class Services:
    """All five, ready. `environ` is everybody's environment; each takes its own part of it."""

    def __init__(self, start: StartService, folder: Path, **environ: str) -> None:
        self._folder = folder
        shared = {
            "STORAGE_PATH": str(folder / "objects"),
            "GATEWAY_DOCUMENTS_URL": f"sqlite:///{folder}/gateway.sqlite3",
            "PROMPT_DOCUMENTS_URL": f"sqlite:///{folder}/prompt.sqlite3",
            "GENERATOR_DOCUMENTS_URL": f"sqlite:///{folder}/generator.sqlite3",
            "LOG_FORMAT": "json",
            **environ,
        }
        start_one: Callable[[str], ServiceProcess] = lambda name: start(  # noqa: E731 - shorter than a nested function
            name,
            SPANS_FILE=str(folder / f"{name}.spans.jsonl"),
            **{key: value for key, value in shared.items() if _is_for(name, key)},
        )
        self.processes = {name: start_one(name) for name in ("gateway", *WORKERS)}
        for process in self.processes.values():
            process.until_ready()

    @property
    def url(self) -> str:
        return self.processes["gateway"].url

    def spans(self) -> list[Path]:
        """One file a service, of JSON lines."""
        return sorted(self._folder.glob("*.spans.jsonl"))

    @property
    def output(self) -> str:
        """What all of them wrote."""
        return "\n".join(process.output for process in self.processes.values())


def _is_for(service: str, variable: str) -> bool:
    """Services refuse variables of their own prefix that they do not know; others' are nothing to them."""
    prefix = variable.partition("_")[0].lower()
    return prefix not in {"gateway", *WORKERS} or prefix == service
