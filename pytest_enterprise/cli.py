"""The command line: ``pytest-enterprise COMMAND``. What a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_enterprise import settings as settings_module
from pytest_enterprise.errors import EnterpriseError


def _ini() -> dict[str, Any]:
    """The keys ``enterprise_*`` of the nearest pyproject.toml or pytest.ini, as pytest would read them."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        ini = folder / "pytest.ini"
        if ini.is_file():
            import configparser

            parser = configparser.ConfigParser()
            parser.read(ini, encoding="utf-8")
            values = dict(parser["pytest"]) if parser.has_section("pytest") else {}
            many = {option.ini for option in settings_module.OPTIONS if option.many}
            return {k: v.split() if k in many else v for k, v in values.items()}
        project = folder / "pyproject.toml"
        if project.is_file():
            tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {})
            return {**tool.get("ini_options", {}), **{k: v for k, v in tool.items() if k.startswith("enterprise_")}}
    return {}


def _settings(arguments: argparse.Namespace) -> settings_module.Settings:
    ini = _ini()
    return settings_module.read(lambda o: getattr(arguments, o.ini, None), lambda o: ini.get(o.ini))


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for option in settings_module.OPTIONS:
        extra: dict[str, Any] = {}
        if isinstance(option.default, bool):
            extra = {"action": "store_const", "const": True}
        elif option.many:
            extra = {"action": "append", "metavar": option.metavar or "ENGINE=VALUE"}
        parser.add_argument(option.flag, dest=option.ini, default=None, help=option.help, **extra)


def _up(arguments: argparse.Namespace) -> int:
    from pytest_enterprise.load.web.launch import Page
    from pytest_enterprise.up import up

    settings = _settings(arguments)
    if arguments.stack:
        settings = settings._replace(stack=arguments.stack)
    page = (arguments.web, arguments.web_port, arguments.objectives, arguments.window)
    web = Page(*page) if arguments.web else None
    return up(settings, arguments.engines, seconds=arguments.seconds, web=web)


def _down(_: argparse.Namespace) -> int:
    from pytest_enterprise.runtimes import cgroup, container, leftovers, mounts, wires

    done = [*leftovers.remove_leftovers(), *container.remove_leftovers()]
    done += [*cgroup.remove_leftovers(), *mounts.remove_leftovers(), *wires.remove_leftovers()]
    for line in done:
        print(line)  # noqa: T201
    print(f"{len(done)} leftovers removed" if done else "nothing was left")  # noqa: T201
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pytest_enterprise.evidence import documents
    from pytest_enterprise.report import write_all
    from pytest_enterprise.report.model import load_run
    from pytest_enterprise.report.terminal import summary_lines

    directory = Path(arguments.directory)
    if not (directory / "run.json").is_file():
        raise EnterpriseError(f"{directory} is not a run directory: it has no run.json. Look in {directory.parent}")
    write_all(directory)
    if documents.signed(directory):
        print(f"the evidence in {directory} is signed and stays as it is")  # noqa: T201
    else:
        documents.write(directory)
    report = load_run(directory, records=False)
    for line in summary_lines(report):
        print(line)  # noqa: T201
    if not arguments.check:
        return 0
    from pytest_enterprise.report import github, words

    github.publish(report)
    return 0 if words.headline(report).verdict == "held" else 1


def _replay(arguments: argparse.Namespace) -> int:
    from pytest_enterprise.replay import replay

    return replay(Path(arguments.directory), arguments.tests, times=arguments.times)


def _images(arguments: argparse.Namespace) -> int:
    from pytest_enterprise.images.build import build

    build(only=arguments.engine or None, base=arguments.base)
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from pytest_enterprise.doctor import doctor

    return doctor()


def _init(arguments: argparse.Namespace) -> int:
    from pytest_enterprise.init import init

    return init(Path(arguments.directory))


