#!/usr/bin/env python3
"""Ask every model of a Triton server for a tiny picture, again and again, and load a model anew that does not answer.

    watch.py --url http://127.0.0.1:8003                  beside the server, for as long as it runs
    watch.py --url http://127.0.0.1:8003 --once sdxl      a liveness probe: status 1 if the model does not answer

Triton's own readiness stays true when a model's process has died, and every request to it then fails until the model is
loaded again. The server must run with --model-control-mode=explicit. Standard library only: it runs wherever Python does.
"""

import argparse
import json
import logging
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPException

log = logging.getLogger("watch")

# A CHECKPOINT without a name is the one in memory: asking must not load one, nor push one out.
PICTURE = {
    "CHECKPOINT": "",
    "PROMPT": "health",
    "NEGATIVE_PROMPT": "",
    "SEED": 0,
    "WIDTH": 64,
    "HEIGHT": 64,
    "STEPS": 1,
    "GUIDANCE": 0.0,
    "SCHEDULER": "",
}
# Whoever says one of these is alive: the model itself, or Triton because requests are waiting.
ALIVE = ("UNAVAILABLE:", "RESOURCE_EXHAUSTED:", "CONTENT_FILTERED:", "Exceeds maximum queue size", "timeout expired")
DEAD = "is not healthy"
SETTLE_SECONDS = 30.0
# Whatever proxy the environment names, the server is asked directly.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answer(Enum):
    PAINTS = "paints"
    FAILS = "fails"
    """It answers with an error that says nothing for its health: counted."""
    IS_DEAD = "is dead"
    IS_AWAY = "is away"
    """The server itself cannot be reached, or is stopping."""


