"""Views a minute and peak memory: many views at once, one by one, and what others offer.

    python tests/benchmarks/batched.py [--shape 1b] [--views 18] [--tokens 80] [--turns 5] [--gpu]

Captions the same views of the same pictures by photosearch with 1, 4, 9 and 18 views at once, by
the loop that one would write with llama-cpp-python's `Llava15ChatHandler`, and by llama-server with
as many slots, if `--server-python` is a Python that has the wheel `xllamacpp`, or `--server` the
address of a llama-server of the same model. All are loaded, each in its own process, and take
turns, so that all have the same weather; equal threads, temperature 0, equally many tokens.

"Equal" is the share of photosearch's texts that are those of one by one. That needs a trained model
(`--model` and `--mmproj`): with the random weights of random_models.py the two likeliest words are
often closer to each other than what rounding changes between one view and many.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import psutil
from PIL import Image
from random_models import SHAPES, random_models

from photosearch.captioning.captioner import PhotoViews
from photosearch.captioning.models import CaptionerConfig
from photosearch.captioning.recipes import Recipe
from photosearch.domain import CAPTION_STAGES
from photosearch.imaging.crops import crop, views

QUESTION = "Describe this image in detail."
LLAVA_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
    f"USER: {{marker}}\n{QUESTION} ASSISTANT:"
)
ALL_VIEWS = tuple(view for stage in CAPTION_STAGES for view in views(stage))
_PICTURE_PX = (2016, 1512)
_VIEW_PX = 672

Captions = Callable[[Sequence[PhotoViews]], list[str]]
"""Captions all views of some photos: the texts, in the order of photos and views."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all candidates have in common."""

    model: Path
    mmproj: Path
    tokens: int
    threads: int
    gpu: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one candidate: medians over the turns; `ratio` to the plain handler in the same turn."""

    name: str
    views_a_minute: float
    ratio: float | None
    peak_mb: int | None
    equal: float | None


def ours(setting: Setting, sequences: int) -> Captions:
    """Return photosearch's captioner, with so many views at once."""
    from photosearch.captioning import stopping  # noqa: PLC0415
    from photosearch.captioning.llama.captioner import LlamaCaptioner  # noqa: PLC0415
    from photosearch.search.analysis import word_keys  # noqa: PLC0415

    # Random weights soon go round in circles, for which the others would not stop.
    stopping._LONGEST_PERIOD = 0
    budgets = {view.name: setting.tokens for view in ALL_VIEWS}
    config = CaptionerConfig(
        "random",
        setting.model,
        setting.mmproj,
        Recipe(QUESTION, max_tokens=budgets, stop_early=False),
        threads=setting.threads,
        gpu_layers=-1 if setting.gpu else 0,
        sequences=sequences,
        cache=setting.mmproj.parent / "cache",
    )
    captioner = LlamaCaptioner(config, word_keys)

    def caption(photos: Sequence[PhotoViews]) -> list[str]:
        said: dict[tuple[int, str], str] = {}
        for answer in captioner.caption(photos, Event()):
            if answer.error:
                raise answer.error
            said.update({(answer.key, c.view): c.raw or c.text for c in answer.captions})
        return [said[photo.key, view.name] for photo in photos for view in photo.views]

    return caption


def plain_handler(setting: Setting) -> Captions:
    """Return the plain loop over llama-cpp-python's own handler."""
    from llama_cpp import Llama  # noqa: PLC0415
    from llama_cpp.llama_chat_format import Llava15ChatHandler  # noqa: PLC0415

    llama = Llama(
        str(setting.model),
        chat_handler=Llava15ChatHandler(str(setting.mmproj), verbose=False),
        n_ctx=1024,
        n_threads=setting.threads,
        n_threads_batch=setting.threads,
        n_gpu_layers=-1 if setting.gpu else 0,
        verbose=False,
    )

    def caption(photos: Sequence[PhotoViews]) -> list[str]:
        texts = []
        for picture in _crops(photos):
            url = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
            question = [
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": QUESTION},
            ]
            answer: Any = llama.create_chat_completion(
                [{"role": "user", "content": question}],
                max_tokens=setting.tokens,
                temperature=0.0,
                repeat_penalty=1.0,
            )
            texts.append(answer["choices"][0]["message"]["content"])
        return texts

    return caption


