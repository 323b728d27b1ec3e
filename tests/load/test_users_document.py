"""The locustfiles that docs/how-to/users.md shows can be used as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "users.md"
BLOCKS = re.findall(r"```py\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
IMPORT = """
import sys
from locust.util.load_locustfile import load_locustfile
[(name, user)] = load_locustfile(sys.argv[1])[0].items()
print(name, len(user.tasks))
"""
DESCRIPTION = {
    "openapi": "3.1.0",
    "info": {"title": "shop", "version": "1"},
    "paths": {
        "/items": {
            "get": {"responses": {"200": {"description": "all"}}},
            "delete": {"tags": ["admin"], "responses": {"204": {"description": "gone"}}},
        }
    },
}


@pytest.mark.parametrize("text", BLOCKS, ids=lambda text: re.search(r"(?m)^(?:class )?([A-Z]\w+)", text)[1])
def test_each_locustfile_of_the_document_has_a_user_with_tasks(tmp_path, text):
    (tmp_path / "openapi.json").write_text(json.dumps(DESCRIPTION))
    (tmp_path / "locustfile.py").write_text(text)
    command = (sys.executable, "-c", IMPORT, str(tmp_path / "locustfile.py"))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"[A-Z]\w+ [1-9]\d*\n", done.stdout), done.stderr


def test_the_document_shows_every_protocol():
    shown = set(re.findall(r"pytest_enterprise\.load\.(\w+)_users import", "".join(BLOCKS)))
    assert shown == {"tcp", "redis", "postgres", "websocket", "grpc", "openapi"}
