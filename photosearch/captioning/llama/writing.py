"""Writes about many views at once: each in a slot, the next one where a slot falls free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from PIL import Image

from photosearch.captioning.captioner import PhotoAnswer, PhotoViews
from photosearch.captioning.cleaning import clean
from photosearch.captioning.llama.loading import Chunk, Embeddings, LoadedModel, TokenizedPrompt
from photosearch.captioning.llama.prompt import Prompt
from photosearch.captioning.llama.slots import SlotContext
from photosearch.captioning.recipes import Recipe
from photosearch.captioning.stopping import Answer, Words
from photosearch.domain import View, ViewCaption
from photosearch.errors import CaptionError, PhotosearchError
from photosearch.imaging.crops import crop

LEAST_ANSWER = 16
"""An answer for which there is room for fewer tokens is not worth asking for."""

# Vision towers refuse or end the process on slivers; the rest is filled with LLaVA's padding.
_MOST_ASPECT = 20
_PADDING = (122, 116, 104)

# A large model takes seconds for a step, and minutes for an answer.
_STEPS_A_SIGN = 16

Need = Callable[[TokenizedPrompt], int]
"""Returns how many tokens a conversation may take; raises CaptionError for too many."""
Enlarge = Callable[[TokenizedPrompt], SlotContext]
"""Returns an empty context for such conversations in place of the old one."""


@dataclass(slots=True)
class _Photo:
    key: int
    known: frozenset[str]
    views_left: int
    failed: bool = False


@dataclass(slots=True)
class _View:
    """A view that is asked about: the question, the answer so far, and what was said before it.

    `start` is the position where the answer begins, `token` the one to be taken in next.
    `picture` and `seen` are kept for a conversation that must be told anew.
    """

    photo: _Photo
    view: View
    prompt: TokenizedPrompt
    picture: Image.Image | None
    answer: Answer
    seen: list[Embeddings] = field(default_factory=list)
    start: int = 0
    token: int = -1
    captions: list[ViewCaption] = field(default_factory=list)


class Writing:
    """One run over some photos; to be closed, also when it did not end.

    `side` is that of the square that the vision tower looks at; pictures are shown at most
    `longest` pixels long where there is none.
    """

    def __init__(
        self,
        model: LoadedModel,
        context: SlotContext,
        prompt: Prompt,
        recipe: Recipe,
        words: Words,
        need: Need,
        enlarge: Enlarge,
        *,
        side: int | None,
        longest: int,
    ) -> None:
        self._model, self._context, self._prompt = model, context, prompt
        self._recipe, self._words = recipe, words
        self._need, self._enlarge = need, enlarge
        self._side, self._longest = side, longest
        self._bridge = model.tokens_of(prompt.bridge) if prompt.bridge else []
        # Where what was said can't be gone on from, all is said again about the same picture.
        self._retells = bool(recipe.follow_up) and (prompt.bridge is None or not model.keeps_past)
        self._active: dict[int, _View] = {}
        self._next: _View | None = None

    def close(self) -> None:
        """Free the views that were not finished; may be called twice."""
        for view in (*self._active.values(), *filter(None, [self._next])):
            view.prompt.close()
        self._active.clear()
        self._next = None

    def run(self, photos: Iterable[PhotoViews]) -> Iterator[PhotoAnswer]:
        """Yield what is written about `photos`. Raises Interrupted."""
        views = self._views(photos)
        steps = 0
        while True:
            while (slot := self._free_slot()) is not None:
                found = self._take_next(views)
                if found is None:
                    break
                if isinstance(found, PhotoAnswer):
                    yield found
                else:
                    yield from self._begin(slot, found)
            if not self._active:
                return
            yield from self._step()
            steps += 1
            if steps % _STEPS_A_SIGN == 0 and self._active:
                yield PhotoAnswer(next(iter(self._active.values())).photo.key)

    def _free_slot(self) -> int | None:
        if not self._active:
            self._context.clear_all()
        free = (n for n in self._context.usable_slots() if n not in self._active)
        return next(free, None)

    def _views(self, photos: Iterable[PhotoViews]) -> Iterator[_View | PhotoAnswer]:
        for photo in photos:
            work = _Photo(photo.key, photo.known, len(photo.views))
            if not photo.views:
                yield PhotoAnswer(photo.key, finished=True)
            for view in photo.views:
                if work.failed:
                    break
                self._model.interrupt.check()
                picture = fitted(crop(photo.image, view), self._side, self._longest)
                try:
                    prompt = self._model.tokenized(self._prompt.first, picture)
                except CaptionError as error:
                    yield self._failed(work, error)
                    break
                answer = self._new_answer(view, photo.known)
                kept = picture if self._retells else None
                yield _View(work, view, prompt, kept, answer)
            # The next photo is decoded while this one would wait for it.
            del photo
            self._model.interrupt.check()

    def _take_next(self, views: Iterator[_View | PhotoAnswer]) -> _View | PhotoAnswer | None:
        """Return the next view if it can begin now, an answer, or None: none is left, or it waits.

        A view that needs a larger context waits until no other is being written.
        """
        if self._next is None:
            found = next(views, None)
            if not isinstance(found, _View):
                return found
            self._next = found
        view = self._next
        try:
            if self._need(view.prompt) > self._context.tokens:
                if self._active:
                    return None
                self._context = self._enlarge(view.prompt)
                if self._need(view.prompt) > self._context.tokens:
                    raise CaptionError("There is not enough memory for a picture of this size.")
        except CaptionError as error:
            self._next = None
            view.prompt.close()
            return self._failed(view.photo, error)
        self._next = None
        return view

    def _begin(self, slot: int, view: _View) -> Iterator[PhotoAnswer]:
        if view.photo.failed:
            view.prompt.close()
            return
        self._active[slot] = view
        try:
            token = self._context.begin(slot, view.prompt, self._looking(view))
            view.start = self._context.position(slot)
            answer = self._advance(slot, view, token)
        except CaptionError as error:
            answer = self._failed(view.photo, error, view.captions)
        # Without an answer yet, a sign of life: taking in a picture takes long.
        yield answer or PhotoAnswer(view.photo.key)

    def _looking(self, view: _View) -> Callable[[int, Chunk], Embeddings]:
        def look(number: int, chunk: Chunk) -> Embeddings:
            if number < len(view.seen):
                return view.seen[number]
            embeddings = self._model.encode(chunk)
            if self._retells:
                view.seen.append(embeddings)
            return embeddings

        return look

    def _step(self) -> Iterator[PhotoAnswer]:
        self._model.interrupt.check()
        tokens = self._context.step({slot: view.token for slot, view in self._active.items()})
        for slot, token in tokens.items():
            view = self._active.get(slot)
            # Another view of its photo may have failed just now.
            if view is None:
                continue
            if isinstance(token, PhotosearchError):
                yield self._failed(view.photo, token, view.captions)
                continue
            try:
                answer = self._advance(slot, view, token)
            except CaptionError as error:
                answer = self._failed(view.photo, error, view.captions)
            if answer:
                yield answer

    def _advance(self, slot: int, view: _View, token: int) -> PhotoAnswer | None:
        """Take in the next token of the answer; return the captions if it was the last."""
        answer = view.answer
        if self._model.is_end(token):
            answer.finish()
        elif not (
            answer.add(token, self._model.piece(token))
            # The last token itself need not be taken in.
            or self._context.room(slot) < 1
        ):
            view.token = token
            return None
        asked = self._recipe.follow_up if view.captions else self._recipe.question
        text = clean(answer.kept, ended=answer.ended, question=asked)
        raw = answer.written if answer.written.strip() != text else ""
        if view.captions:
            # A second answer that says nothing is none.
            if text:
                view.captions.append(ViewCaption(view.view.name, text, raw=raw, prompt=asked))
        else:
            view.captions.append(ViewCaption(view.view.name, text, raw=raw))
            if text and self._recipe.follow_up:
                known = view.photo.known | self._words(text)
                view.answer = self._new_answer(view.view, known)
                first = self._ask_again(slot, view, answer)
                if first is not None:
                    view.start = self._context.position(slot)
                    return self._advance(slot, view, first)
        return self._finished(slot, view)

    def _ask_again(self, slot: int, view: _View, first: Answer) -> int | None:
        """Ask the follow-up and return its answer's first token, or None where there is no room."""
        context = self._context
        if not self._retells:
            taken_in = context.position(slot) - view.start
            context.take_back(slot, view.start + first.kept_tokens)
            tokens = [*first.tokens[taken_in : first.kept_tokens], *self._bridge]
            if context.room(slot) < len(tokens) + LEAST_ANSWER:
                return None
            return context.go_on(slot, tokens)
        assert view.picture is not None
        said = first.kept.replace(self._model.marker, "")
        prompt = self._model.tokenized(self._prompt.second(said), view.picture)
        view.prompt.close()
        view.prompt = prompt
        if context.tokens < prompt.size + LEAST_ANSWER:
            return None
        return context.begin(slot, prompt, self._looking(view))

    def _new_answer(self, view: View, known: frozenset[str]) -> Answer:
        words = self._words if self._recipe.stop_early else None
        return Answer(self._recipe.budget(view.name), known=known, words=words)

    def _finished(self, slot: int, view: _View) -> PhotoAnswer:
        self._release(slot)
        view.photo.views_left -= 1
        return PhotoAnswer(
            view.photo.key, tuple(view.captions), finished=view.photo.views_left == 0
        )

    def _failed(
        self, photo: _Photo, error: PhotosearchError, said: Sequence[ViewCaption] = ()
    ) -> PhotoAnswer:
        """Give a photo up; what was `said` before its follow-up failed is kept."""
        photo.failed = True
        for slot, view in list(self._active.items()):
            if view.photo is photo:
                self._release(slot)
        return PhotoAnswer(photo.key, tuple(said), error=error)

    def _release(self, slot: int) -> None:
        self._active.pop(slot).prompt.close()
        self._context.clear(slot)


def fitted(view: Image.Image, side: int | None, longest: int) -> Image.Image:
    """Return the RGB picture to show: as large as the vision tower looks, never a sliver."""
    width, height = view.size
    longer = max(width, height)
    shown = side or min(longer, longest)
    # Pillow smooths what it makes smaller, as the models were trained; llama.cpp does not.
    size = (max(1, round(width * shown / longer)), max(1, round(height * shown / longer)))
    rgb = view if view.mode == "RGB" else view.convert("RGB")
    picture = rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    least = -(-shown // _MOST_ASPECT)
    if min(size) >= least:
        return picture
    padded = Image.new("RGB", (max(size[0], least), max(size[1], least)), _PADDING)
    padded.paste(picture, ((padded.width - size[0]) // 2, (padded.height - size[1]) // 2))
    return padded
