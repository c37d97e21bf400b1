"""Smaller networks that learn from the original: which are tried, and how a user asks for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from onlooker.core.errors import UsageError
from onlooker.learning.compress.step import Compression, Subject
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import set_value
from onlooker.learning.run_folder import RunFolder

__all__ = ["Student", "asked_students", "check_students", "shallower_student", "student_said"]

Student: TypeAlias = dict[str, Any]
"""Settings of the recipe of another network, ``inputs`` and ``fusion`` alone."""


def shallower_student(run: Path) -> Student | None:
    """The student with fewer layers than the model of a run, or None where no network of it can have fewer.

    Args:
        run: its folder.
    """
    fewer = {name: network.shallower() for name, network in RunFolder(run).recipe().inputs.items()}
    inputs = {name: settings for name, settings in fewer.items() if settings is not None}
    return {"inputs": inputs} if inputs else None


def asked_students(texts: Sequence[str]) -> list[Student]:
    """Students by settings of a recipe, ``inputs.video={network: frame_cnn, widths: [8]}``; several by semicolons.

    Args:
        texts: one of each student.

    Raises:
        UsageError: a setting is not one, or is not of ``inputs`` or ``fusion``.

    >>> asked_students(["inputs.video.widths=[8, 16]; inputs.video.stem=4"])
    [{'inputs': {'video': {'widths': [8, 16], 'stem': 4}}}]
    """
    made: list[Student] = []
    for text in texts:
        student: Student = {}
        for setting in text.split(";"):
            set_value(student, setting.strip(), option="--student", example="inputs.video.widths=[8, 16]")
        if others := sorted(student.keys() - {"inputs", "fusion"}):
            raise UsageError(f"--student {others[0]}: expected settings of inputs or fusion alone")
        made.append(student)
    return made


def check_students(subject: Subject, students: Sequence[Student]) -> None:
    """Try that students can be made.

    Args:
        subject: from which they learn.
        students: by their settings.

    Raises:
        UsageError: one cannot, or only the subject's bundle is known.
    """
    part: type[Compression] = load_part("compress.steps", "distil")
    for student in students:
        if reason := part.refusal(subject, part.Config(step="distil", student=student)):  # type: ignore[call-arg]
            raise UsageError(f"--student: {reason}")


def student_said(student: Mapping[str, Any]) -> str:
    """A student for people, by what is set.

    >>> student_said({"inputs": {"video": {"widths": [8, 16], "stem": 4}}})
    'widths [8, 16] stem 4'
    """
    return " ".join(_said(student))


def _said(values: Mapping[str, Any]) -> list[str]:
    made: list[str] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            made += _said(value)
        else:
            made.append(str(value) if name == "network" else f"{name} {value}")
    return made
