"""Frameworks as data: complete, in our own words, and strict about what a test can support."""

import re
import tomllib
from pathlib import Path

import pytest

from pytest_enterprise import claims
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence.frameworks import BUILT_IN, KINDS, STRENGTHS, Frameworks

ROOT = Path(__file__).parents[2]
FACTS = {
    "failover": "SOC2:A1.2 SOC2:CC7.5 ISO27001:A.8.14 NIST80053:CP-10 NIST80053:SC-24 HIPAA:164.308(a)(7)(ii)(C) "
    "GDPR:art32.1.b",
    "restore": "SOC2:A1.3 ISO27001:A.8.13 NIST80053:CP-9 NIST80053:CP-4 HIPAA:164.308(a)(7)(ii)(A) "
    "HIPAA:164.308(a)(7)(ii)(B) HIPAA:164.308(a)(7)(ii)(D) GDPR:art32.1.c",
    "encryption": "SOC2:CC6.1 SOC2:CC6.7 ISO27001:A.8.24 NIST80053:SC-28 NIST80053:SC-8 HIPAA:164.312(a)(2)(iv) "
    "HIPAA:164.312(e)(2)(ii) GDPR:art32.1.a",
    "access": "SOC2:CC6.2 SOC2:CC6.3 ISO27001:A.8.3 ISO27001:A.8.5 NIST80053:AC-3 NIST80053:AC-6 NIST80053:AC-7 "
    "NIST80053:IA-2 HIPAA:164.312(a)(2)(i) HIPAA:164.312(a)(2)(iii) HIPAA:164.312(d)",
    "log-integrity": "ISO27001:A.8.15 NIST80053:AU-9 NIST80053:AU-5 HIPAA:164.312(b) HIPAA:164.312(c)(2)",
    "capacity": "SOC2:A1.1 ISO27001:A.8.6 NIST80053:SC-5",
    "processing": "SOC2:PI1.3 SOC2:PI1.4 SOC2:PI1.5",
    "change": "SOC2:CC8.1 ISO27001:A.8.32 ISO27001:A.8.29 NIST80053:CM-3 NIST80053:CM-4 NIST80053:SA-11",
    "monitoring": "SOC2:CC7.2 ISO27001:A.8.16 NIST80053:SI-4 HIPAA:164.308(a)(5)(ii)(C)",
    "incident": "SOC2:CC7.3 SOC2:CC7.4 ISO27001:A.5.26 NIST80053:IR-3 NIST80053:IR-4 HIPAA:164.308(a)(6)(ii)",
    "retention": "SOC2:C1.2 ISO27001:A.8.10 NIST80053:SI-12 NIST80053:AU-11 NIST80053:MP-6 HIPAA:164.316(b)(2)(i)",
    "classification": "SOC2:C1.1 ISO27001:A.5.12 ISO27001:A.8.11 ISO27001:A.8.12 NIST80053:RA-2",
}


@pytest.fixture
def known():
    return Frameworks()


@pytest.mark.parametrize(("id", "count"), [("SOC2", 61), ("ISO27001", 93), ("GDPR", 8)])
def test_every_control_of_a_framework_is_there(known, id, count):
    assert len(known.framework(id).controls) == count


def test_soc2_and_annex_a_have_their_parts(known):
    soc2 = [re.match("[A-Z]+", name)[0] for name in known.framework("SOC2").controls]
    assert {part: soc2.count(part) for part in soc2} == {"CC": 33, "A": 3, "C": 2, "PI": 5, "P": 18}
    annex = [name[:3] for name in known.framework("ISO27001").controls]
    assert [annex.count(part) for part in ("A.5", "A.6", "A.7", "A.8")] == [37, 8, 14, 34]


def test_hipaa_has_18_standards_and_the_42_rows_of_appendix_a(known):
    controls = known.framework("HIPAA").controls
    levels = [control.level for control in controls.values()]
    assert (levels.count("required"), levels.count("addressable")) == (20, 22)
    before_314 = [name for name in controls if name < "164.314"]
    specifications = re.compile(r"164\.308\(a\)\(\d\)\(ii\)|164\.308\(b\)\(3\)|164\.31[02]\([a-e]\)\(2\)")
    assert len([name for name in before_314 if not specifications.match(name)]) == 18
    assert {"164.314(a)(1)", "164.316(a)"} <= set(controls)


