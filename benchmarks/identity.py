"""Who is who: verification, open-set identification, tracks against single frames, and the peer beside it.

    python benchmarks/identity.py [--peer FOLDER]

FOLDER is where `npm install` was run with benchmarks/package-identity.json. Thresholds were measured on other people
than those reported on here (benchmarks/identity_fit.py): every other person of LFW, ten of ORL; of the actors of
RAVDESS on one half and another, many times. ONLOOKER_BENCH_CACHE names a folder in which vectors are kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from _harness import DATA, RESULTS, save, timed
from _people import Set, as_frames, cached, lfw, orl, ravdess
from identity_fit import VOICE_CAUTION, fit

from onlooker.analyzers._face_vector import FaceEncoder, unit
from onlooker.analyzers._faces import QUALITY
from onlooker.analyzers.identity import thresholds
from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.decide import Gallery, Track, decide_known
from onlooker.analyzers.identity.records import Enrolled, Person
from onlooker.analyzers.identity.samples import Modality, Sample
from onlooker.analyzers.identity.thresholds import threshold
from onlooker.core.time import Span
from onlooker.people.pictures import FaceReader, read_picture

PUBLISHED = 99.38
"""Percent on LFW by the authors of the weights (dlib's network; colour originals, unrestricted, their alignment)."""
FOLDS = 10
MOST_PAIRS = 30
HALVES = 32


# -- verification --


def pairs_of(data: Set) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ten folds of different people: indexes of pairs (n, 2), and whether of one person; as many are as are not."""
    rng = np.random.default_rng(0)
    people = sorted(set(data.people))
    made = []
    for fold in range(FOLDS):
        members = people[fold::FOLDS]
        same, other = [], []
        for who in members:
            own = np.flatnonzero(data.people == who)
            every = [(a, b) for i, a in enumerate(own) for b in own[:i]]
            same += [every[k] for k in rng.permutation(len(every))[:MOST_PAIRS]]
        inside = np.flatnonzero(np.isin(data.people, members))
        while len(other) < len(same):
            a, b = rng.choice(inside, 2, replace=False)
            if data.people[a] != data.people[b]:
                other.append((a, b))
        made.append((np.array(same + other), np.r_[np.ones(len(same), bool), np.zeros(len(other), bool)]))
    return made


def verification(folds: list[tuple[np.ndarray, np.ndarray]], distance: Any) -> tuple[float, float]:
    """Percent of pairs told right, and its standard error; the threshold of a fold is the best one of the others."""
    scored = [(distance(p), same) for p, same in folds]
    rates = []
    for held, (d, same) in enumerate(scored):
        others = np.concatenate([x for i, (x, _) in enumerate(scored) if i != held])
        truth = np.concatenate([s for i, (_, s) in enumerate(scored) if i != held])
        order = np.argsort(others, kind="stable")
        right = np.cumsum(truth[order]) + (~truth).sum() - np.cumsum(~truth[order])
        limit = others[order][right.argmax()]
        rates.append(float(((d <= limit) == same).mean()))
    return 100 * float(np.mean(rates)), 100 * float(np.std(rates, ddof=1) / FOLDS**0.5)


def cosine(vectors: np.ndarray) -> Any:
    return lambda p: 1 - (vectors[p[:, 0]] * vectors[p[:, 1]]).sum(1)


def euclid(vectors: np.ndarray) -> Any:
    return lambda p: np.linalg.norm(vectors[p[:, 0]] - vectors[p[:, 1]], axis=1)


def peer_vectors(folder: Path, data: Set) -> tuple[np.ndarray, int, float, str]:
    """Descriptors of @vladmandic/face-api; faces that it does not find are far from everybody."""
    kept = cached("peer-lfw.json")
    if kept is not None and kept.exists():
        told = json.loads(kept.read_text())
        return *_descriptors(told), told["cpu"], _version(told)
    pictures = np.stack([read_picture(DATA / "lfw_multitask/images" / f) for f in data.files])
    script = Path(__file__).parent / "_identity_peer.cjs"
    with tempfile.TemporaryDirectory() as scratch:
        raw, task, out = (Path(scratch) / name for name in ("pictures.bin", "task.json", "out.json"))
        raw.write_bytes(pictures.tobytes())
        count, height, width = pictures.shape[:3]
        task.write_text(json.dumps({"file": str(raw), "count": count, "height": height, "width": width}))
        subprocess.run(["node", str(script), str(task), str(out)], cwd=folder, check=True)
        told = json.loads(out.read_text())
    if kept is not None:
        kept.write_text(json.dumps(told))
    return *_descriptors(told), told["cpu"], _version(told)


def _version(told: dict[str, Any]) -> str:
    version = told["version"]
    return version["faceapi"] if isinstance(version, dict) else str(version)


def _descriptors(told: dict[str, Any]) -> tuple[np.ndarray, int]:
    missed = sum(v is None for v in told["vectors"])
    far = np.random.default_rng(0).normal(size=(len(told["vectors"]), 128)) * 10
    return np.stack([f if v is None else np.array(v) for v, f in zip(told["vectors"], far, strict=True)]), missed


# -- open set --


def tracks_of(vectors: np.ndarray, modality: Modality = "face") -> list[Track]:
    return [
        Track((f"{i:032x}", "face-1"), Span.of_seconds(0, 1), modality, Sample(v.astype(np.float32)))
        for i, v in enumerate(vectors)
    ]


def open_set(data: Set, classifier: Any, rate: float, enrolled: int, splits: int = 10, modality: Modality = "face"):
    """Half of the people are enrolled by ``enrolled`` pictures, the others never: DIR and false accepts, in percent."""
    rng = np.random.default_rng(0)
    people = np.array(sorted(set(data.people)))
    found = wrong = probes = accepted = strangers = 0
    config = IdentityConfig(classifier=classifier, false_accept_rate=rate, voice_false_accept_rate=rate)
    for _ in range(splits):
        chosen = set(rng.permutation(people)[: len(people) // 2])
        gallery, seen = {}, []
        for who in people:
            own = rng.permutation(np.flatnonzero(data.people == who))
            if who in chosen:
                samples = [Enrolled(Sample(data.vectors[i].astype(np.float32)), "") for i in own[:enrolled]]
                person = Person(str(who))
                person.enrolled(modality).extend(samples)
                gallery[str(who)] = person
                own = own[enrolled:]
            seen += [(i, str(who) if who in chosen else None) for i in own]
        tracks = tracks_of(data.vectors[[i for i, _ in seen]], modality)
        told = decide_known(tracks, Gallery(gallery, config, {}), {})
        for track, (_, who) in zip(tracks, seen, strict=True):
            label = told[track.key].label if track.key in told else None
            if who is None:
                strangers, accepted = strangers + 1, accepted + (label is not None)
            else:
                probes, found = probes + 1, found + (label == who)
                wrong += label is not None and label != who
    return {
        "enrolled_people": len(people) // 2,
        "enrolled_pictures": enrolled,
        "classifier": classifier,
        "stated_false_accept_percent": 100 * rate,
        "false_accept_percent": round(100 * accepted / strangers, 3),
        "found_percent": round(100 * found / probes, 2),
        "wrong_name_percent": round(100 * wrong / probes, 3),
        "strangers": strangers,
        "probes": probes,
    }


# -- tracks --


def tracks_against_frames(data: Set, rate: float = 0.001, count: int = 24, frames: int = 10) -> dict[str, Any]:
    """Clips of three photographs of a person, each blurred, small, noisy and moved: single frames, their vote, the best
    frame, and the mean vector of the track as ``face_vectors`` makes it.
    """
    rng = np.random.default_rng(0)
    people = [p for p in sorted(set(data.people)) if (data.people == p).sum() >= 6][: 2 * count]
    gallery, clips = {}, []
    for n, who in enumerate(people):
        own = rng.permutation(np.flatnonzero(data.people == who))
        if n % 2 == 0:
            samples = [Enrolled(Sample(data.vectors[i].astype(np.float32)), "") for i in own[:3]]
            gallery[who] = Person(who, samples)
        photographs = [read_picture(DATA / "lfw_multitask/images" / data.files[i]) for i in own[3:6]]
        clips.append((who if n % 2 == 0 else None, as_frames(photographs, frames, rng)))
    reader, encoder = FaceReader(), FaceEncoder(2, mirror=False)
    config = IdentityConfig(false_accept_rate=rate)
    known = Gallery(gallery, config, {})
    tally = {name: [0, 0, 0, 0] for name in ("frame by frame", "vote of frames", "best frame", "mean of the track")}

    def decided(sample: Sample) -> str | None:
        told = decide_known([Track(("0", "face-1"), Span.of_seconds(0, 1), "face", sample)], known, {})
        return next((d.label for d in told.values()), None)

    def count_in(name: str, who: str | None, label: str | None) -> None:
        right, of, false, strange = tally[name]
        if who is None:
            tally[name] = [right, of, false + (label is not None), strange + 1]
        else:
            tally[name] = [right + (label == who), of + 1, false, strange]

    for who, pictures in clips:
        seen: list[tuple[float, np.ndarray]] = []
        for picture in pictures:
            rows = reader.rows(picture)
            if len(rows):
                row = rows[np.abs(rows[:, 0] + rows[:, 2] - 1).argmin()]
                seen.append((float(row[QUALITY]), encoder.vector(picture, row)))
        labels = [decided(Sample(v)) for _, v in seen] + [None] * (len(pictures) - len(seen))
        for label in labels:
            count_in("frame by frame", who, label)
        votes = {label: labels.count(label) for label in labels}
        count_in("vote of frames", who, max(votes, key=lambda v: votes[v]))
        good = sorted(seen, key=lambda s: -s[0])
        count_in("best frame", who, decided(Sample(good[0][1])) if good else None)
        weights = np.array([q for q, _ in good]) + 1e-6
        mean = weights @ np.stack([v for _, v in good]) / weights.sum()
        count_in("mean of the track", who, decided(Sample(unit(mean), float(np.linalg.norm(mean)))))
    return {
        name: {
            "found_percent": round(100 * right / of, 1),
            "false_accept_percent": round(100 * false / strange, 2),
            "decisions": of + strange,
        }
        for name, (right, of, false, strange) in tally.items()
    }


# -- speed --


def speed() -> dict[str, float]:
    """Milliseconds of processor time for a face's vector, and seconds to decide 5,000 stored tracks anew."""
    picture = read_picture(DATA / "lfw_multitask/images/Ana_Palacio_0001.jpg")
    reader, encoder = FaceReader(1), FaceEncoder(1, mirror=False)
    row = reader.faces(picture)[0].row
    for _ in range(5):
        encoder.vector(picture, row)
    _, _, cpu = timed(lambda: [encoder.vector(picture, row) for _ in range(50)])
    return {"vector_cpu_ms": round(1000 * cpu / 50, 2), **redeciding()}


def redeciding(sources: int = 100, tracks: int = 50) -> dict[str, float]:
    from onlooker.core.observation import Observation, Producer
    from onlooker.core.store import Batch, RunState
    from onlooker.people import People
    from onlooker.testing.store_values import source_info
    from onlooker.timeline import open_store

    rng = np.random.default_rng(0)
    centre = rng.normal(size=128)
    faces = centre + 0.36 * rng.normal(size=(300, 128))
    maker = [Producer(name, "1", "c" * 32) for name in ("face_vectors", "identity")]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "library")
        for number in range(sources):
            source = f"{number:032x}"
            store.add_source(source_info(source, f"/{number}.mp4"))
            made = []
            for i in range(tracks):
                vector = faces[rng.integers(300)] + 0.17 * rng.normal(size=128)
                span, track = Span.of_seconds(3 * i, 3 * i + 2), f"face-{i + 1}"
                made.append(
                    Observation(
                        span, "embedding", label="face", track=track, vector=unit(vector), vector_space="face-identity"
                    ).of(source, maker[0], i)
                )
            states = [RunState(m, complete=True) for m in maker]
            store.commit(Batch(source, made, states=states))
        people = People(store)
        first, _, met = timed(people.redecide)
        done, _, named = timed(lambda: people.name("unknown-1", "Ann"))
        store.close()
    return {
        "tracks": first.tracks,
        "cpu_seconds_first": round(met, 2),
        "cpu_seconds_after_naming": round(named, 2),
        "changed_by_naming": done.changed,
    }


