from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise import claims
from pytest_enterprise.claims import Claim
from pytest_enterprise.errors import ConfigurationError

A = "scenarios/test_a.py::test_one"
B = "scenarios/test_a.py::test_two"
TWICE = "".join(f'[[claim]]\nid = "{id}"\ntext = "b"\nscenarios = ["{A}"]\n' for id in "ab")
REPOSITORY = Path(__file__).parent.parent


def claim(id="failover", *scenarios):
    return Claim(id=id, text="It fails over.", scenarios=scenarios)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "claims.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_reads_what_is_written(written):
    """All keys of a claim, in the order of the file."""
    path = written(
        f'[[claim]]\nid = "failover"\ntext = "It fails over."\nsource = "page 3"\n'
        f'controls = ["SOC2:A1.2", "HIPAA:164.308(a)(7)(ii)(B)"]\nscenarios = ["{A}"]\n'
        '[[claim]]\nid = "restore"\ntext = "It can be restored."\n'
    )
    first, second = claims.load(path)
    assert first.as_dict() == {
        "id": "failover",
        "text": "It fails over.",
        "source": "page 3",
        "controls": ("SOC2:A1.2", "HIPAA:164.308(a)(7)(ii)(B)"),
        "scenarios": (A,),
    }
    assert (second.id, second.scenarios) == ("restore", ())


def test_no_file_is_no_claims(tmp_path):
    """A repository without claims has none."""
    assert claims.load(tmp_path / "claims.toml") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim]\n", "cannot be read as TOML"),
        ('[claim]\nid = "a"\n', "double brackets"),
        ("[[claims]]\n", "'claims' means nothing here"),
        ('[[claim]]\ntext = "b"\n', "claim 1: id=None"),
        ('[[claim]]\nid = "a"\n', "claim 'a': text=None"),
        ('[[claim]]\nid = "A b"\ntext = "b"\n', "lower-case"),
        ('[[claim]]\nid = "a"\ntext = "b"\nscenario = []\n', "Did you mean 'scenarios'"),
        ('[[claim]]\nid = "a"\ntext = "b"\nsource = 3\n', "source=3"),
        ('[[claim]]\nid = "a"\ntext = "b"\ncontrols = "SOC2:A1.2"\n', "give a list"),
        ('[[claim]]\nid = "a"\ntext = "b"\ncontrols = ["A1.2"]\n', "'A1.2' is not of the form 'SOC2:A1.2'"),
        ('[[claim]]\nid = "a"\ntext = "b"\nscenarios = ["test_a"]\n', "'test_a' is not of the form"),
        ('[[claim]]\nid = "a"\ntext = "b"\n[[claim]]\nid = "a"\ntext = "c"\n', "two claims have the id 'a'"),
        (TWICE, "listed by 'a' and by 'b'"),
    ],
)
def test_mistakes_in_the_file(written, text, message):
    """Each names the file and what is wrong."""
    path = written(text)
    with pytest.raises(ConfigurationError) as raised:
        claims.load(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_text(tmp_path):
    """Bytes that are no UTF-8 are a mistake in the file, not a traceback."""
    path = tmp_path / "claims.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        claims.load(path)


def test_a_scenario_that_agrees():
    """Listed as it is, or without its parameters."""
    claims.check([claim("failover", A)], A, "failover", {"switch": "recovery"})
    claims.check([claim("failover", A)], A + "[retries_off]", "failover")
    claims.check([claim("failover", A + "[a::b]")], A + "[a::b]", "failover")


def test_an_unknown_claim_names_the_nearest():
    """A slip of the pen is told from a claim that has yet to be written."""
    with pytest.raises(ConfigurationError, match=r"no claim has the id 'failovr'. Did you mean 'failover'\?"):
        claims.check([claim("failover", A)], A, "failovr")
    with pytest.raises(ConfigurationError, match=r"There is no claims.toml"):
        claims.check([], A, "failover")


def test_a_scenario_that_its_claim_does_not_list():
    """Both must agree; the line to add is shown."""
    with pytest.raises(ConfigurationError, match=f"add '{B}' to its scenarios"):
        claims.check([claim("failover", A)], B + "[x]", "failover")


@pytest.mark.parametrize("named", [None, "", 3])
def test_a_scenario_without_a_claim(named):
    """A scenario proves a claim."""
    with pytest.raises(ConfigurationError, match="name the claim"):
        claims.check([claim("failover", A)], A, named)


def test_sabotage_is_checked_with_the_claim():
    """A list of switches does not say what must break."""
    with pytest.raises(ConfigurationError, match="give a mapping"):
        claims.check([claim("failover", A)], A, "failover", ["retries_off"])


def test_listed_scenarios_exist_and_agree(tmp_path):
    """Those collected, in files collected whole, and in files not collected at all."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/test_b.py").touch()
    listed = [claim("failover", A, "scenarios/test_b.py::test_x")]
    claims.check_listed(listed, {A + "[1]": "failover", B: None}, {"scenarios/test_a.py"}, tmp_path)


def test_a_listed_scenario_that_does_not_exist(tmp_path):
    """In a file collected whole what was not collected does not exist, and the nearest is named."""
    with pytest.raises(ConfigurationError, match=r"lists .*test_on, which does not exist. Did you mean .*test_one'"):
        claims.check_listed([claim("failover", A[:-1])], {A: "failover"}, {"scenarios/test_a.py"}, tmp_path)


def test_a_listed_scenario_in_a_file_that_does_not_exist(tmp_path):
    """Files that were not collected must at least be there."""
    with pytest.raises(ConfigurationError, match=r"there is no file scenarios/test_a.py"):
        claims.check_listed([claim("failover", A)], {}, set(), tmp_path)


def test_a_listed_scenario_that_names_another_claim(tmp_path):
    """Or none."""
    with pytest.raises(ConfigurationError, match="names the claim 'other': make both agree"):
        claims.check_listed([claim("failover", A)], {A: "other"}, set(), tmp_path)
    with pytest.raises(ConfigurationError, match="names no claim: mark it"):
        claims.check_listed([claim("failover", A)], {A: None}, set(), tmp_path)


def test_part_of_a_file_proves_nothing_missing(tmp_path):
    """With one test of a file chosen by hand, its others are not missing."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/test_a.py").touch()
    claims.check_listed([claim("failover", A, B)], {A: "failover"}, set(), tmp_path)


