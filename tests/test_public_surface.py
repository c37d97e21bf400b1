"""What a user imports, and what importing costs."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys

import onlooker

HEAVY = ("av", "cv2", "numpy", "onnxruntime", "openvino", "pandas", "polars", "pyarrow", "ray", "torch", "PIL", "apsw")


def modules_after(code):
    script = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_public_names_are_these_and_all_can_be_had():
    assert sorted(onlooker.__all__) == [
        "Library",
        "Observation",
        "OnlookerError",
        "Query",
        "Span",
        "Timestamp",
        "__version__",
        "analyze",
    ]
    for name in onlooker.__all__:
        assert getattr(onlooker, name) is not None


def test_importing_onlooker_loads_nothing_heavy():
    assert not set(HEAVY) & set(modules_after("import onlooker"))


def test_help_loads_no_engine_and_no_decoder():
    code = "import contextlib, io; from onlooker.cli.main import _run"
    code += "\nwith contextlib.redirect_stdout(io.StringIO()): _run(['--help'])\n"
    loaded = modules_after("exec(" + repr(code) + ")")
    assert not {"av", "cv2", "onnxruntime", "openvino", "pandas", "ray", "torch"} & set(loaded)


def test_every_public_module_says_what_it_is_and_exports_what_exists():
    for found in pkgutil.walk_packages(onlooker.__path__, "onlooker."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        assert module.__doc__, found.name
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.{name}"