def _load(arguments: argparse.Namespace) -> int:
    from pytest_enterprise.load import command

    status = command.main(arguments)
    if arguments.objectives and not arguments.web:
        from pytest_enterprise import events
        from pytest_enterprise.report import github, reading

        found = [e for e in events.read(Path(arguments.reports) / "latest") if e["kind"] == "objective.judged"]
        github.publish_load(Path(arguments.locustfile).name, [reading.judgement(event) for event in found])
    return status


def _needs_evidence() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        raise EnterpriseError('this needs cryptography: pip install "pytest-enterprise[evidence]"') from None


def _ledger_place(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """The ledger's directory, and where the run directories lie."""
    settings = _settings(arguments)
    ledger = Path(settings.ledger or Path(settings.reports) / "ledger")
    return ledger, Path(arguments.runs or settings.reports)


def _now(arguments: argparse.Namespace) -> datetime:
    from pytest_enterprise.evidence.entries import parse_time
    from pytest_enterprise.evidence.notes import Malformed

    try:
        return parse_time(arguments.now) if arguments.now else datetime.now(UTC)
    except Malformed as error:
        raise EnterpriseError(f"--now: {error}") from None


def _key(arguments: argparse.Namespace) -> int:
    _needs_evidence()
    from pytest_enterprise.evidence import keys

    key = keys.make(Path(arguments.file))
    print(f"{arguments.file} is made; keep it secret. Its fingerprint, for auditors:\n{key.fingerprint}")  # noqa: T201
    return 0


def _schedule(arguments: argparse.Namespace) -> int:
    _needs_evidence()
    from pytest_enterprise.evidence import schedule, signing

    settings = _settings(arguments)
    ledger = signing.ledger_of(settings)
    entries = [ledger.register(schedule.load(Path(arguments.file)))] if arguments.file else ledger.settle()
    for entry in entries:
        what = entry.data.get("slot") or entry.data.get("run") or entry.data.get("name")
        print(f"{entry.kind} {what}")  # noqa: T201
    for line in (
        signing.told(ledger, f"{len(entries)} entries at the end", settings) if entries else ["nothing to record"]
    ):
        print(line)  # noqa: T201
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    _needs_evidence()
    from pytest_enterprise.evidence import signing

    settings = _settings(arguments)
    ledger = signing.ledger_of(settings)
    number = ledger.finish(Path(arguments.directory).resolve())
    for line in signing.told(ledger, f"signed as entry {number + 1}", settings):
        print(line)  # noqa: T201
    return 0


def _coverage(arguments: argparse.Namespace) -> int:
    _needs_evidence()
    from pytest_enterprise.evidence import coverage_text
    from pytest_enterprise.evidence.coverage import coverage, write
    from pytest_enterprise.evidence.verify import printable

    ledger, runs = _ledger_place(arguments)
    found = coverage(ledger, runs, now=_now(arguments))
    for line in coverage_text.lines(found):
        print(printable(line))  # noqa: T201
    if arguments.output:
        write(found, Path(arguments.output))
    return 0


def _kit(arguments: argparse.Namespace) -> int:
    _needs_evidence()
    from pytest_enterprise.evidence import kit

    ledger, runs = _ledger_place(arguments)
    for line in kit.write(Path(arguments.archive), ledger, runs, now=_now(arguments)):
        print(line)  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    from pytest_enterprise.load import command as load_command
    from pytest_enterprise.load.web import launch

    parser = argparse.ArgumentParser(
        prog="pytest-enterprise", description="Stacks of real servers, loaded, broken and judged."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="what is here, what is missing, and the command that gets it")
    doctor.set_defaults(run=_doctor)

    up = commands.add_parser("up", help="start a stack, print every URL and keep it running until Ctrl-C")
    up.add_argument("stack", nargs="?", help="stack file (.toml or .py); else the setting enterprise_stack")
    up.add_argument("--engines", nargs="*", help="only these and what they need")
    up.add_argument("--seconds", type=float, help="end by itself after so long")
    up.add_argument("--web", metavar="LOCUSTFILE", help="Locust's web UI beside it: load, charts, faults, objectives")
    launch.add_arguments(up)
    _add_settings(up)
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="remove what an earlier crash left: processes, containers, memory")
    down.set_defaults(run=_down)

    images = commands.add_parser("images", help="build the engines' images from a Debian base")
    images.add_argument("engine", nargs="*", help="only these")
    images.add_argument("--base", help="the Debian image to build on; made by mmdebstrap when absent")
    images.set_defaults(run=_images)

    load = commands.add_parser("load", help="load a stack that is up with a locustfile")
    load_command.add_arguments(load)
    load.set_defaults(run=_load)

    proxy = commands.add_parser("proxy", help="run the fault proxy alone, with Toxiproxy's options", add_help=False)
    proxy.set_defaults(run=None)

    report = commands.add_parser("report", help="make the reports of a run directory again")
    report.add_argument("directory", nargs="?", default="reports/latest")
    report.add_argument(
        "--check", action="store_true", help="exit status 1 unless everything held; annotations in GitHub Actions"
    )
    report.set_defaults(run=_report)

    replay = commands.add_parser("replay", help="run the faults of an earlier run again: does its outcome recur?")
    replay.add_argument("directory", nargs="?", default="reports/latest", help="the run directory")
    replay.add_argument("tests", nargs="*", help="pytest ids; else every test that had a fault")
    replay.add_argument("--times", type=int, default=3, metavar="K", help="how often (default: 3)")
    replay.set_defaults(run=_replay)

    key = commands.add_parser("key", help="make a key that signs evidence, and print its fingerprint")
    key.add_argument("file", help="where the key is written; never overwritten")
    key.set_defaults(run=_key)

    schedule = commands.add_parser("schedule", help="register a schedule of runs, or record what was missed")
    schedule.add_argument(
        "file", nargs="?", help="the schedule (TOML); without, slots that passed are recorded as missed"
    )
    _add_settings(schedule)
    schedule.set_defaults(run=_schedule)

    sign = commands.add_parser("sign", help="sign the evidence of a run that is over, and append it to the ledger")
    sign.add_argument("directory", nargs="?", default="reports/latest", help="the run directory")
    _add_settings(sign)
    sign.set_defaults(run=_sign)

    coverage = commands.add_parser("coverage", help="what evidence a period has: gaps, changes, exceptions, trends")
    coverage.add_argument("--output", metavar="DIR", help="also write coverage.md and coverage.json there")
    kit = commands.add_parser("kit", help="write the auditor's kit: evidence, ledger, verifier and how to use them")
    kit.add_argument("archive", help="the archive to write (.tar.gz)")
    for parser_of_period, run in ((coverage, _coverage), (kit, _kit)):
        parser_of_period.add_argument("--runs", metavar="DIR", help="where the run directories lie (default: reports)")
        parser_of_period.add_argument("--now", metavar="TIME", help="as of this time (RFC 3339)")
        _add_settings(parser_of_period)
        parser_of_period.set_defaults(run=run)

    verify = commands.add_parser("verify", help="verify evidence: signatures, hashes, ledger, schedule", add_help=False)
    verify.set_defaults(run=None)

    init = commands.add_parser("init", help="write a first scenario, locustfile and workflow into a repository")
    init.add_argument("directory", nargs="?", default=".")
    init.set_defaults(run=_init)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a mistake is told in a line and gives exit status 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["proxy"]:
        from pytest_enterprise.proxy.program import main as proxy_main

        return proxy_main(arguments[1:])
    if arguments[:1] == ["verify"]:
        try:
            _needs_evidence()
        except EnterpriseError as error:
            print(f"pytest-enterprise: {error}", file=sys.stderr)  # noqa: T201
            return 2
        from pytest_enterprise.evidence.verify import main as verify_main

        return verify_main(arguments[1:])
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output has seen enough: | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a program that SIGPIPE ended
    except EnterpriseError as error:
        print(f"pytest-enterprise: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
