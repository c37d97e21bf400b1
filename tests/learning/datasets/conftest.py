"""Small datasets of real clips, pictures and sounds, in folders of their own."""

from __future__ import annotations

import shutil

import pytest

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples


@pytest.fixture(scope="session")
def media(data, tmp_path_factory):
    """A folder with two pictures, a video with tracks in it, a video with sound, and a sound."""
    folder = tmp_path_factory.mktemp("media")
    pictures = sorted(data("coco128/images").glob("*.jpg"))[:2]
    shutil.copy(pictures[0], folder / "one.jpg")
    shutil.copy(pictures[1], folder / "two.jpg")
    shutil.copy(data("ucsd_ped2/test/Test001.mp4"), folder / "walk.mp4")
    shutil.copy(data("grid_av/bbaf2n.mpg"), folder / "talk.mpg")
    shutil.copy(sorted(data("esc10/audio").glob("*.ogg"))[0], folder / "bark.ogg")
    return folder


@pytest.fixture(scope="session")
def fight_folder(data, tmp_path_factory):
    """Six clips of each class, in class folders."""
    folder = tmp_path_factory.mktemp("fights")
    for label in ("fight", "noFight"):
        (folder / label).mkdir()
        for clip in sorted(data(f"fight_surv/{label}").glob("*.mp4"))[:6]:
            shutil.copy(clip, folder / label / clip.name)
    return folder


@pytest.fixture
def fights(fight_folder, tmp_path):
    """Those clips as a dataset."""
    return imported(tmp_path / "dataset", "folders", fight_folder, {"task": "action"})


def imported(folder, format, path, options=None, **more):
    """A new dataset of what one import gives."""
    dataset = Dataset.create(folder, name=folder.name)
    import_samples(dataset, ImportRequest(format, path, options or {}, **more))
    return Dataset.load(folder)
