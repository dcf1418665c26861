"""The commands that measure: eval labels, joined, captions, feedback, plans, words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from photosearch import console
from photosearch.cli.common import EXIT_DONE
from photosearch.domain import Caption, display_path
from photosearch.errors import UsageError

if TYPE_CHECKING:  # NumPy and the search engine are slow to import, and most commands need none.
    from photosearch.captioning.clip import ClipModel
    from photosearch.evaluation.datasets import EvaluationSet
    from photosearch.evaluation.rankers import Ranker, ScratchLibrary
    from photosearch.evaluation.report import Report

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EXISTING = click.Path(exists=True, path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path)
_PLOTS = (".png", ".svg", ".pdf")
_BM25, _APP, _PLAIN_WORDS = "bm25s", "photosearch", "no-lexicon"
_CLIP, _HYBRID = "clip", "hybrid"
_NAMES_OF = MappingProxyType(
    {
        _APP: "photosearch",
        _PLAIN_WORDS: "photosearch without lexicon",
        _HYBRID: "photosearch with CLIP",
    }
)


@click.group("eval")
def evaluate() -> None:
    """Measure search as the paper does, on data sets that you have.

    DATA is a folder of PASCAL VOC or NUS-WIDE, or a file: COCO's instances (.json, with --human for
    its captions), Flickr30k (.token), Karpathy's lists (.json), or JSON lines (.jsonl, .jsonl.gz).
    """


def _data_options(command: _Command) -> _Command:
    for option in (
        click.argument("data", type=_EXISTING),
        click.option("--split", default="", help="A part of the set: VOC test, NUS-WIDE Test, …"),
        click.option("--human", type=_EXISTING, help="COCO's captions file, beside its instances."),
        click.option(
            "--captions",
            "captions_file",
            type=_EXISTING,
            help="Captions of `photosearch captions export`, or JSON lines with file_name, text.",
        ),
        click.option("--photos", type=_EXISTING, help="The folder that holds the photos."),
        click.option(
            "--half", type=click.Choice(["0", "1"]), help="Only photos of even (0) or odd numbers."
        ),
        click.option("--difficult", is_flag=True, help="Count VOC's difficult objects, too."),
        click.option("--json", "json_file", type=_OUTPUT, help="Write the figures as JSON."),
        click.option("--plot", type=_OUTPUT, help="Draw them: .png, .svg or .pdf."),
    )[::-1]:
        command = option(command)
    return command


def _ranking_options(command: _Command) -> _Command:
    for option in (
        click.option(
            "--ranking",
            "rankings",
            type=click.Choice([_BM25, _APP, _PLAIN_WORDS, _CLIP, _HYBRID]),
            multiple=True,
            default=(_BM25, _APP),
            show_default=True,
            help="What is measured; give it several times.",
        ),
        *_CLIP_OPTIONS,
    )[::-1]:
        command = option(command)
    return command


_CLIP_OPTIONS = (
    click.option(
        "--clip-model", default="ViT-B-32", show_default=True, help="As open_clip names it."
    ),
    click.option(
        "--clip-checkpoint",
        type=_EXISTING,
        help="The file of the model's weights, or a folder that says itself what it holds.",
    ),
)
_SEED = click.option("--seed", type=int, default=0, show_default=True, help="For what is drawn.")
_NAMES = click.option(
    "--names",
    "names_file",
    type=_EXISTING,
    help="What to type for labels: a line each, LABEL, a tab, WORDS.",
)


@evaluate.command()
@_data_options
@_ranking_options
@_NAMES
@click.option("--categories", is_flag=True, help="Each label by itself (Figure 8).")
def labels(categories: bool, names_file: Path | None, **options: Any) -> int:
    """Labels as queries: PR-AUC, its share of the perfect."""
    from photosearch.evaluation import experiment  # noqa: PLC0415

    data = _read(options)
    names = _read_names(names_file)
    with _rankers(data, _documents(data), options, tails=True) as rankers:
        measure = experiment.categories if categories else experiment.labels
        return _give(measure(data, rankers, names=names), options)


@evaluate.command()
@_data_options
@_ranking_options
@_SEED
@click.option(
    "--count", type=click.IntRange(min=1), help="So many labels at random, instead of all."
)
def joined(count: int | None, seed: int, **options: Any) -> int:
    """All labels of a photo, or some, as one query."""
    from photosearch.evaluation import experiment  # noqa: PLC0415

    data = _read(options)
    with _rankers(data, _documents(data), options, tails=True) as rankers:
        return _give(experiment.joined(data, rankers, count=count, seed=seed), options)


@evaluate.command("captions")
@_data_options
@_ranking_options
@click.option(
    "--number", type=click.IntRange(min=1), default=1, show_default=True, help="Which caption."
)
def captions_(number: int, **options: Any) -> int:
    """People's captions as queries for their photos.

    Where there are no captions of a model, the other captions of people are searched.
    """
    from photosearch.evaluation import experiment  # noqa: PLC0415

    data = experiment.captioned(_read(options), number - 1)
    documents = _documents(data, number - 1)
    with _rankers(data, documents, options) as rankers:
        return _give(experiment.captions(data, rankers, which=number - 1), options)


@evaluate.command()
@_data_options
@_ranking_options
@_SEED
@click.option("--steps", type=click.IntRange(1, 20), default=5, show_default=True)
def feedback(steps: int, seed: int, **options: Any) -> int:
    """R@1 as labels are added to a query one by one."""
    from photosearch.evaluation import experiment  # noqa: PLC0415

    data = _read(options)
    with _rankers(data, _documents(data, 0), options) as rankers:
        return _give(experiment.feedback(data, rankers, steps=steps, seed=seed), options)


@evaluate.command()
@_data_options
@_ranking_options
def plans(**options: Any) -> int:
    """PR-AUC by the number of views of a photo.

    With --clip-checkpoint also how well the captions fit their views, and the photo: CLIPScore.
    """
    from photosearch.evaluation import experiment  # noqa: PLC0415

    data = _read(options)
    clip = _load_clip(options) if options["clip_checkpoint"] is not None else None

    def make_rankers(
        documents: Sequence[Sequence[Caption]],
    ) -> AbstractContextManager[Sequence[Ranker]]:
        return _rankers(data, documents, options)

    return _give(experiment.plans(data, make_rankers, clip), options)


@evaluate.command()
@_data_options
@click.option("--query", default="", help="Only of the photos that this finds.")
@click.option("--cloud", type=_OUTPUT, help="Draw the word cloud: a .png file.")
@click.option("--count", type=click.IntRange(1, 100), default=15, show_default=True)
def words(query: str, cloud: Path | None, count: int, **options: Any) -> int:
    """The most frequent words, as bars (--plot) and a cloud."""
    from photosearch.clouds import write_png  # noqa: PLC0415
    from photosearch.evaluation import experiment, rankers  # noqa: PLC0415

    if cloud is not None and cloud.suffix.lower() != ".png":
        raise UsageError("--cloud writes a PNG picture: give it a name that ends in .png")
    data = _read(options)
    with rankers.ScratchLibrary(_documents(data)) as scratch:
        report, found = experiment.words(data, scratch, query=query, limit=count)
    if cloud is not None:
        with console.writing(display_path(cloud)):
            write_png(found, cloud)
    return _give(report, options)


def _documents(data: EvaluationSet, without: int | None = None) -> Sequence[Sequence[Caption]]:
    from photosearch.evaluation import experiment  # noqa: PLC0415

    documents = experiment.documents(data, without=without)
    if not any(documents):
        raise UsageError(
            f"{data.name} holds no captions to search: give those of a model (--captions), or of "
            "people (--human)."
        )
    return documents


def _read(options: dict[str, Any]) -> EvaluationSet:
    from photosearch.evaluation import datasets  # noqa: PLC0415

    plot: Path | None = options["plot"]
    if plot is not None and plot.suffix.lower() not in _PLOTS:
        raise UsageError(f"--plot draws {', '.join(_PLOTS)} files: {display_path(plot)} is none.")
    data = datasets.read(options["data"], split=options["split"], human=options["human"])
    if options["difficult"]:
        data = data.with_difficult()
    if options["captions_file"] is not None:
        data = datasets.join_captions(data, options["captions_file"], options["photos"])
    elif options["photos"] is not None:
        data = datasets.with_pictures(data, options["photos"])
    return data if options["half"] is None else data.half(int(options["half"]))


def _read_names(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{display_path(path)} can't be read as UTF-8 text.") from error
    names = {}
    for number, line in enumerate(lines, 1):
        label, tab, words = line.partition("\t")
        if not tab and line.strip():
            raise UsageError(f"{display_path(path)}, line {number}: it holds no tab.")
        names[label.strip()] = words.strip()
    return names


@contextmanager
def _rankers(
    data: EvaluationSet,
    documents: Sequence[Sequence[Caption]],
    options: dict[str, Any],
    *,
    tails: bool = False,
) -> Iterator[list[Ranker]]:
    """Yield what was asked for; with `tails` also rankings that go on behind what matches."""
    from photosearch.evaluation import rankers  # noqa: PLC0415

    found: list[Ranker] = []
    pictures = [item.picture for item in data.items]
    with ExitStack() as stack:
        for ranking in dict.fromkeys(options["rankings"]):
            if ranking == _BM25:
                plain = rankers.PlainBm25(documents)
                found += [plain, rankers.WholeRanking(plain, len(data))] if tails else [plain]
            elif ranking == _CLIP:
                from photosearch.evaluation.clip import ClipRanker  # noqa: PLC0415

                found.append(ClipRanker(_load_clip(options), pictures))
            else:
                scratch = stack.enter_context(_scratch(ranking, documents, pictures, options))
                name = _NAMES_OF[ranking]
                found.append(rankers.AppRanker(scratch, name=name))
                if tails:
                    name += ", related"
                    found.append(rankers.AppRanker(scratch, related=True, name=name))
        yield found


def _scratch(
    ranking: str,
    documents: Sequence[Sequence[Caption]],
    pictures: Sequence[Path | None],
    options: dict[str, Any],
) -> ScratchLibrary:
    from photosearch.evaluation import rankers  # noqa: PLC0415

    if ranking != _HYBRID:
        return rankers.ScratchLibrary(documents, lexicon=ranking == _APP)
    from photosearch.captioning.clip import choose_clip  # noqa: PLC0415
    from photosearch.evaluation.clip import all_there  # noqa: PLC0415

    choice = choose_clip(options["clip_model"], _checkpoint(options))
    return rankers.ScratchLibrary(documents, clip=choice, pictures=all_there(pictures))


def _checkpoint(options: dict[str, Any]) -> Path:
    checkpoint: Path | None = options["clip_checkpoint"]
    if checkpoint is None:
        raise UsageError("CLIP needs its weights: give their file or folder as --clip-checkpoint.")
    return checkpoint


def _load_clip(options: dict[str, Any]) -> ClipModel:
    from photosearch.captioning.clip import ClipModel  # noqa: PLC0415

    return ClipModel.load(options["clip_model"], _checkpoint(options))


def _give(report: Report, options: dict[str, Any]) -> int:
    for line in report.text():
        click.echo(line)
    json_file: Path | None = options["json_file"]
    plot: Path | None = options["plot"]
    if json_file is not None:
        with console.writing(display_path(json_file)):
            json_file.write_text(json.dumps(report.json(), indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        with console.writing(display_path(plot)):
            report.draw(plot)
    return EXIT_DONE


COMMANDS = (evaluate,)