@dataclass(frozen=True)
class Server:
    """`patience_seconds` is how long a picture may take: longer than the longest batch, behind which it may have to wait."""

    url: str
    patience_seconds: float
    load_seconds: float

    def models(self) -> list[str]:
        """Those that the server calls ready, dead or alive. Empty while it cannot be reached."""
        try:
            return [model["name"] for model in self._index() if model.get("state") == "READY"]
        except (OSError, HTTPException, ValueError):
            return []

    def ask(self, model: str) -> Answer:
        """The worst answer of all the model's instances: a dead one goes on taking its share of the requests."""
        try:
            groups = self._call(f"/v2/models/{model}/config", None, 5)["instance_group"]
        except urllib.error.HTTPError as refused:
            return self._judged(refused.read().decode(errors="replace"))
        except (OSError, HTTPException, ValueError):
            return Answer.IS_AWAY
        instances = sum(int(group["count"]) * max(1, len(group.get("gpus", []))) for group in groups)
        # Triton deals requests out to idle instances in turn, and a dead one is idle.
        answers = [self._ask(model) for _ in range(instances)]
        return next((answer for answer in answers if answer is not Answer.PAINTS), Answer.PAINTS)

    def _ask(self, model: str) -> Answer:
        try:
            wanted = {tensor["name"] for tensor in self._call(f"/v2/models/{model}", None, 5)["inputs"]}
            body = {name: value for name, value in PICTURE.items() if name in wanted}
            answer = self._post(f"/v2/models/{model}/generate_stream", body, self.patience_seconds)
        except urllib.error.HTTPError as refused:
            return self._judged(refused.read().decode(errors="replace"))
        except TimeoutError:
            log.warning("model %s has not answered for %.0f s", model, self.patience_seconds)
            return Answer.IS_DEAD
        except (OSError, HTTPException, ValueError) as error:
            return Answer.IS_DEAD if isinstance(getattr(error, "reason", None), TimeoutError) else Answer.IS_AWAY
        return Answer.PAINTS if '"IMAGE":[' in answer else self._judged(answer)

    def load_anew(self, model: str, *, is_dead: bool) -> Answer:
        """PAINTS when the model is loaded again. Loading alone does nothing when Triton sees no change in its files."""
        try:
            self._post(f"/v2/repository/models/{model}/unload", {}, 30)
            # A dead process never finishes unloading; a living one must, or two would hold the GPU's memory.
            until = time.monotonic() + (0 if is_dead else SETTLE_SECONDS)
            while time.monotonic() < until and self._state(model) == "UNLOADING":
                time.sleep(0.2)
            self._post(f"/v2/repository/models/{model}/load", {}, self.load_seconds)
        except urllib.error.HTTPError as refused:
            log.warning("model %s does not load: %.500s", model, refused.read().decode(errors="replace"))
            return Answer.FAILS
        except (OSError, HTTPException, ValueError) as error:
            log.warning("model %s could not be loaded: %s", model, error)
            return Answer.IS_AWAY
        return Answer.PAINTS

    def _judged(self, text: str) -> Answer:
        if DEAD in text:
            return Answer.IS_DEAD
        if any(sign in text for sign in ALIVE):
            return Answer.PAINTS
        if "no available versions" in text or "is not found" in text or "not ready" in text:
            return Answer.IS_AWAY
        log.warning("unexpected answer: %.200s", text)
        return Answer.FAILS

    def _state(self, model: str) -> str:
        return next((entry.get("state", "") for entry in self._index() if entry["name"] == model), "")

    def _index(self) -> list[dict[str, str]]:
        return json.loads(self._post("/v2/repository/index", {}, 5))

    def _call(self, path: str, body: "dict[str, object] | None", seconds: float) -> dict:
        return json.loads(self._post(path, body, seconds))

    def _post(self, path: str, body: "dict[str, object] | None", seconds: float) -> str:
        """The answer's text; a GET without a body."""
        request = urllib.request.Request(  # noqa: S310 the operator's own address
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with _OPENER.open(request, timeout=seconds) as response:
            return response.read().decode()


class Watch:
    """Remembers, from round to round, which models there are and which of them failed."""

    def __init__(self, server: Server, models: list[str]) -> None:
        self._server = server
        self._failures = dict.fromkeys(models, 0)
        self._lost: set[str] = set()
        """Unloaded, and then not loaded: Triton does not list them any more."""

    def round(self) -> None:
        for name in self._server.models():
            self._failures.setdefault(name, 0)
            self._lost.discard(name)
        for name in list(self._failures):
            self._look_at(name)

    def _look_at(self, name: str) -> None:
        answer = Answer.IS_DEAD if name in self._lost else self._server.ask(name)
        self._failures[name] = self._failures[name] + 1 if answer is Answer.FAILS else 0
        # One error may be a passing one; the same again is not: what CUDA once reports stays until the process ends.
        if answer is not Answer.IS_DEAD and self._failures[name] < 2:  # noqa: PLR2004 again
            return
        log.warning("model %s %s: loading it anew", name, answer.value)
        began = time.monotonic()
        loaded = self._server.load_anew(name, is_dead=answer is Answer.IS_DEAD)
        if loaded is Answer.PAINTS:
            log.warning("model %s is loaded again after %.1f s", name, time.monotonic() - began)
            self._failures[name] = 0
            self._lost.discard(name)
        elif loaded is Answer.FAILS:
            self._lost.add(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("models", nargs="*", help="names; without any, all that are found loaded")
    parser.add_argument("--url", default="http://127.0.0.1:8003", help="Triton's HTTP endpoint (%(default)s)")
    parser.add_argument("--interval-seconds", type=float, default=5.0, help="between two rounds (%(default)s)")
    parser.add_argument("--patience-seconds", type=float, default=300.0, help="for one picture (%(default)s)")
    parser.add_argument("--load-seconds", type=float, default=900.0, help="for loading a model (%(default)s)")
    parser.add_argument(
        "--once", action="store_true", help="ask once, load nothing; status 1 if a model does not answer"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    server = Server(arguments.url.rstrip("/"), arguments.patience_seconds, arguments.load_seconds)
    if arguments.once:
        models = arguments.models or server.models()
        return 0 if models and all(server.ask(model) is Answer.PAINTS for model in models) else 1
    watch = Watch(server, arguments.models)
    while True:
        watch.round()
        time.sleep(arguments.interval_seconds)


if __name__ == "__main__":
    sys.exit(main())
