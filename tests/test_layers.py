"""The architecture's rules on who may import what, and on what a plain pytest run pays for the plugin."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_enterprise

PACKAGE = Path(pytest_enterprise.__file__).parent
LAYERS = [
    {"errors", "settings", "redaction", "events", "ports", "run", "http_server"},
    {"proxy", "discovery", "disk", "resolver", "packets"},
    {"engines", "runtimes", "images"},
    {"stack", "running", "networks", "portal", "proxy_control", "toxiproxy_control", "live", "stack_file"},
    {"faults"},
    {"load", "objectives", "claims", "sabotage", "control", "stored_benchmarks"},
    {"systems", "experiments"},
    {"report"},
    {"evidence"},
    {"session", "hookspecs", "plugin", "up", "replay", "init", "doctor", "cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path, *, also_for_types=True):
    """Modules that a file imports, inside functions too; those for type checkers only where asked."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not also_for_types:
            skipped |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_part_has_a_layer():
    assert {part(path) for path in FILES} == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_layer_imports_only_what_stands_above_it(path):
    ours = {
        name.split(".")[1] for name in imported(path, also_for_types=False) if name.startswith("pytest_enterprise.")
    }
    below = {name for name in ours & set(LEVEL) if LEVEL[name] > LEVEL[part(path)]}
    assert not below


def test_only_hooks_import_pytest():
    found = {part(p) for p in FILES if any(n.split(".")[0] == "pytest" for n in imported(p, also_for_types=False))}
    assert found == {"plugin", "hookspecs", "experiments"}


def test_locust_is_imported_only_by_its_own_process():
    found = {p.name for p in FILES if any(n.split(".")[0] in ("locust", "gevent") for n in imported(p))}
    own = {"locust_child", "locust_runner", "users", "recorder", "pace", "protocol", "open_loop", "open_setup", "timer"}
    own |= {"answers", "__main__", "recording", "workers"}  # the last three of the web UI
    assert {name for name in found if not name.endswith("_users.py")} <= {f"{name}.py" for name in own}


def loaded(*arguments):
    program = (
        "import sys, pytest\n"
        f"pytest.main({list(arguments)!r})\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_a_plain_run_imports_nothing_heavy(tmp_path):
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    run = (str(tmp_path), "--rootdir", str(tmp_path), "-q", "-p", "no:cacheprovider")
    heavy = {
        "locust",
        "gevent",
        "docker",
        "testcontainers",
        "grpc",
        "psycopg",
        "pydantic",
        "jinja2",
        "asyncio",
        "cryptography",
    }
    added = loaded(*run) - loaded(*run, "-p", "no:enterprise")
    assert not added & (heavy | {"opentelemetry", "requests"})


def test_what_is_exported_is_there():
    assert pytest_enterprise.__all__ == sorted(pytest_enterprise._HOME)
    for name in pytest_enterprise.__all__:
        assert getattr(pytest_enterprise, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        _ = pytest_enterprise.Nothing
