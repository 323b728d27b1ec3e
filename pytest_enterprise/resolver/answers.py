"""What is answered to a question: the truth, or what a fault makes of it. Nothing is ever asked elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

REFUSALS = {"nxdomain": dns.rcode.NXDOMAIN, "servfail": dns.rcode.SERVFAIL, "refused": dns.rcode.REFUSED}
"""Answers that are none: there is no such name, the resolver is broken, the resolver does not want to."""
SILENCE = "silence"


@dataclass
class Rule:
    """A fault for the questions of one client, by its address."""

    client: str
    name: str
    """A pattern as of file names: ``postgres.test``, ``*``."""
    answer: str
    """A key of :data:`REFUSALS`, ``silence``, an IPv4 address, or nothing for the truth."""
    delay: float
    met: int = 0


class Reply(NamedTuple):
    """What to send, and after how many seconds; None for silence."""

    wire: bytes | None
    delay: float = 0.0


class Answers:
    """The names of a file (JSON: name to IPv4 address), reread when it is replaced, and the rules that are on."""

    def __init__(self, names: Path) -> None:
        self._file = names
        self._seen: tuple[int, int] | None = None
        self._names: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._rules: dict[int, Rule] = {}

    def add(self, rule: Rule) -> int:
        """Let a rule hold; of several that fit, the newest does. Returns its number."""
        number = next(self._numbers)
        self._rules[number] = rule
        return number

    def remove(self, number: int) -> Rule | None:
        return self._rules.pop(number, None)

    def _address(self, name: str) -> str | None:
        with contextlib.suppress(OSError, ValueError):
            status = self._file.stat()
            if (status.st_mtime_ns, status.st_ino) != self._seen:
                self._names = json.loads(self._file.read_text(encoding="utf-8"))
                self._seen = (status.st_mtime_ns, status.st_ino)
        return self._names.get(name)

    def reply(self, wire: bytes, clients: Collection[str]) -> Reply:
        """The answer to one message from whoever has one of these addresses."""
        try:
            asked = dns.message.from_wire(wire)
            question = asked.question[0]
            response = dns.message.make_response(asked)
        except (dns.exception.DNSException, IndexError):
            return Reply(None)
        response.flags |= dns.flags.RA
        name = question.name.to_text(omit_final_dot=True).lower()
        address = self._address(name)
        delay = 0.0
        for rule in reversed(self._rules.values()):
            if rule.client in clients and fnmatchcase(name, rule.name):
                rule.met += 1
                delay = rule.delay
                if rule.answer == SILENCE:
                    return Reply(None)
                if rule.answer in REFUSALS:
                    response.set_rcode(REFUSALS[rule.answer])
                    return Reply(response.to_wire(), delay)
                address = rule.answer or address
                break
        if address is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", address))
        return Reply(response.to_wire(), delay)
