"""Character error rate and cost of the analyzer ``text`` beside the package whose weights it uses.

The peer, rapidocr, is called on each sampled frame, with its OpenVINO engine and its own settings; both sample alike.
Captions are drawn on real clips (several sizes, directions, moving pictures behind them) and on slides; the
photographs are those of the data folder. An error counts in each sampled frame in which it stands.

    python -m venv peers && peers/bin/pip install -r benchmarks/requirements-text.txt
    python benchmarks/text.py --peer peers/bin/python        # needs a font with Chinese characters: --font

The peer runs in a process of its own; one result file is written: results/text.json (with --held-out
results/text_held_out.json).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parent))

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 25, 16
ENGLISH = [
    "The quick brown fox jumps over the lazy dog",
    "Where were you on the night of March 14?",
    "I have never seen anything like this before.",
    "Please keep your hands inside the vehicle",
    "We are going to need a bigger boat, Martin!",
    "Temperature rises to 38.5 degrees by Friday",
    "Nobody told me that the meeting was cancelled",
    "Breaking news: markets fall by 3.2 percent",
    "She walked slowly towards the old station",
    "Don't touch that switch, it is still live.",
]
CHINESE = [
    "今天下午三点我们在会议室见面",
    "天气预报说明天会有大雨",
    "请不要把手伸出车窗外",
    "他已经在北京工作了十五年",
    "这条路通向山顶的古老寺庙",
    "第2024号文件已经正式发布",
    "我从来没有见过这么美的风景",
    "市场价格比去年上涨了百分之八",
    "妈妈给我做了一碗热汤面",
    "列车将于上午九点四十分到达",
]
SLIDES = [
    ["Introduction to Neural Networks", "1. Perceptron and its limits", "2. Back-propagation of errors",
     "3. Convolution and weight sharing", "4. Regularisation, dropout and early stopping"],
    ["第二章 数据的收集与整理", "一、调查问卷的设计方法", "二、抽样调查与普查的区别", "三、数据的图表表示",
     "四、平均数、中位数和众数"],
    ["Results of the third quarter", "Revenue grew by 12 percent to 4.8 million", "Costs stayed level at 2.1 million",
     "上海办事处新增员工三十五人", "Outlook: two new products in spring"],
]  # fmt: skip

# name, clip (None: slides), language, size of the letters, what is drawn besides
CASES: list[tuple[str, str | None, str, int, str]] = [
    ("subtitle en 36", "tv_whitehouse_performance.mp4", "en", 36, ""),
    ("subtitle zh 36", "traffic_car_overhead.mp4", "zh", 36, ""),
    ("small en 20", "sport_gym.mp4", "en", 20, ""),
    ("small zh 22", "preview_classroom.mp4", "zh", 22, ""),
    ("large zh 90", "film_chaplin.mp4", "zh", 90, ""),
    ("rotated en 32", "preview_people-detection.mp4", "en", 32, "rotated"),
    ("rotated zh 32", "action_arm_wrestling.mp4", "zh", 32, "rotated"),
    ("still camera en 28", "home_indoor_one_by_one_person.mp4", "en", 28, ""),
    ("slides", None, "", 34, ""),
]

# clips and sizes on which no setting was chosen
HELD_OUT: list[tuple[str, str | None, str, int, str]] = [
    ("held out en 24", "talking_face_man_suit.mp4", "en", 24, ""),
    ("held out zh 26", "action_ucf101_apply_eye_makeup.avi", "zh", 26, ""),
    ("held out en 48", "preview_person-bicycle-car-detection.mp4", "en", 48, ""),
    ("held out rotated zh 28", "traffic_highway.avi", "zh", 28, "rotated"),
]


def samples(seconds: float, rate: float) -> list[float]:
    """Moments of the first frame at or after each tick."""
    return [math.ceil(i / rate * FPS) / FPS for i in range(math.floor(seconds * rate))]


# -- material --


def _stamp(text: str, font: Any, angle: float, plain: bool) -> Image.Image:
    left, top, right, bottom = font.getbbox(text, stroke_width=0 if plain else 2)
    stamp = Image.new("RGBA", (int(right - left) + 12, int(bottom - top) + 12))
    fill, edge, wide = ((20, 20, 60, 255), None, 0) if plain else ((255, 255, 255, 255), (0, 0, 0, 255), 2)
    place = (6 - left, 6 - top)
    ImageDraw.Draw(stamp).text(place, text, font=font, fill=fill, stroke_width=wide, stroke_fill=edge)
    return stamp.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else stamp


def plan(case: tuple[str, str | None, str, int, str], font_path: str) -> list[dict[str, Any]]:
    """What stands where and when: text, start, end, left, top, and the picture of it."""
    name, clip, language, size, extra = case
    rng = random.Random(name)
    font = ImageFont.truetype(font_path, size)
    lines: list[dict[str, Any]] = []

    def put(text: str, start: float, end: float, x: int, y: int, angle: float = 0.0) -> None:
        stamp = _stamp(text, font, angle, clip is None)
        x, y = max(4, x - stamp.width // 2), max(4, min(HEIGHT - stamp.height - 4, y - stamp.height // 2))
        lines.append({"text": text, "start": start, "end": end, "x": x, "y": y, "stamp": stamp})

    if clip is None:
        step = SECONDS / len(SLIDES)
        for number, slide in enumerate(SLIDES):
            for row, text in enumerate(slide):
                put(text, number * step, (number + 1) * step, WIDTH // 2, 110 + 105 * row)
        return lines
    texts = (ENGLISH if language == "en" else CHINESE)[:]
    rng.shuffle(texts)
    if extra == "rotated":
        for place, angle in enumerate((12, -25, 90, 180)):
            x, y = [(WIDTH // 3, 160), (2 * WIDTH // 3, 330), (90, HEIGHT // 2), (WIDTH // 2, 660)][place]
            for part in range(2):
                put(texts[place * 2 + part], part * SECONDS / 2, (part + 1) * SECONDS / 2, x, y, angle)
        return lines
    at = 0.6
    while at < SECONDS - 1 and texts:
        end = min(SECONDS, at + rng.uniform(1.6, 3.2))
        put(texts.pop(), at, end, WIDTH // 2, HEIGHT - 80)
        at = end + rng.choice([0.0, 0.6])
    if size <= 30:
        put((ENGLISH if language == "en" else CHINESE)[0][:18], 0.0, SECONDS, 240, 60)
    return lines


def render(case: tuple[str, str | None, str, int, str], lines: list[dict[str, Any]], data: Path, target: Path) -> None:
    def pictures() -> Any:
        if case[1] is None:
            while True:
                yield Image.new("RGB", (WIDTH, HEIGHT), (245, 245, 240))
        while True:
            with av.open(str(data / "clips" / case[1])) as clip:
                rate = float(clip.streams.video[0].average_rate or FPS)
                for number, frame in enumerate(clip.decode(video=0)):
                    # slow clips hold their pictures
                    repeats = max(1, round(FPS / rate)) if rate < FPS else 1
                    if rate <= FPS or number % max(1, round(rate / FPS)) == 0:
                        yield from [frame.reformat(WIDTH, HEIGHT, "rgb24").to_image()] * repeats

    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"crf": "21", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        source = pictures()
        for number in range(FPS * SECONDS):
            picture = next(source).copy()
            for line in lines:
                if line["start"] <= number / FPS < line["end"]:
                    picture.paste(line["stamp"], (line["x"], line["y"]), line["stamp"])
            out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode(None))


# -- judging --


def folded(text: str) -> str:
    """Without spaces and the difference between full and half width."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def errors(truth: list[str], read: list[str]) -> tuple[int, int, int]:
    """Edit errors over the true lines, their letters, and letters read that belong to none.

    Each true line takes the reading that fits it best, or two readings joined; each reading is taken once.
    """
    from onlooker.analyzers.text.words import edit_distance

    pool = [folded(r) for r in read]
    joined = [(i,) for i in range(len(pool))] + [(i, j) for i in range(len(pool)) for j in range(len(pool)) if i != j]
    wanted = [folded(t) for t in truth]
    costs = sorted(
        (distance - len(wanted[t]), distance, t, used)
        for t in range(len(wanted))
        for used in joined
        if abs(len("".join(pool[i] for i in used)) - len(wanted[t])) < len(wanted[t])
        and (distance := edit_distance(wanted[t], "".join(pool[i] for i in used))) < len(wanted[t])
    )
    lines_done: set[int] = set()
    taken: set[int] = set()
    wrong = 0
    for _, distance, t, used in costs:
        if t not in lines_done and not taken & set(used):
            lines_done.add(t)
            taken |= set(used)
            wrong += distance
    wrong += sum(len(w) for t, w in enumerate(wanted) if t not in lines_done)
    return wrong, sum(map(len, wanted)), sum(len(p) for i, p in enumerate(pool) if i not in taken)