# -- all of it --

PARTS = ("verification", "open_set", "voices", "tracks", "speed")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path, help="folder with the peer's node_modules")
    parser.add_argument("--parts", default=",".join(PARTS), help="others keep the figures of the run before")
    options = parser.parse_args()
    parts = options.parts.split(",")
    before = RESULTS / "identity.json"
    result: dict[str, Any] = json.loads(before.read_text()) if before.exists() and set(parts) != set(PARTS) else {}
    result |= {"published_percent": PUBLISHED}
    result.setdefault("sets", {})

    def counted(data: Set) -> Set:
        people = len(set(data.people))
        result["sets"][data.name] = {"people": people, "pictures": len(data.people), "missed": data.missed}
        return data

    if "voices" in parts:
        result["voices"] = voices_of_halves(counted(ravdess()))
    if set(parts) & {"verification", "open_set", "tracks"}:
        faces, studio = counted(lfw().part(False)), counted(orl().part(False))
    if "verification" in parts:
        result["verification"] = verified(faces, studio, options.peer)
    if "open_set" in parts:
        result["open_set"] = open_sets(faces, studio)
        result["thresholds"] = {str(n): round(threshold("face", 0.001, n), 4) for n in (1, 10, 50, 200)}
    if "tracks" in parts:
        print("tracks of degraded photographs at a stated rate of 0.1 %")
        result["tracks"] = tracks_against_frames(faces)
        for name, row in result["tracks"].items():
            print(
                f"  {name:20} found {row['found_percent']:5.1f} %  false accepts {row['false_accept_percent']:5.2f} %"
            )
    if "speed" in parts:
        result["speed"] = speed()
        print("speed", result["speed"])
    save("identity", {k: v for k, v in result.items() if k not in ("benchmark", "machine")})