def started(test, pid=1, sabotage=None):
    return {"kind": "test.started", "test": test, "pid": pid, "sabotage": sabotage}


def judged(test, outcome, pid=1, objective="recovery", detail="after 3.5 s"):
    fields = {"objective": objective, "outcome": outcome, "detail": detail}
    return {"kind": "objective.judged", "test": test, "pid": pid, **fields}


def finished(test, outcome="passed", pid=1, message=""):
    return {"kind": "test.finished", "test": test, "outcome": outcome, "pid": pid, "message": message}


def answer(*events, scenarios=(A,)):
    (found,) = claims.answer([claim("failover", *scenarios)], events)
    return found.answer, [(s.answer, s.reason) for s in found.scenarios]


def test_held():
    """Every objective held and the test passed."""
    assert answer(started(A), judged(A, "held"), finished(A)) == ("held", [("held", "")])


def test_broken_by_an_objective():
    """The objective and what was found of it are the reason."""
    events = started(A), judged(A, "held"), judged(A, "broken"), finished(A, "failed", message="...")
    assert answer(*events) == ("broken", [("broken", "recovery: after 3.5 s")])


def test_broken_by_the_test_alone():
    """A failed assertion behind objectives that all held breaks the claim too."""
    events = started(A), judged(A, "held"), finished(A, "failed", message="assert 1 == 2\nmore")
    assert answer(*events)[1] == [("broken", "every objective held, but the test failed: assert 1 == 2")]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "it was not run"),
        ([started(A)], "it did not finish"),
        ([started(A), judged(A, "held")], "it did not finish"),
        ([started(A), finished(A)], "it judged no objective"),
        ([started(A), finished(A, "failed", message="no leader")], "it judged no objective; no leader"),
        ([started(A), finished(A, "skipped", message="no Docker")], "skipped: no Docker"),
        ([started(A), judged(A, "held"), finished(A, "error", message="teardown")], "error: teardown"),
        ([started(A), judged(A, "not judged", detail="12 requests"), finished(A, "failed")], "recovery: 12 requests"),
    ],
)
def test_not_judged(events, reason):
    """What did not run to its end, or lacked data, neither held nor broke, and the reason is told."""
    assert answer(*events) == ("not judged", [("not judged", reason)])


def test_no_scenario():
    """A claim that nothing proves is shown as such."""
    assert answer(scenarios=()) == ("no scenario", [])


def test_sabotaged_runs_do_not_count():
    """They are meant to break."""
    test = A + "[retries_off]"
    sabotaged = started(test, sabotage="retries_off"), judged(test, "broken"), finished(test)
    assert answer(*sabotaged)[0] == "not judged"
    assert answer(*sabotaged, started(A), judged(A, "held"), finished(A))[0] == "held"
    again = started(A, sabotage="retries_off"), judged(A, "broken"), finished(A)
    assert answer(*again, started(A), judged(A, "held"), finished(A))[0] == "held"


def test_the_worst_parameter_decides():
    """A claim listed for all parameters of a test holds when it holds for each."""
    events = []
    for parameter, outcome in (("[1]", "held"), ("[2]", "broken")):
        events += [started(A + parameter), judged(A + parameter, outcome), finished(A + parameter)]
    assert answer(*events)[0] == "broken"
    assert answer(*events, scenarios=(A + "[1]",))[0] == "held"


def test_processes_are_told_apart():
    """Events of two workers mix without mixing their tests."""
    events = [started(A, 1), started(B, 2), judged(A, "held", 1), judged(B, "broken", 2)]
    events += [finished(B, "failed", 2), finished(A, "passed", 1)]
    assert answer(*events, scenarios=(A,))[0] == "held"
    assert answer(*events, scenarios=(A, B))[0] == "broken"


@given(st.lists(st.sampled_from(["held", "broken", "not judged"]), min_size=1, max_size=5))
def test_a_claim_is_as_good_as_its_worst_scenario(outcomes):
    """Broken wins over not judged, and that over held."""
    tests = [f"scenarios/test_a.py::test_{i}" for i in range(len(outcomes))]
    events = []
    for test, outcome in zip(tests, outcomes, strict=True):
        events += [started(test), judged(test, outcome), finished(test, "passed" if outcome == "held" else "failed")]
    order = ["broken", "not judged", "held"]
    assert answer(*events, scenarios=tuple(tests))[0] == min(outcomes, key=order.index)


def test_the_claims_of_this_repository():
    """They can be read, name controls, and one is honest about having no scenario."""
    found = claims.load(REPOSITORY / "claims.toml")
    assert len(found) >= 12
    assert all(claim.controls and claim.source for claim in found)
    assert [claim.id for claim in found if not claim.scenarios] == ["point-in-time-recovery"]