def judge(truth: list[list[str]], read: list[list[str]]) -> dict[str, Any]:
    rows = np.array([errors(t, r) for t, r in zip(truth, read, strict=True)])
    wrong, letters, besides = (int(v) for v in rows.sum(0))
    return {"cer": round(wrong / max(1, letters), 4), "errors": wrong, "letters": letters, "besides": besides}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- the two sides --


def peer_main(tasks: dict[str, Any]) -> dict[str, Any]:
    """In the peer's process: every sampled frame through its API."""
    from rapidocr import EngineType, RapidOCR  # pyright: ignore[reportMissingImports]

    engine = EngineType.OPENVINO
    ocr = RapidOCR(
        params={
            "Det.engine_type": engine,
            "Cls.engine_type": engine,
            "Rec.engine_type": engine,
            "EngineConfig.openvino.inference_num_threads": 2,
            "Global.log_level": "error",
        }
    )
    found: dict[str, Any] = {"videos": {}, "images": {}}
    for path in tasks["images"]:
        found["images"][path] = list(ocr(path).txts or [])
    for path in tasks["videos"]:
        read: list[list[str]] = []
        spent, previous, total = 0.0, -1, cpu()
        with av.open(str(path)) as clip:
            clip.streams.video[0].thread_type = "AUTO"
            clip.streams.video[0].codec_context.thread_count = 2
            for frame in clip.decode(video=0):
                tick = math.floor(Fraction(frame.pts or 0) * (frame.time_base or 0) * Fraction(tasks["rate"]))
                if tick == previous:
                    continue
                previous, before = tick, cpu()
                read.append(list(ocr(frame.to_ndarray(format="bgr24")).txts or []))
                spent += cpu() - before
        found["videos"][path] = {"read": read, "cpu_reading": spent, "cpu": cpu() - total}
    return found