def verified(faces: Set, studio: Set, peer: Path | None) -> dict[str, Any]:
    folds = pairs_of(faces)
    count = int(sum(len(p) for p, _ in folds))
    print(f"verification, {count} pairs of {len(set(faces.people))} people of LFW in ten folds of different people")
    table = {"onlooker, cosine": verification(folds, cosine(faces.vectors))}
    told: dict[str, Any] = {"pairs": count}
    if peer is not None:
        vectors, missed, cpu, version = peer_vectors(peer, faces)
        table[f"face-api {version}, Euclid (its own way)"] = verification(folds, euclid(vectors))
        # its detector finds fewer of these faces: also the pairs of which it finds both
        found = np.linalg.norm(vectors, axis=1) < 10
        both = [(p[k], same[k]) for p, same in folds if (k := found[p].all(1)).any()]
        told["pairs_found_by_peer"] = int(sum(len(p) for p, _ in both))
        table["face-api on the pairs it finds"] = verification(both, euclid(vectors))
        table["onlooker on the pairs it finds"] = verification(both, cosine(faces.vectors))
        told["peer"] = {"missed": missed, "cpu_ms_a_picture": round(1000 * cpu / len(vectors), 1)}
    table["onlooker, ORL"] = verification(pairs_of(studio), cosine(studio.vectors))
    for name, (rate, error) in table.items():
        print(f"  {name:42} {rate:6.2f} % +- {error:.2f}")
        told[name] = {"percent": round(rate, 2), "standard_error": round(error, 2)}
    return told


