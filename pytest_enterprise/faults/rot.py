"""A file that is not any more what was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pytest_enterprise.errors import FaultFailed, nearest
from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


class _Damage(NamedTuple):
    """What was changed in a file: the bytes from ``offset`` on, before and after."""

    path: Path
    offset: int
    before: bytes
    after: bytes


@dataclass(frozen=True, kw_only=True)
class Rot(EngineFault):
    """Flips one bit in each of ``bytes`` random bytes of a file, or cuts the file short, while the server is down.

    ``path`` is below the data directory, as a pattern (``**/base/*/16384``); one of the files that it means is drawn.
    ``truncate`` cuts off so many bytes of its end instead. The server is stopped before and started after, so that it
    reads what is on the disk; when the fault ends, the same again with the file as it was, unless the server has
    written there meanwhile.
    """

    kind: ClassVar[str] = "rot"
    proof: ClassVar[Proof] = "acted"

    path: str
    bytes: int = 1
    truncate: int = 0

    def __post_init__(self) -> None:
        positive(self.kind, "bytes", self.bytes, limit=1_000_000, unit="bytes")
        positive(self.kind, "truncate", self.truncate, limit=1e15, unit="bytes", zero=True)

    def _file(self, choose: Chooser, name: str) -> Path:
        top = choose.stack.running.site(name).data
        found = sorted(path for path in top.glob(self.path) if path.is_file() and path.stat().st_size)
        if not found:
            known = [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
            raise FaultFailed(f"rot: no file below {top} is meant by {self.path!r}. {nearest(self.path, known)}")
        return choose.sample(found, 1)[0]

    def begin(self, choose: Chooser, targets: list[str]) -> list[_Damage]:
        stack = choose.stack
        files = {name: self._file(choose, name) for name in targets}
        damage: list[_Damage] = []
        for name, path in files.items():
            stack.portal.call(stack.running.instance(name).stop())
            damage += self._damage(choose, path)
            stack.portal.call(stack.running.restart(name))
        return damage

    def _damage(self, choose: Chooser, path: Path) -> list[_Damage]:
        size = path.stat().st_size
        with path.open("r+b") as file:
            if self.truncate:
                kept = max(0, size - int(self.truncate))
                file.seek(kept)
                damage = [_Damage(path, kept, file.read(), b"")]
                file.truncate(kept)
                return damage
            damage = []
            for offset in sorted(choose.sample(range(size), min(int(self.bytes), size))):
                file.seek(offset)
                before = file.read(1)
                after = bytes((before[0] ^ (1 << choose.sample(range(8), 1)[0]),))
                file.seek(offset)
                file.write(after)
                damage.append(_Damage(path, offset, before, after))
        return damage

    def end(self, stack: LiveStack, targets: list[str], state: list[_Damage]) -> Evidence:
        for name in targets:
            stack.portal.call(stack.running.instance(name).stop())
        rewritten = 0
        for path, offset, before, after in state:
            with path.open("r+b") as file:
                file.seek(offset)
                if file.read(len(after) or 1) == after:
                    file.seek(offset)
                    file.write(before)
                else:
                    rewritten += 1
        back = {name: round(stack.portal.call(stack.running.restart(name)), 3) for name in targets}
        files = sorted({str(one.path) for one in state})
        facts = {"files": files, "places": len(state), "rewritten_meanwhile": rewritten, "ready_after_s": back}
        return Evidence(len(state) > rewritten, facts)