def test_nist_has_20_families_and_enhancements_of_what_it_lists(known):
    framework = known.framework("NIST80053")
    assert len(framework.families) == 20
    assert known.find("NIST80053:CP-9(1)").strengths["restore"] == "partial"
    assert known.find("NIST80053:CP-9").strengths["restore"] == "direct"
    for wrong in ("NIST80053:CP-5(1)", "NIST80053:CP-99", "NIST80053:AC-13"):
        with pytest.raises(ConfigurationError, match="has no control"):
            known.find(wrong)


@pytest.mark.parametrize(("kind", "ids"), FACTS.items())
def test_a_kind_of_test_supports_what_it_honestly_can(known, kind, ids):
    for id in ids.split():
        assert known.find(id).strengths[kind] in ("direct", "partial"), id


@pytest.mark.parametrize(
    "id",
    [
        *("SOC2:CC1.1", "SOC2:CC2.3", "SOC2:CC3.4", "SOC2:CC9.2", "SOC2:P4.2", "ISO27001:A.6.3", "ISO27001:A.7.10"),
        *(
            "HIPAA:164.308(a)(2)",
            "HIPAA:164.308(a)(3)(i)",
            "HIPAA:164.310(a)(1)",
            "HIPAA:164.310(b)",
            "HIPAA:164.310(c)",
        ),
        *("HIPAA:164.314(a)(1)", "NIST80053:PE-3", "NIST80053:PS-3(1)"),
    ],
)
def test_what_no_test_can_support_is_refused_with_the_reason(known, id):
    with pytest.raises(ConfigurationError, match=r"no test can support .*: it|its family") as told:
        known.check(id, kind="failover", suite=None, where="t.py::test_it")
    assert "no test" in str(told.value)


def test_whole_groups_that_must_never_be_claimed_are_not(known):
    for framework, forbidden in (
        ("SOC2", r"CC[123]\.|CC9\.2|P\d"),
        ("ISO27001", r"A\.[67]\."),
        ("HIPAA", r"164\.308\(a\)\([23]\)|164\.310\([abc]\)|164\.314"),
    ):
        matching = [c for name, c in known.framework(framework).controls.items() if re.match(forbidden, name)]
        assert matching
        assert all(control.reason and not control.strengths for control in matching)


@pytest.mark.parametrize("id", BUILT_IN)
def test_every_control_has_one_sentence_and_kinds_or_a_reason(known, id):
    framework = known.framework(id)
    assert framework.version
    for control in framework.controls.values():
        assert control.text.endswith((".", "?"))
        assert "\n" not in control.text
        assert len(control.text) < 130
        assert bool(control.reason) != bool(control.strengths), control.id
        assert set(control.strengths) <= {*KINDS, "any"}
        assert set(control.strengths.values()) <= set(STRENGTHS)


def test_all_controls_that_our_scenarios_and_claims_name_are_known(known):
    sources = [*(ROOT / "scenarios").rglob("*.py")]
    named = {id for path in sources for id in re.findall(r'"([A-Z0-9]+:[A-Za-z0-9][^"\s]*)"', path.read_text())}
    named = {id for id in named if id.partition(":")[0] in BUILT_IN}
    named |= {id for claim in claims.load(ROOT / "claims.toml") for id in claim.controls}
    assert len(named) > 10
    for id in named:
        assert known.find(id).strengths, id


@pytest.mark.parametrize(
    ("id", "hint"),
    [
        ("SOC2:A1.9", "'SOC2:A1.3'"),
        ("SOC:A1.2", "Did you mean 'SOC2'"),
        ("ISO27001:8.14", "'ISO27001:A.8.14'"),
        ("A1.2", "FRAMEWORK:NAME"),
        ("HIPAA:164.308(a)(7)(ii)(F)", r"164\.308\(a\)\(7\)\(ii\)"),
    ],
)
def test_an_unknown_identifier_names_the_nearest_ones(known, id, hint):
    with pytest.raises(ConfigurationError, match=hint):
        known.check(id, kind=None, suite=None, where="t")


