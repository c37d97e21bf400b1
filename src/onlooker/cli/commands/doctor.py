"""``onlooker doctor``: what works on this machine."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["command"]


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    state: Literal["good", "missing", "broken"]
    detail: str
    hint: str = ""
    required: bool = True


def command(
    library: Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")] = Path(
        "onlooker-library"
    ),
    profile: Annotated[str, typer.Option("--profile", help="Whose models to look for.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what works on this machine, and what to install for the rest; exits with 1 if something required is broken.

    \b
    Examples:
      onlooker doctor
      onlooker doctor --profile surveillance --json
    """
    checks = [_guarded(name, check) for name, check in _CHECKS.items()]
    checks.append(_guarded("library folder", lambda: _folder("library folder", library)))
    checks += _models(profile)
    broken = any(c.required and c.state != "good" for c in checks)
    if as_json:
        print(json.dumps({"good": not broken, "checks": [asdict(c) for c in checks]}, ensure_ascii=False))
    else:
        marks = {"good": "ok     ", "missing": "missing", "broken": "BROKEN "}
        for check in checks:
            hint = f"  -> {check.hint}" if check.hint and check.state != "good" else ""
            print(f"{marks[check.state]} {check.name:16} {check.detail}{hint}")
    raise typer.Exit(1 if broken else 0)


def _guarded(name: str, check: Callable[[], _Check]) -> _Check:
    try:
        return check()
    except Exception as error:
        # whatever is wrong with one part, the report must go on
        return _Check(name, "broken", f"{type(error).__name__}: {error}", "reinstall onlooker")


def _python() -> _Check:
    return _Check("python", "good", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _processor() -> _Check:
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.is_file() else set[str]()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
    have = ", ".join(f for f in wanted if f in flags) or "no vector extensions known here"
    return _Check("processor", "good", f"{os.cpu_count()} cores; {have}", required=False)


def _ffmpeg() -> _Check:
    import av

    decoders = [n for n in ("h264", "hevc", "av1", "vp9", "aac", "opus") if n in av.codecs_available]
    versions = ".".join(map(str, av.library_versions["libavcodec"]))
    return _Check("decoding", "good", f"PyAV {av.__version__}, libavcodec {versions}; {', '.join(decoders)}")


def _encoding() -> _Check:
    import av

    found = [n for n in ("libx264", "libopenh264", "aac") if n in av.codecs_available]
    good = "aac" in found and len(found) > 1
    detail = ", ".join(found) or "no H.264 encoder"
    return _Check("encoding", "good" if good else "missing", detail, "needed for clip --exact and highlights", False)


def _openvino() -> _Check:
    import openvino

    devices = openvino.Core().available_devices
    return _Check("openvino", "good", f"{openvino.__version__.split('-')[0]}; devices {', '.join(devices)}")


def _onnxruntime() -> _Check:
    import onnxruntime

    from onlooker.models.runtimes.onnxruntime import devices

    found = ", ".join(name.removesuffix("ExecutionProvider") for name in devices())
    return _Check("onnxruntime", "good", f"{onnxruntime.__version__}; devices {found}")


def _speech() -> _Check:
    from importlib import metadata

    try:
        detail = f"faster-whisper {metadata.version('faster-whisper')}"
    except metadata.PackageNotFoundError:
        detail = "not here: speech is found, but not written down"
        return _Check("transcription", "missing", detail, "pip install 'onlooker[speech]'", False)
    return _Check("transcription", "good", detail, required=False)


def _sqlite() -> _Check:
    import apsw
    import sqlite_vec

    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute("create virtual table t using fts5(x)")
    (version,) = next(iter(connection.execute("select vec_version()")))
    return _Check("store", "good", f"SQLite {apsw.sqlite_lib_version()}, FTS5, sqlite-vec {version}")


def _folder(name: str, folder: Path) -> _Check:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        return _Check(name, "broken", f"{existing} cannot be written", "choose another folder")
    return _Check(name, "good" if free > 1 else "broken", f"{folder}; {free:.1f} GB free", "make room")


def _cache() -> _Check:
    from onlooker.models.entries import cache_folder

    return _folder("model cache", cache_folder())


def _pip() -> _Check:
    from importlib.util import find_spec

    found = find_spec("pip") is not None
    return _Check("pip", "good" if found else "missing", "fetches models from wheels", "python -m ensurepip", False)


def _npm() -> _Check:
    found = shutil.which("npm")
    return _Check("npm", "good" if found else "missing", "fetches models from npm packages", "apt install npm", False)


def _extras() -> _Check:
    from importlib.util import find_spec

    have = [n for n in ("pyarrow", "duckdb", "pandas", "polars") if find_spec(n)]
    return _Check("extras", "good", ", ".join(have) or "none", "pip install 'onlooker[arrow]'", False)


_CHECKS: dict[str, Callable[[], _Check]] = {
    "python": _python,
    "processor": _processor,
    "decoding": _ffmpeg,
    "encoding": _encoding,
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "store": _sqlite,
    "transcription": _speech,
    "model cache": _cache,
    "pip": _pip,
    "npm": _npm,
    "extras": _extras,
}


def _models(profile: str) -> list[_Check]:
    from onlooker import models
    from onlooker.cli.commands.models import profile_models

    checks: list[_Check] = []
    for name in profile_models(profile):
        state = models.state(name)
        detail = f"{state}; {models.entry(name).title}"
        hint = f"onlooker models pull {name}"
        checks.append(_Check(name, "good" if state == "pulled" else "missing", detail, hint, required=False))
    return checks