def own(path: str, rate: float, quality: Any) -> dict[str, Any]:
    """Ours over one video: what stands at each sampled moment, and the cost with and without decoding."""
    from onlooker.analyzers.text.analyzer import Text
    from onlooker.analyzers.text.config import TextConfig
    from onlooker.core.analyzer import Context
    from onlooker.core.media import ReadRequest
    from onlooker.sources import open_source
    from onlooker.testing.drive import decide, measure

    source = open_source(path)
    before = cpu()
    for _ in source.read(ReadRequest(threads=2)):
        pass
    decoding = cpu() - before
    text = Text(TextConfig(**{**TextConfig.for_quality(quality), "rate": rate}))
    text.open(Context(source.info, threads=2))
    before = cpu()
    made = decide([text], measured := measure([text], source))
    spent = cpu() - before
    text.close()
    source.close()
    texts = [o for o in made if o.kind == "text"]
    moments = [m.time for m in measured["text"]]
    read = [[o.text or "" for o in texts if o.span.contains(t)] for t in moments]
    return {
        "read": read,
        "cpu": spent,
        "cpu_reading": max(0.0, spent - decoding),
        "captions": [
            (round(o.span.start.seconds, 2), round(o.span.end.seconds, 2), o.text, o.data["role"]) for o in texts
        ],
        "slide_changes": sum(o.kind == "cue" for o in made),
    }


