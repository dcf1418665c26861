"""What a user can set: `settings.toml` in the library's folder, every key with its meaning.

Each setting is declared once, below. The file, its checks, `photosearch settings` and the sample
in resources/ all follow from that.
"""

from __future__ import annotations

import errno
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import msgspec
import tomlkit
from msgspec import Meta
from tomlkit.exceptions import TOMLKitError

from photosearch.domain import display_path
from photosearch.errors import DiskFullError, UnavailableError, UsageError
from photosearch.paths import write_at_once

Value = bool | int | str

_CLOCK = r"([01]?\d|2[0-3])(:[0-5]\d)?"
_SPAN = rf"{_CLOCK} ?[-–] ?({_CLOCK}|24(:00)?)"
_HOURS = rf"^({_SPAN}( ?, ?{_SPAN})*)?\Z"
_ONE_LINE = r"^[^\x00-\x1f\x7f]*\Z"


@dataclass(frozen=True, slots=True)
class CaptionSettings:
    """How photos are captioned."""

    plan: Annotated[
        str, Meta(pattern=_ONE_LINE, max_length=100, description="Which views get a caption.")
    ] = "standard"
    prompts: Annotated[
        str,
        Meta(
            pattern=_ONE_LINE,
            max_length=100,
            description="What the model is asked; empty for what the plan is meant for.",
        ),
    ] = ""
    language: Annotated[
        str,
        Meta(
            pattern=_ONE_LINE,
            max_length=100,
            description='The language of captions, as "German"; empty for the model\'s own.',
        ),
    ] = ""
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="Threads that caption; 0 for one a physical core.")
    ] = 0
    gpu_layers: Annotated[
        int, Meta(ge=-1, le=10_000, description="Layers of the model on the GPU; -1 for all.")
    ] = -1
    sequences: Annotated[
        int,
        Meta(ge=0, le=256, description="Views captioned at once; 0 for what memory allows."),
    ] = 0
    memory_mb: Annotated[
        int,
        Meta(ge=0, le=16_000_000, description="Memory for captioning in MiB; 0 to have it chosen."),
    ] = 0


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """When photos are captioned. All of it must allow it."""

    hours: Annotated[
        str,
        Meta(
            pattern=_HOURS,
            description='Caption only in these hours, as "22:00-07:00, 12:00-13:00"; '
            "empty for any.",
            extra={"expects": "hours such as 22:00-07:00, several joined by commas, or nothing"},
        ),
    ] = ""
    idle_minutes: Annotated[
        int,
        Meta(
            ge=0,
            le=1440,
            description="Caption only while you have been away so many minutes; 0 for always.",
        ),
    ] = 0
    mains_only: Annotated[
        bool, Meta(description="Caption only while the computer runs on mains power.")
    ] = True
    pause_for_full_screen: Annotated[
        bool, Meta(description="Wait while a program fills the screen.")
    ] = True
    max_celsius: Annotated[
        int,
        Meta(
            ge=0,
            le=150,
            description="Wait while the processor or graphics card is hotter; 0 for no limit.",
        ),
    ] = 0
    max_cpu_percent: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="Wait while other programs use more of the processor; 0 for no limit.",
        ),
    ] = 0


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How photos are found."""

    clip_checkpoint: Annotated[
        str,
        Meta(
            pattern=_ONE_LINE,
            max_length=4096,
            description="An open_clip checkpoint, for finding descriptions of a sentence: a file, "
            "or a folder with open_clip_config.json; empty for none.",
        ),
    ] = ""
    clip_model: Annotated[
        str,
        Meta(
            pattern=_ONE_LINE,
            max_length=100,
            description="The model that a checkpoint file is of, as open_clip calls it.",
        ),
    ] = "ViT-B-32"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, by section."""

    captions: CaptionSettings = field(default_factory=CaptionSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    search: SearchSettings = field(default_factory=SearchSettings)

    def __getitem__(self, key: str) -> Value:
        """Return the value of a key such as "schedule.hours"; UsageError if there is none."""
        section, _, name = setting(key).key.partition(".")
        return cast(Value, getattr(getattr(self, section), name))


@dataclass(frozen=True, slots=True)
class Setting:
    """What can be set: its key, its value where nothing is set, what it does, what it may be."""

    key: str
    default: Value
    description: str
    expects: str
    type: Any

    def parse(self, text: str) -> Value:
        """Return `text` as a value of this setting; raises UsageError where it is none."""
        return self._converted(text, text, strict=False)

    def check(self, value: object) -> Value:
        """Return a value from a file; raises UsageError where it is none of this setting."""
        return self._converted(value, as_toml(value), strict=True)

    def _converted(self, value: object, shown: str, *, strict: bool) -> Value:
        try:
            return cast(Value, msgspec.convert(value, self.type, strict=strict))
        except msgspec.ValidationError:
            raise UsageError(
                f"{self.key} can't be {display_path(shown)[:100] or 'empty'}: it takes "
                f"{self.expects}."
            ) from None


_SECTIONS: Mapping[str, type] = get_type_hints(Settings)


def _declared() -> Iterator[Setting]:
    for section, table in _SECTIONS.items():
        defaults = table()
        for name, annotated in get_type_hints(table, include_extras=True).items():
            (meta,) = annotated.__metadata__
            if annotated.__origin__ is bool:
                expects = "true or false"
            elif annotated.__origin__ is int:
                expects = f"a whole number from {meta.ge} to {meta.le}"
            else:
                expects = meta.extra["expects"] if meta.extra else "one line of text"
            default = getattr(defaults, name)
            yield Setting(f"{section}.{name}", default, meta.description, expects, annotated)


SETTINGS = tuple(_declared())
"""All settings, in the order in which they are shown."""

_BY_KEY: Mapping[str, Setting] = {s.key: s for s in SETTINGS}


def setting(key: str) -> Setting:
    """Return what can be set under `key`; raises UsageError if there is nothing of this name."""
    try:
        return _BY_KEY[key]
    except KeyError:
        raise UsageError(f"There is no setting {display_path(key)}{_instead(key)}") from None


def _instead(key: str) -> str:
    last = key.rpartition(".")[2]
    close = [k for k in _BY_KEY if k.partition(".")[2] == last]
    close = close or get_close_matches(key, _BY_KEY, 1, 0.7)
    return f"; did you mean {close[0]}?" if close else "; `photosearch settings` lists them all."


def as_toml(value: object) -> str:
    """Return a value as it is written in the file."""
    return tomlkit.item(value).as_string()


def sample() -> str:
    """Return a settings file that sets nothing and explains everything."""
    lines = [
        "# What can be set, each with its default. Save as settings.toml in the library's folder,",
        "# or use: photosearch settings KEY VALUE",
    ]
    section = ""
    for each in SETTINGS:
        begins, _, name = each.key.partition(".")
        if begins != section:
            section = begins
            lines += ["", f"[{section}]"]
        lines += [f"# {each.description}", f"# {name} = {as_toml(each.default)}"]
    return "\n".join(lines) + "\n"


class SettingsFile:
    """The settings of a library, read when asked for. What users wrote around them stays."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file; it is there only once something was set."""
        return self._path

    def load(self) -> Settings:
        """Return the settings, defaults where nothing is set.

        Raises UsageError that names the file and the key where the file is wrong, and
        UnavailableError where it can't be read.
        """
        return self._checked(self._read())

    def set(
        self, key: str, text: str, check: Callable[[Settings], object] = lambda _: None
    ) -> Settings:
        """Save a setting from its text, as "22:00-07:00", "4" or "true", and return them all.

        `check` gets what would be saved and raises where that can't be. Raises UsageError if the
        text is no such value, or the file is wrong beside it; nothing is saved in either case.
        Raises UnavailableError, DiskFullError among them, if it can't be saved.
        """
        value = setting(key).parse(text)
        section, _, name = key.partition(".")
        document = self._document()
        table = document.setdefault(section, tomlkit.table())
        if isinstance(table, dict):
            table[name] = value
        changed = document.as_string()
        settings = self._checked(changed)
        check(settings)
        self._write(changed)
        return settings

    def unset(self, key: str) -> None:
        """Save that `key`, or a whole section, has its default again.

        Also takes out what is no setting, so that every fault of a file can be mended with it.
        Raises UsageError if there is no such setting, nor such a line in the file.
        """
        document = self._document()
        section, _, name = key.partition(".")
        table: Any = document.get(section) if name and key not in document else document
        last = name if table is not document else key
        if isinstance(table, dict) and last in table:
            del table[last]
            self._write(document.as_string())
        elif key not in _SECTIONS:
            setting(key)

    def _read(self) -> str:
        try:
            return self._path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:
            raise UsageError(
                f"{display_path(self._path)} is no UTF-8 text: save it as such, or delete it."
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"{display_path(self._path)} can't be read: {error.strerror}."
            ) from error

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise self._malformed(error) from None

    def _document(self) -> tomlkit.TOMLDocument:
        text = self._read()
        self._parsed(text)
        try:
            return tomlkit.parse(text)
        except (TOMLKitError, RecursionError) as error:
            raise self._malformed(error) from None

    def _malformed(self, error: Exception) -> UsageError:
        reason = display_path(str(error)) or "nested too deeply"
        return UsageError(
            f"{display_path(self._path)} is no valid TOML: {reason}. Mend or delete it."
        )

    def _checked(self, text: str) -> Settings:
        try:
            return _settings(self._parsed(text))
        except _FaultError as fault:
            raise UsageError(
                f"{display_path(self._path)}: {fault} "
                f"`photosearch settings {display_path(fault.key)} --default` takes it out."
            ) from None

    def _write(self, text: str) -> None:
        # Where it is a link, as to a folder of dotfiles, the link stays.
        path = self._path.resolve()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_at_once(path, text)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFullError("The disk is full: the settings were not saved.") from error
            raise UnavailableError(
                f"{display_path(path)} can't be written: {error.strerror}."
            ) from error


class _FaultError(Exception):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _settings(stored: Mapping[str, Any]) -> Settings:
    made = {}
    for name, table in stored.items():
        if name not in _SECTIONS:
            raise _FaultError(name, f"there is no section {display_path(name)}.")
        if not isinstance(table, dict):
            raise _FaultError(name, f"{name} must be a section: [{name}].")
        values = {}
        for last, value in table.items():
            key = f"{name}.{last}"
            try:
                values[last] = setting(key).check(value)
            except UsageError as error:
                raise _FaultError(key, str(error)) from None
        made[name] = _SECTIONS[name](**values)
    return Settings(**made)
