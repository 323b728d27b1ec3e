"""A server under test, and pytest run as users run it."""

import http.server
import threading
from pathlib import Path

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing: users of a load that is ended hang up in the middle."""


@pytest.fixture(scope="session")
def server():
    """The URL of a small HTTP server."""
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def project(pytester, server):
    """A user's repository: a stack with an external service, a locustfile and a claim."""
    pytester.makeconftest(
        f"""
        import pytest
        from pytest_enterprise import External, Link, Stack

        @pytest.fixture(scope="session")
        def enterprise_stack_spec():
            return Stack([External(name="shop", url="{server}")], [Link("load", "shop")])
        """
    )
    (pytester.path / ".engines").symlink_to(Path(__file__).parents[2] / ".engines")
    (pytester.path / "locustfile.py").write_text(
        "from locust import task\n"
        "from pytest_enterprise.load.users import EnterpriseUser\n"
        "class Visitor(EnterpriseUser):\n"
        "    rate = 40\n"
        "    @task\n"
        "    def visit(self):\n"
        "        self.client.get('/')\n"
    )
    (pytester.path / "claims.toml").write_text(
        '[[claim]]\nid = "swift"\ntext = "It is swift."\nscenarios = ["test_shop.py::test_swift"]\n'
    )
    return pytester


@pytest.fixture
def run(project, monkeypatch):
    """Runs pytest in a process of its own."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        return project.runpytest_subprocess(
            "--enterprise-runtime=process", "-p", "no:cacheprovider", *arguments, timeout=60
        )

    return run