def llama_server(setting: Setting, address: str, slots: int) -> Captions:
    """Return a client of llama-server that keeps so many slots busy."""
    client = httpx.Client(
        base_url=address, timeout=3600, limits=httpx.Limits(max_connections=slots)
    )
    marker = client.get("/props").raise_for_status().json().get("media_marker", "<__media__>")
    prompt = LLAVA_PROMPT.format(marker=marker)

    def ask(picture: bytes) -> str:
        request = {
            "prompt": {
                "prompt_string": prompt,
                "multimodal_data": [base64.b64encode(picture).decode()],
            },
            "n_predict": setting.tokens,
            "temperature": 0.0,
            "samplers": ["top_k"],
            "top_k": 1,
            "cache_prompt": False,
        }
        return str(client.post("/completion", json=request).raise_for_status().json()["content"])

    def caption(photos: Sequence[PhotoViews]) -> list[str]:
        with ThreadPoolExecutor(slots) as threads:
            return list(threads.map(ask, _crops(photos)))

    return caption


def _crops(photos: Sequence[PhotoViews]) -> list[bytes]:
    """Return the views as JPEG files of the size that photosearch would decode."""
    found = []
    for photo in photos:
        for view in photo.views:
            picture = crop(photo.image, view)
            picture.thumbnail((_VIEW_PX, _VIEW_PX), reducing_gap=2.0)
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=95)
            found.append(file.getvalue())
    return found


def pictures(views_wanted: int, seed: int) -> list[PhotoViews]:
    """Return pictures with so many views in all."""
    rng = random.Random(seed)
    photos: list[PhotoViews] = []
    while views_wanted > 0:
        # What is in it costs no time: large soft spots, different in each.
        coarse = Image.new("RGB", (16, 12))
        coarse.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(16 * 12)])
        image = coarse.resize(_PICTURE_PX, Image.Resampling.BICUBIC)
        photos.append(PhotoViews(len(photos), image, ALL_VIEWS[:views_wanted]))
        views_wanted -= len(ALL_VIEWS)
    return photos


class Candidate:
    """A way to caption, loaded in a process of its own. Owns the process; close() it."""

    def __init__(self, name: str, make: Callable[[], Captions], server: int | None = None) -> None:
        """`server` is the process that does the work, if that is another."""
        self.name = name
        self.speeds: list[float] = []
        self.texts: list[str] = []
        self.connection, child_end = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(child_end, make), daemon=True
        )
        self._process.start()
        child_end.close()
        self._worker = server or self._process.pid
        self._take_turn(1, seed=0)

    def take_turn(self, views_wanted: int, seed: int) -> None:
        """Caption so many views, and note how fast, and what was said."""
        seconds, texts = self._take_turn(views_wanted, seed)
        self.speeds.append(60 * views_wanted / seconds)
        self.texts += texts

    def _take_turn(self, views_wanted: int, seed: int) -> tuple[float, list[str]]:
        self.connection.send((views_wanted, seed))
        try:
            seconds, texts, problem = self.connection.recv()
        except EOFError:
            problem = "the process crashed"
        if problem:
            sys.exit(f"{self.name}: {problem}")
        return seconds, texts

    @property
    def peak_mb(self) -> int | None:
        """The most memory that the process had resident, where the system keeps that."""
        try:
            lines = Path(f"/proc/{self._worker}/status").read_text().splitlines()
        except OSError:
            return None
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self._process.join(10)
        self._process.kill()


def _serve(connection: Connection, make: Callable[[], Captions]) -> None:
    # The handler's llama.cpp says a dozen lines a picture whatever it is told.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        caption = make()
        while True:
            views_wanted, seed = connection.recv()
            photos = pictures(views_wanted, seed)
            started_s = time.perf_counter()
            texts = caption(photos)
            connection.send((time.perf_counter() - started_s, texts, ""))
    except EOFError:
        return
    except Exception:
        connection.send((0.0, [], traceback.format_exc()))


def started_server(python: Path, setting: Setting, slots: int, stack: ExitStack) -> tuple[str, int]:
    """Return address and process id of a llama-server that ends with `stack`."""
    command = [
        *(str(python), str(Path(__file__).with_name("slot_server.py"))),
        *(str(setting.model), str(setting.mmproj), "--slots", str(slots)),
        *("--threads", str(setting.threads), "--gpu-layers", "-1" if setting.gpu else "0"),
    ]
    log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdin is not None and process.stdout is not None
    stack.callback(process.kill)
    stack.callback(process.stdin.close)
    address = process.stdout.readline().strip()
    if not address:
        sys.exit(f"llama-server does not start: {log.read_text()[-2000:]}")
    return address, process.pid