def own_image(path: str, quality: Any) -> list[str]:
    from onlooker.analyzers.text.analyzer import Text
    from onlooker.analyzers.text.config import TextConfig
    from onlooker.sources import open_source
    from onlooker.testing.drive import drive

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / Path(path).name).symlink_to(path)
        source = open_source(folder)
        made = drive([Text(TextConfig(**TextConfig.for_quality(quality)))], source)
        source.close()
    return [o.text or "" for o in made if o.kind == "text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="a Python with requirements-text.txt; without it ours alone is measured")
    parser.add_argument("--font", default="/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0, 5.0], help="sampled frames a second")
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--held-out", action="store_true", help="the clips on which no setting was chosen")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--keep", type=Path, help="folder to keep the drawn videos in")
    parser.add_argument("--as-peer", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer:
        tasks = json.loads(args.as_peer.read_text())
        args.as_peer.with_suffix(".out").write_text(json.dumps(peer_main(tasks)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        compare(args, args.keep or Path(scratch), Path(scratch))


def compare(args: argparse.Namespace, folder: Path, scratch: Path) -> None:
    from _harness import DATA, save

    folder.mkdir(exist_ok=True, parents=True)
    videos: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    for case in HELD_OUT if args.held_out else CASES:
        if args.only not in case[0]:
            continue
        path = folder / f"{case[0].replace(' ', '_')}.mp4"
        lines = plan(case, args.font)
        if not path.exists():
            render(case, lines, DATA, path)
        videos[case[0]] = str(path), lines
    truth = json.loads((DATA / "ocr" / "gt.json").read_text())
    images = {str(DATA / "ocr" / name.split(" ")[0]): lines for name, lines in truth.items() if lines}
    result: dict[str, Any] = {"quality": args.quality}
    paths = [path for path, _ in videos.values()]
    for number, rate in enumerate(args.rates):
        peer = run_peer(args.peer, scratch, paths, [] if number else list(images), rate)
        part = result[f"{rate:g} frames a second"] = {}
        rows: dict[str, Any] = {}
        for name, (path, lines) in videos.items():
            shown = [[x["text"] for x in lines if x["start"] <= t < x["end"]] for t in samples(SECONDS, rate)]
            rows[name] = shown, own(path, rate, args.quality), peer["videos"].get(path)
        report(part, "videos", rows)
        if not number:
            photos: dict[str, Any] = {}
            for path, lines in images.items():
                theirs = {"read": [peer["images"][path]]} if args.peer else None
                photos[Path(path).name] = [lines], {"read": [own_image(path, args.quality)]}, theirs
            report(result, "images", photos)
    if not args.only:
        save("text_held_out" if args.held_out else "text", result)


def run_peer(python: str | None, scratch: Path, videos: list[str], images: list[str], rate: float) -> dict[str, Any]:
    if not python:
        return {"videos": {}, "images": {}}
    tasks = scratch / "tasks.json"
    tasks.write_text(json.dumps({"videos": videos, "images": images, "rate": rate}))
    subprocess.run([python, __file__, "--as-peer", str(tasks)], check=True)
    return json.loads(tasks.with_suffix(".out").read_text())


def report(result: dict[str, Any], part: str, rows: dict[str, Any]) -> None:
    sums: dict[str, dict[str, float]] = {"onlooker": {}, "peer": {}}
    result[part] = {}
    for name, (truth, ours, theirs) in rows.items():
        entry: dict[str, Any] = {}
        for who, side in (("onlooker", ours), ("peer", theirs)):
            if side is None:
                continue
            entry[who] = judge(truth, side["read"])
            entry[who] |= {k: round(side[k], 3) for k in ("cpu", "cpu_reading") if k in side}
            for key in ("errors", "letters", "besides", "cpu", "cpu_reading"):
                sums[who][key] = sums[who].get(key, 0) + entry[who].get(key, 0)
        entry |= {k: ours[k] for k in ("captions", "slide_changes") if k in ours}
        result[part][name] = entry
        print(
            f"{part[:-1]} {name}: " + "; ".join(f"{w} {entry[w]}" for w in ("onlooker", "peer") if w in entry),
            flush=True,
        )
    total = {
        w: {"cer": round(s["errors"] / s["letters"], 4), **{k: round(v, 2) for k, v in s.items()}}
        for w, s in sums.items()
        if s
    }
    if "peer" in total and total["onlooker"]["cpu"]:
        total["cpu_ratio"] = {
            k: round(sums["peer"][k] / max(0.01, sums["onlooker"][k]), 2) for k in ("cpu", "cpu_reading")
        }  # pyright: ignore
    result[f"{part}_total"] = total
    print(part, "total:", json.dumps(total), flush=True)


if __name__ == "__main__":
    main()
