"""What was seen by looking at the pictures.

The labels of eyes were made without each frame's figure in view. Those of gaze were made twice, in small and then in
enlarged pictures; the second time the first figures were known, and the doubtful ones were left out.

Frames are numbered from 0. ``closed``: the lids meet; ``half``: opening, closing or squinting, not judged; ``blinks``:
first and last frame of each, half-open ones included. All other frames are open.
"""

from __future__ import annotations

from typing import NamedTuple


class Eyes(NamedTuple):
    closed: tuple[int, ...]
    half: tuple[tuple[int, int], ...]
    blinks: tuple[tuple[int, int], ...]


EYES = {
    "clips/talking_face_aoc_512.mp4": Eyes(
        (10, 11, 12, 25, 34, 35, 56, 57, 80, 81, 97, 110, 111, 129, 130, 150, 151, 177, 178),
        ((9, 14), (23, 37), (55, 60), (79, 83), (96, 99), (109, 113), (128, 132), (149, 153), (163, 163), (176, 181)),
        ((9, 14), (24, 31), (32, 37), (55, 60), (79, 83), (96, 99), (109, 113), (128, 132), (149, 153), (176, 181)),
    ),
    "clips/talking_face_signer_blue.mp4": Eyes(
        (30, 31, 36, 37, 38, 39, 76, 77, 86, 87, 88, 126, 138),
        ((28, 46), (74, 79), (86, 99), (125, 128), (138, 143)),
        ((28, 33), (35, 42), (74, 79), (86, 93), (125, 128), (138, 142)),
    ),
    "clips/carphone.mp4": Eyes((42, 92, 93), ((41, 43), (94, 94), (112, 114)), ((41, 43), (92, 94), (112, 114))),
    "grid_av/bbaf2n.mpg": Eyes((43, 44, 51, 52, 53), ((42, 57),), ((42, 46), (50, 55))),
    "grid_av/lbax4n.mpg": Eyes((28, 29), ((27, 32),), ((27, 32),)),
    "grid_av/pwij3p.mpg": Eyes((35, 36, 37, 48, 49, 50), ((34, 39), (47, 52)), ((34, 39), (47, 52))),
    "grid_av/brbk7n.mpg": Eyes((21, 22), ((23, 24),), ((21, 24),)),
    "grid_av/lbbc2a.mpg": Eyes((), (), ()),
    "grid_av/lwbsza.mpg": Eyes((), (), ()),
}

# LFW faces of people whose names begin with L to Z, by where the eyes look in an enlarged picture: into the camera, or
# clearly to the picture's left or right. Doubtful ones were left out (most were).
GAZE = {
    "camera": (
        "Luis_Figo_0004", "Vanessa_Redgrave_0005", "Lucy_Liu_0002", "Leonid_Kuchma_0004", "Laura_Bush_0039",
        "Larry_Coker_0004", "Yoko_Ono_0001", "Winona_Ryder_0011", "Vanessa_Redgrave_0001",
    ),
    "left": ("Laura_Bush_0007", "Winona_Ryder_0004", "Victoria_Clarke_0001"),
    "right": ("Winona_Ryder_0024",),
}  # fmt: skip

TALKING = (
    "grid_av/bbaf2n.mpg", "grid_av/brbk7n.mpg", "grid_av/lbax4n.mpg", "grid_av/lbbc2a.mpg", "grid_av/lrwp9a.mpg",
    "grid_av/lwbsza.mpg", "grid_av/pwij3p.mpg", "clips/talking_face_aoc_512.mp4", "clips/talking_face_signer_blue.mp4",
    "clips/talking_face_man_suit.mp4",
)  # fmt: skip
# people who sign, pose or make up without a word
SILENT = (
    "clips/book.mkv", "clips/help.mkv", "clips/walk.mkv", "clips/action_ucf101_apply_eye_makeup.avi",
    "clips/preview_head-pose-face-detection-female-and-male.mp4",
)  # fmt: skip
CHEWING = ("clips/eat.mkv",)
