"""What the documents show works as it stands there."""

import os
import re
import subprocess
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pytest_enterprise import Link, Service, Stack
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack

ROOT = Path(__file__).parents[1]


def blocks(name):
    """The fenced Python blocks of a document, each with the text before it."""
    return re.findall(r"([^\n]+)\n+```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass


def run(directory, *command):
    """What a user sees of a command."""
    done = subprocess.run(
        (sys.executable, "-m", *command),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


def test_the_quick_start_word_for_word(tmp_path):
    """In an empty directory, with a service on the port that the text names; then ``init`` beside it."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", 8000), Quiet)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)  # taken: all but the number is word for word
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        for before, text in blocks("README.md"):
            [file] = re.findall(r"`(\w+\.py)`", before)
            (tmp_path / file).write_text(text.replace(":8000", f":{server.server_port}"))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["locustfile.py", "test_shop.py"]
        summary = run(tmp_path, "pytest", "-v").partition("= enterprise =")[2]
        assert re.search(r"✓ held +latency-p95-during +during +0\.1\d\d s +≤ 0\.500 s", summary), summary
        page = (tmp_path / "reports" / "latest" / "index.html").read_text()
        assert "latency-p95-during" in page
        assert "<svg class=ch " in page
        run(tmp_path, "pytest_enterprise.cli", "init")
        assert "2 passed" in run(tmp_path, "pytest")
        server.shutdown()


def test_the_engine_of_the_lesson_starts(new_run):
    [(_, text)] = blocks("CREATING_ENGINES.md")
    names = {"__name__": "lesson"}
    sys.modules.setdefault("lesson", type(sys)("lesson"))
    exec(compile(text, "CREATING_ENGINES.md", "exec"), names)
    spec = Stack([names["Files"](name="files", greeting="good day")], [Link("load", "files")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        import urllib.request

        with urllib.request.urlopen(live.url("files"), timeout=5) as answer:
            assert answer.read() == b"good day"


def test_the_fault_of_the_lesson_acts_and_is_undone(new_run):
    [(_, text)] = blocks("CREATING_FAULTS.md")
    names = {"__name__": "lesson_of_faults"}
    sys.modules.setdefault("lesson_of_faults", type(sys)("lesson_of_faults"))
    exec(compile(text, "CREATING_FAULTS.md", "exec"), names)
    command = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")
    with LiveStack(new_run(runtime="process"), Stack([Service(name="files", command=command)])) as live:
        ballast = live.running.site("files").data / "ballast"
        with Faults(live, "lesson").apply(names["Ballast"](target="files", size=1000)):
            assert ballast.stat().st_size == 1000
        assert not ballast.exists()


@pytest.mark.parametrize(
    "name",
    ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CREATING_ENGINES.md", "CREATING_FAULTS.md", "docs/index.md"],
)
def test_links_between_documents_lead_somewhere(name):
    path = ROOT / name
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