def voices_of_halves(voices: Set, rate: float = 0.01) -> list[dict[str, Any]]:
    """Thresholds of half of the actors, judged on the other half, who are then enrolled or strangers; many halves."""
    rng = np.random.default_rng(11)
    names = sorted(set(voices.people))
    chosen = [set(names[::2]), set(names[1::2])]
    chosen += [set(rng.permutation(names)[: len(names) // 2]) for _ in range(HALVES - 2)]
    judged: dict[int, list[dict[str, Any]]] = {1: [], 3: [], 5: []}
    for half in chosen:
        own = replace(voices, calibration=np.array([p in half for p in voices.people]))
        fitted = {**thresholds.calibration(), "voice": fit([own.part(True)], VOICE_CAUTION)}
        with patch.object(thresholds, "calibration", lambda fitted=fitted: fitted):
            for enrolled, told in judged.items():
                told.append(open_set(own.part(False), "nearest", rate, enrolled, splits=6, modality="voice"))
    rows: list[dict[str, Any]] = []
    print(f"voices: {HALVES} halves of {len(names)} actors, thresholds from the other half")
    for enrolled, told in judged.items():
        accepted = np.array([t["false_accept_percent"] for t in told])
        row = {"enrolled_recordings": enrolled, "stated_false_accept_percent": 100 * rate}
        row["false_accept_percent"] = round(float(accepted.mean()), 3)
        row["false_accept_percent_of_19_in_20_halves"] = round(float(np.quantile(accepted, 0.95)), 3)
        row["worst_half_percent"] = float(accepted.max())
        for name in ("found_percent", "wrong_name_percent"):
            row[name] = round(float(np.mean([t[name] for t in told])), 2)
        rows.append(row)
        print(" ", row)
    return rows


def open_sets(faces: Set, studio: Set) -> list[dict[str, Any]]:
    print("open set: half of the people enrolled, the others never; ten splits")
    rows: list[dict[str, Any]] = []
    for data in (faces, studio):
        for rate in (0.01, 0.001):
            for enrolled in (1, 3):
                for classifier in ("nearest", "svm"):
                    rows.append({"set": data.name, **open_set(data, classifier, rate, enrolled)})
                    print_open(rows[-1])
    return rows


def print_open(row: dict[str, Any]) -> None:
    print(
        f"  {row['set']:8} {row['enrolled_people']:3} people x {row['enrolled_pictures']}  {row['classifier']:8}"
        f" stated {row['stated_false_accept_percent']:4.1f} %  measured {row['false_accept_percent']:6.3f} %"
        f"  found {row['found_percent']:5.1f} %  wrong name {row['wrong_name_percent']:.2f} %"
    )


if __name__ == "__main__":
    main()