def measure(
    setting: Setting,
    *,
    sequences: Sequence[int],
    views_wanted: int,
    turns: int,
    server_slots: Sequence[int] = (),
    server_python: Path | None = None,
    server: str = "",
) -> list[Figures]:
    """Return the figures of all candidates, the plain handler's first."""
    with ExitStack() as stack:
        candidates: list[Candidate] = []

        def add(name: str, make: Callable[[], Captions], process: int | None = None) -> None:
            print(f"loading {name}", file=sys.stderr)
            candidates.append(Candidate(name, make, process))
            stack.callback(candidates[-1].close)

        add("Llava15ChatHandler", partial(plain_handler, setting))
        for count in sequences:
            add(f"photosearch, {count} at once", partial(ours, setting, count))
        for slots in server_slots if server_python else ():
            assert server_python is not None
            address, process = started_server(server_python, setting, slots, stack)
            serving = partial(llama_server, setting, address, slots)
            add(f"llama-server, {slots} slots", serving, process)
        if server:
            slots = max(server_slots)
            serving = partial(llama_server, setting, server, slots)
            add(f"{server}, {slots} requests", serving)
        for turn in range(turns):
            print(f"turn {turn + 1} of {turns}", file=sys.stderr)
            # Each is first in its turn, as the first may have it cooler.
            for number in range(len(candidates)):
                candidates[(number + turn) % len(candidates)].take_turn(views_wanted, turn + 1)
        plain, single = candidates[0], candidates[1]
        return [
            Figures(
                candidate.name,
                statistics.median(candidate.speeds),
                statistics.median(
                    a / b for a, b in zip(candidate.speeds, plain.speeds, strict=True)
                ),
                candidate.peak_mb if not candidate.name.startswith("http") else None,
                # The others get JPEG files, and the handler another prompt.
                _equal_share(candidate.texts, single.texts)
                if candidate.name.startswith("photosearch")
                else None,
            )
            for candidate in candidates
        ]


def _equal_share(a: Sequence[str], b: Sequence[str]) -> float:
    return sum(x.strip() == y.strip() for x, y in zip(a, b, strict=True)) / len(a)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "random-models"
    )
    parser.add_argument("--model", type=Path, help="a language model instead of --shape")
    parser.add_argument("--mmproj", type=Path, help="its projector")
    parser.add_argument("--sequences", type=int, nargs="+", default=[1, 4, 9, 18])
    parser.add_argument("--server-slots", type=int, nargs="+", help="as --sequences, if not given")
    parser.add_argument("--views", type=int, default=len(ALL_VIEWS), help="views a turn")
    parser.add_argument("--tokens", type=int, default=80, help="tokens an answer")
    parser.add_argument("--turns", type=int, default=5)
    cores = psutil.cpu_count(logical=False) or 1
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--gpu", action="store_true", help="put all layers on the GPU")
    parser.add_argument("--server-python", type=Path, help="a Python with xllamacpp")
    parser.add_argument("--server", default="", help="address of a running llama-server")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    if arguments.model:
        pair = arguments.model, arguments.mmproj
    else:
        pair = random_models(arguments.folder, arguments.shape)
    setting = Setting(*pair, arguments.tokens, arguments.threads, arguments.gpu)
    figures = measure(
        setting,
        sequences=arguments.sequences,
        views_wanted=arguments.views,
        turns=arguments.turns,
        server_slots=arguments.server_slots or arguments.sequences,
        server_python=arguments.server_python,
        server=arguments.server,
    )
    print(f"{'':30}{'views a minute':>16}{'ratio':>8}{'peak MB':>10}{'equal':>8}")
    for f in figures:
        memory = "" if f.peak_mb is None else str(f.peak_mb)
        equal = "" if f.equal is None else f"{f.equal:.0%}"
        print(f"{f.name:30}{f.views_a_minute:16.2f}{f.ratio:8.2f}{memory:>10}{equal:>8}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(f) for f in figures], indent=1))


if __name__ == "__main__":
    main()
