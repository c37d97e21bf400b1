"""Which of AudioSet's 521 classes make each of our labels.

The classes are numbered as in YAMNet's class map; a label's score is that of its most probable class.
"""

from __future__ import annotations

__all__ = ["CLASSES", "LABELS", "THRESHOLDS"]


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


CLASSES: dict[str, tuple[int, ...]] = {
    "speech": (*_span(0, 3), 5, 12),
    "shout": (6, 7, 8, 9, 10),
    "scream": (11,),
    "crying": (19, 21, 22),
    "baby_cry": (20,),
    "laughter": _span(13, 18),
    "applause": (58, 62),
    "cheering": (61,),
    "crowd": (63, 64, 65),
    "cough": (42, 43),
    "sneeze": (44,),
    "snoring": (37, 38),
    "footsteps": (46, 47, 48),
    "music": (*_span(24, 30), *_span(132, 155), *_span(179, 194), *_span(203, 207), *_span(211, 276)),
    "dog": (*_span(69, 75), 117),
    "cat": (76, 77, 78, 80),
    "livestock": _span(81, 92),
    "bird": (*_span(93, 102), *_span(106, 116)),
    "insect": _span(121, 126),
    "wind": (277, 279),
    "thunder": (280, 281),
    "rain": (283, 284, 285),
    "water": (282, *_span(286, 289), 291, *_span(364, 366), 439, 440, *_span(443, 446)),
    "fire": (292, 293),
    "vehicle": (294, *_span(300, 301), *_span(306, 311), 315, 320, 321),
    "horn": (302, 303, 312, 325),
    "train": (322, 323, 326, 327, 328),
    "aircraft": _span(329, 334),
    "engine": (*_span(337, 338), *_span(342, 347)),
    "tool": (339, 340, 341, *_span(412, 419)),
    "alarm": (304, *_span(316, 319), 382, *_span(389, 394)),
    "telephone": _span(383, 388),
    "bell": (195, 196, 349, 350),
    "door": (348, 351, 352),
    "knock": (353,),
    "typing": (378, 379, 380),
    "clock": (400, 401, 402),
    "beep": (475,),
    "glass": (435, 436, 437),
    "breaking": (463, 464),
    "gunshot": (*_span(420, 424), 430),
    "fireworks": (425, 426, 427),
    "bang": (460,),
}
LABELS: tuple[str, ...] = tuple(CLASSES)
_DEFAULT = 0.3
THRESHOLDS: dict[str, float] = dict.fromkeys(LABELS, _DEFAULT)
"""Score from which a sound is reported."""
