"""Settings of identity."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from pydantic import Field

from onlooker.analyzers._live_settings import LiveSettings

__all__ = ["MODALITIES", "IdentityConfig", "Modality"]

Modality: TypeAlias = Literal["face", "voice"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)


class IdentityConfig(LiveSettings):
    """Settings of `Identity`.

    Args:
        false_accept_rate: how often somebody who is not enrolled may be taken for anyone who is; the threshold follows
            from it and from how many people are enrolled.
        voice_false_accept_rate: the same for voices, which tell less.
        unknown_rate: how often two unknown people may be taken for one, for each comparison.
        classifier: how the person is chosen who is then compared: ``nearest``, the one whose mean vector is the most
            similar, or ``svm``, a linear support vector machine over all enrolled vectors.
        unknown: whether faces of people who are not enrolled are numbered over all sources (``unknown-1``, ...);
            without it nothing is said of them. Voices are too little alike over recordings for that.
        voices: whether speakers are compared with enrolled voices too.
        together: whether two faces seen at the same time may be one person (mirrors, pictures of people).
        longest_seconds: live, the longest piece in which it is told who a face is while it is in sight (the same
            setting of ``face_vectors`` gives the pieces); None: it does not run live.
    """

    false_accept_rate: float = Field(default=0.005, gt=0, lt=1)
    voice_false_accept_rate: float = Field(default=0.01, gt=0, lt=1)
    unknown_rate: float = Field(default=0.001, gt=0, lt=1)
    classifier: Literal["nearest", "svm"] = "nearest"
    unknown: bool = True
    voices: bool = True
    together: bool = False

    def rate(self, modality: Modality) -> float:
        """The false-accept rate for faces or voices."""
        return self.false_accept_rate if modality == "face" else self.voice_false_accept_rate