def test_the_kind_of_test_is_the_markers_or_the_suites_and_unknown_ones_support_by_context_only(known):
    assert known.check("SOC2:A1.2", kind="restore", suite="failover", where="t") == ("restore", "partial")
    assert known.check("SOC2:A1.2", kind=None, suite="failover", where="t") == ("failover", "direct")
    assert known.check("SOC2:A1.2", kind=None, suite="security", where="t") == ("", "contextual")
    assert known.check("SOC2:CC4.1", kind=None, suite=None, where="t") == ("", "partial")
    assert known.check("SOC2:CC6.2", kind=None, suite="performance", where="t") == ("capacity", "contextual")
    with pytest.raises(
        ConfigurationError, match=r"'failover' does not support SOC2:CC6\.2; these do: access \(direct\)"
    ):
        known.check("SOC2:CC6.2", kind="failover", suite=None, where="t")
    with pytest.raises(ConfigurationError, match=r"'fail-over' is no kind of test\. Did you mean 'failover'"):
        known.check("SOC2:A1.2", kind="fail-over", suite=None, where="t")


OWN = """
id = "ACME"
title = "ACME's rules"
version = "3"
[reasons]
people = "it is about people"
[controls]
"OPS-1" = { text = "It survives.", direct = ["failover"] }
"OPS-2" = { text = "Somebody is on call.", none = "people" }
"""


def test_a_framework_of_ones_own_is_one_file(tmp_path):
    path = tmp_path / "acme.toml"
    path.write_text(OWN)
    known = Frameworks([path])
    assert known.check("ACME:OPS-1", kind="failover", suite=None, where="t") == ("failover", "direct")
    with pytest.raises(ConfigurationError, match="no test can support ACME:OPS-2"):
        known.check("ACME:OPS-2", kind=None, suite=None, where="t")
    assert known.framework("ACME").sha256


def test_an_overlay_replaces_texts_and_nothing_else(tmp_path):
    path = tmp_path / "licensed.toml"
    path.write_text('id = "SOC2"\noverlay = true\n[controls]\n"A1.2" = { text = "The licensed sentence." }\n')
    known = Frameworks([path])
    assert known.find("SOC2:A1.2").text == "The licensed sentence."
    assert known.find("SOC2:A1.2").strengths == Frameworks().find("SOC2:A1.2").strengths
    assert known.find("SOC2:A1.1").text == Frameworks().find("SOC2:A1.1").text
    assert known.framework("SOC2").overlay


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id = ", "cannot be read as TOML"),
        ('id = "A-B"\n[controls]\nx = 1', "letters and digits"),
        ('id = "ACME"\ntitle = "t"\nversion = "1"\n', r"\[controls\] is missing or empty"),
        ('id = "ACME"\nversion = "1"\n[controls]\nx = { text = "t.", direct = ["any"] }', 'title = "..."'),
        ('id = "SOC2"\n[controls]\nx = { text = "t." }', "exists already; write overlay = true"),
        ('id = "SOC2"\noverlay = true\n[controls]\n"A9.9" = { text = "t." }', "SOC2 has no control 'A9.9'"),
        ('id = "SOC2"\noverlay = true\n[controls]\n"A1.2" = { text = "t.", direct = ["any"] }', "and no more"),
        (OWN.replace('"failover"', '"failovr"'), "'failovr' is no kind of test. Did you mean 'failover'"),
        (OWN.replace('none = "people"', 'none = "poeple"'), "Did you mean 'people'"),
        (OWN.replace(', none = "people"', ""), "one of the two"),
        (OWN.replace("title", "titel"), "unknown key 'titel'. Did you mean 'title'"),
        (OWN.replace('direct = ["failover"]', 'direct = "failover"'), "give a list of kinds"),
    ],
)
def test_a_file_that_is_no_framework_is_told_in_words(tmp_path, text, told):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        Frameworks([path])


def test_a_framework_is_read_only_when_one_of_its_controls_is_asked_for(known, monkeypatch):
    opened = []
    original = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: opened.append(text) or original(text))
    known.find("GDPR:art32.1.b")
    known.find("GDPR:art32.1.c")
    assert len(opened) == 1
