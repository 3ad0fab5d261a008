"""The commands of app.py, run in this process or in one of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import app

ROOT = Path(__file__).resolve().parent.parent
Finished = subprocess.CompletedProcess[str]


def wenju(*arguments: object, cwd: Path = ROOT) -> Finished:
    """Run a command here: what a process of its own costs to begin is a second and more."""
    words = [str(argument) for argument in arguments]
    output, errors = io.StringIO(), io.StringIO()
    with chdir(cwd), redirect_stdout(output), redirect_stderr(errors):
        try:
            code = app.main(words)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return Finished(words, code, output.getvalue(), errors.getvalue())


def wenju_process(*arguments: object, cwd: Path = ROOT) -> Finished:
    """Run a command as people do, on the poorest terminal, where Chinese must survive too."""
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=os.environ | {"LC_ALL": "C"},
    )
