"""What is raised: one class for everything that the user of a model can cause, with the parts of the message apart."""
from __future__ import annotations

import enum
import os
from typing import NamedTuple, Optional, Sequence


class Status(enum.IntEnum):
    """The statuses of the runtime (`fovea_status` of fovea.h)."""

    OK = 0
    ARGUMENT = 1
    MEMORY = 2
    PROGRAM = 3
    TENSOR = 4
    WEIGHTS = 5
    FILE = 6
    FORMAT = 7
    STATE = 8
    GUARD = 9
    THREAD = 10
    DEVICE = 11
    ANSWER = 12
    PROCESSOR = 13
    SHAPE = 14


class Error(Exception):
    """A mistake or a failure, in one text.

    status: the runtime's, None where the compiler refused
    layer:  who refused: "python" (this module), "runtime", "spec" (the author's text) or "compiler"
    file, line: where the mistake is, if that is known
    """

    status: Optional[Status]
    layer: str
    file: Optional[str]
    line: Optional[int]

    def __init__(self, text: str, status: Optional[int] = None, layer: str = "python",
                 file: Optional["str | os.PathLike[str]"] = None, line: Optional[int] = None) -> None:
        super().__init__(text)
        self.text = text
        self.status = None if status is None else Status(status)
        self.layer = layer
        self.file = None if file is None else os.fspath(file)
        self.line = line

    def __str__(self) -> str:
        place = "" if self.file is None else self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.text}" if place else self.text


class Note(NamedTuple):
    """What belongs to an error: where else to look, what is near."""

    text: str
    file: Optional[str]
    line: Optional[int]


class SpecError(Error):
    """What is wrong in the text of a spec.

    code:   "E0103"; `fovea explain E0103` says more
    source: the line as the author wrote it, None if it is not at hand
    notes:  what belongs to the error; remedy: what helps in general; more: how many errors follow this one
    """

    def __init__(self, text: str, file: Optional[str], line: Optional[int], code: str, source: Optional[str],
                 notes: Sequence[Note], remedy: str, more: int) -> None:
        super().__init__(text, None, "spec", file, line)
        self.code, self.source, self.notes, self.remedy, self.more = code, source, tuple(notes), remedy, more

    def __str__(self) -> str:
        lines = [f"{super().__str__()} [{self.code}]"]
        if self.source is not None:
            lines.append(f"    {self.source.strip()}")
        for note in self.notes:
            lines.append(f"  {note.text}" if note.line is None else f"  {note.file}:{note.line}: {note.text}")
        if self.more:
            lines.append(f"  … and {self.more} more error{'s' if self.more > 1 else ''}")
        return "\n".join(lines)
