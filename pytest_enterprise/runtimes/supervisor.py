"""The parent of every process of a run: ``python -m pytest_enterprise.runtimes.supervisor SOCKET OWNER [PATH ...]``.

It reads requests from an inherited socket, one JSON object a line, and answers each with ``{"id": ..., ...}``; the end
of a program is told as ``{"exit": KEY, "status": wait status, "cpu": seconds}``. Programs go by a *key*, one for
each instance. When the socket ends or its owner dies, for whatever reason, it ends every process below it, removes
their shared memory and the PATHs given, and exits. Being a child subreaper, it is the parent of those whose own parent
died.

A program of its own, because the kernel's parent-death signal fires when the starting *thread* ends and is cleared when
a program changes user.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from pytest_enterprise.runtimes import mounts, proctree

INSTANCE = "PYTEST_ENTERPRISE_INSTANCE"
"""Set for every program beside the run's id: tells whose it is when its parents are gone."""
USER_INSIDE = 1000
"""The user id that an unprivileged program sees in its namespace."""

_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_TICK = 4
"""Milliseconds between two looks at processes that are to end or to stop."""

Request = dict[str, Any]


def _enter_user_namespace() -> None:  # pragma: no cover - its process becomes another program
    """Become ``USER_INSIDE`` in a user namespace: not root to itself, while its files stay the caller's."""
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{USER_INSIDE} {user} 1"),
        ("gid_map", f"{USER_INSIDE} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)


def _enter_network_of(process: int) -> None:  # pragma: no cover - the same
    """Share the network namespace of another process. Before the user changes: it is root's to enter."""
    namespace = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _become_nobody(user: int, group: int, needs: list[str]) -> None:  # pragma: no cover - the same
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    for path in needs:
        if not os.access(path, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _run_child(request: Request) -> None:  # pragma: no cover - the same
    """In the forked child: become the program. Raises with ``step`` noted when it cannot."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    request["step"] = "log"
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    request["step"] = "network"
    if request.get("network"):
        _enter_network_of(request["network"])
    request["step"] = "user"
    user = request.get("user")
    if user == "namespace":
        _enter_user_namespace()
    elif user:
        _become_nobody(user["uid"], user["gid"], user["needs"])
    request["step"] = "exec"
    os.execve(request["argv"][0], request["argv"], request["env"])


class Supervisor:
    """The children of one run, and the conversation with its owner."""

    def __init__(self, connection: socket.socket, owner: int) -> None:
        self.connection = connection
        self.owner = owner
        self.started = time.time()
        self.mains: dict[str, int] = {}
        """Key to the process id of what runs under it now."""
        self.keys: dict[int, str] = {}
        """Main process id, which is its session's id as well, to the key: outlives the process."""
        self.lives: dict[int, tuple[float, float]] = {}
        """When each process of ours lived, as far as seen: says whose shared memory is whose."""
        self.memory: set[str] = set()
        self.waiting: list[tuple[Request, float]] = []
        """Requests that are answered once what they asked for has happened, with their deadlines."""
        self.table: dict[int, proctree.Process] = {}

    # Conversation

    def tell(self, **message: Any) -> None:
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # its end of the socket is gone: the loop sees that itself

    def serve(self) -> None:
        """Answer until the owner is gone or asks for the end."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        ending: list[int] = []
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        poll.register(reader, select.POLLIN)
        watch = -1
        try:
            watch = os.pidfd_open(self.owner)
            poll.register(watch, select.POLLIN)
        except OSError:
            pass  # an old kernel: the socket alone tells
        text = b""
        while not ending and os.getppid() == self.owner:
            ready = {descriptor for descriptor, _ in poll.poll(_TICK if self.waiting else None)}
            if reader in ready:
                os.read(reader, 4096)
            self.reap()
            if self.waiting:
                self.check_waiting()
            if watch in ready:
                return
            if self.connection.fileno() in ready:
                try:
                    data = self.connection.recv(1 << 20)
                except OSError:
                    data = b""
                if not data:
                    return
                *lines, text = (text + data).split(b"\n")
                for line in lines:
                    if not self.handle(json.loads(line)):
                        return

    def handle(self, request: Request) -> bool:
        """Do one request; False for the one that ends all."""
        does = request["do"]
        if does == "close":
            return False
        if does == "spawn":
            self.spawn(request)
        elif does == "signal":
            tree = self.tree(request["key"])
            if request["signal"] != signal.SIGCONT:  # it may end of it, and take with it whose memory is whose
                self.memory |= proctree.mapped_files(tree)
            main = self.mains.get(request["key"])
            sent = [proctree.send(pid, request["signal"]) for pid in tree if request["whole"] or pid == main]
            self.tell(id=request["id"], sent=sum(sent))
        elif does in ("kill", "pause"):
            key = request["key"]
            frozen = proctree.freeze(lambda: self.tree(key))
            if does == "kill":
                self.end(frozen)
            self.waiting.append((request, time.monotonic() + request["timeout"]))
            self.check_waiting()
        elif does == "pids":
            self.tell(id=request["id"], pids=sorted(self.tree(request["key"])))
        elif does == "cpu":
            tree = self.tree(request["key"])
            self.tell(id=request["id"], cpu=sum(self.table[pid].cpu for pid in tree))
        return True

    def check_waiting(self) -> None:
        """Answer the requests to end or to stop a tree whose processes have done so."""
        now, left = time.monotonic(), []
        for request, deadline in self.waiting:
            tree = self.tree(request["key"])
            kill = request["do"] == "kill"
            unmoved = [pid for pid in tree if kill or not self.table[pid].stopped]
            if kill:
                self.end(unmoved)
            if unmoved and now < deadline:
                left.append((request, deadline))
            else:
                self.tell(id=request["id"], processes=len(tree), unmoved=unmoved)
        self.waiting = left

    # Processes

    def spawn(self, request: Request) -> None:
        # An exec that works closes the pipe; one that fails tells through it.
        reader, writer = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:  # pragma: no cover - the same
            try:
                _run_child(request)
            except BaseException as error:  # nothing may escape into the parent's code
                failure = {
                    "step": request.get("step", "session"),
                    "errno": getattr(error, "errno", None),
                    "path": getattr(error, "filename", None),
                    "error": str(error),
                }
                os.write(writer, json.dumps(failure).encode())
            os._exit(127)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            told = file.read()
        if told:
            os.waitpid(pid, 0)
            self.tell(id=request["id"], failed=json.loads(told))
            return
        self.mains[request["key"]] = pid
        self.keys[pid] = request["key"]
        self.lives[pid] = (time.time(), time.time())
        one = proctree.process(pid)
        self.tell(id=request["id"], pid=pid, started=one.started if one else 0)

    def reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.note(pid)
            for key, main in tuple(self.mains.items()):
                if main == pid:
                    del self.mains[key]
                    self.tell(exit=key, pid=pid, status=status, cpu=usage.ru_utime + usage.ru_stime)

    def note(self, pid: int) -> None:
        now = time.time()
        self.lives[pid] = (self.lives.get(pid, (self.started, 0.0))[0], now)

    def tree(self, key: str) -> set[int]:
        """The living processes of an instance: below its main one, or left behind by it in whatever session."""
        self.table = table = proctree.processes()
        me, main = os.getpid(), self.mains.get(key)
        roots = {main} if main else set()
        mains = set(self.mains.values())
        roots |= {
            one.pid
            for one in table.values()
            if one.parent == me
            and one.pid not in mains
            and key in (self.keys.get(one.session), proctree.environment(one.pid, INSTANCE))
        }
        return {pid for pid in proctree.descendants(table, roots) if not table[pid].gone}

    def end(self, pids: Any) -> None:
        """SIGKILL these, remembering the shared memory they hold."""
        self.memory |= proctree.mapped_files(pids)
        for pid in pids:
            self.note(pid)
            proctree.send(pid, signal.SIGKILL)

    def everything(self) -> set[int]:
        table = proctree.processes()
        me = os.getpid()
        return {pid for pid in proctree.descendants(table, {me}) if pid != me and not table[pid].gone}

    def close(self, paths: list[str]) -> None:
        """End all that is below, then remove its shared memory and ``paths``."""
        signal.set_wakeup_fd(-1)
        deadline = time.monotonic() + 5
        self.end(proctree.freeze(self.everything))
        while time.monotonic() < deadline:
            self.reap()
            left = self.everything()
            if not left:
                break
            self.end(left)
            time.sleep(0.002)
        self.reap()
        if paths:
            mounts.unmount_of(paths[0].rpartition("-")[2])
        for segment in proctree.segments_of(self.lives):
            proctree.remove_segment(segment)
        proctree.remove_mapped(self.memory, since=self.started)
        if paths:
            import shutil

            for path in paths:
                if os.path.isdir(path):  # noqa: PTH112
                    shutil.rmtree(path, ignore_errors=True)
                elif os.path.lexists(path):
                    os.unlink(path)  # noqa: PTH108


def main(arguments: list[str]) -> None:
    """Serve the socket with that descriptor until its owner is gone; then end everything."""
    descriptor, owner, *paths = arguments
    connection = socket.socket(fileno=int(descriptor))
    connection.set_inheritable(False)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    supervisor = Supervisor(connection, int(owner))
    try:
        supervisor.serve()
    finally:
        supervisor.close(paths)


if __name__ == "__main__":
    main(sys.argv[1:])
