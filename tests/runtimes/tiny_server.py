"""``tiny_server.py PORT DATA [MODE ...]``: answers each connection with its pid, its user and the number of its start.

Modes: ``daemon`` double-forks a grandchild into a session of its own, ``child`` forks a plain one, ``sysv`` and
``posix`` make shared memory, ``deaf`` ignores SIGTERM, ``busy`` uses CPU time first, ``crash`` ends with exit code 3.
"""

import ctypes
import mmap
import os
import signal
import socket
import sys
import time
from pathlib import Path

port, data, *modes = sys.argv[1:]


def note(name: str, text: object) -> None:
    partial = Path(data, f"{name}.part")
    partial.write_text(str(text))
    partial.rename(Path(data, name))


sys.stdout.write(f"process {os.getpid()} {modes}\n")
sys.stdout.flush()
if "crash" in modes:
    sys.stderr.write("no good\n")
    sys.exit(3)
if "deaf" in modes:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "child" in modes and os.fork() == 0:
    note("child", os.getpid())
    while True:
        time.sleep(60)
if "daemon" in modes and os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("daemon", os.getpid())
    while True:
        time.sleep(60)
if "sysv" in modes:
    note("sysv", ctypes.CDLL(None).shmget(0, 4096, 0o1600))
if "posix" in modes:
    shared = os.open(f"/dev/shm/tiny-{os.getpid()}", os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(shared, 4096)
    kept = mmap.mmap(shared, 4096)
    note("posix", f"/dev/shm/tiny-{os.getpid()}")
if "busy" in modes:
    while time.process_time() < 0.3:
        pass

before = Path(data, "starts")
starts = int(before.read_text()) + 1 if before.exists() else 1
note("starts", starts)
note("environment", "\n".join(f"{name}={value}" for name, value in sorted(os.environ.items())))

with socket.create_server(("127.0.0.1", int(port))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(f"{os.getpid()} {os.geteuid()} {starts}".encode())
