"""What an assessment stands on: catalogue, profile, system security plan (a stub) and assessment plan."""

from __future__ import annotations

from pytest_enterprise.evidence.frameworks import Control
from pytest_enterprise.evidence.oscal.parts import Base, Json, line, prop


def catalog(base: Base) -> Json:
    """All controls of the frameworks that the run refers to, a group for each."""
    groups = []
    for framework in base.frameworks:
        controls = {control.id: control for control in framework.controls.values()}
        controls |= {id: control for id, control in base.used.items() if control.framework == framework.id}
        groups.append(
            {
                "id": framework.id.lower(),
                "class": "framework",
                "title": line(framework.title),
                "props": [prop("version", framework.version), prop("sha256", framework.sha256)],
                "controls": [_control(base, control) for control in controls.values()],
            }
        )
    metadata = base.metadata("Controls that the tests of a run refer to")
    return {"catalog": {"uuid": base.uuid("catalog"), "metadata": metadata, "groups": groups}}


def _control(base: Base, control: Control) -> Json:
    name = base.tokens[control.id]
    supports = [prop("supported-by", kind, cls=strength) for kind, strength in control.strengths.items()]
    return {
        "id": name,
        "class": control.framework,
        "title": line(control.text),
        "props": [
            {"name": "label", "value": control.name},
            prop("citation", control.id),
            *([prop("level", control.level)] if control.level else []),
            *(supports or [prop("supported-by", "no test", remarks=control.reason)]),
        ],
        "parts": [
            {"id": f"{name}_smt", "name": "statement", "prose": control.text},
            {
                "id": f"{name}_obj",
                "name": "assessment-objective",
                "prose": f"Find out by test whether this is so: {control.text}",
            },
        ],
    }


def profile(base: Base) -> Json:
    """The controls that tests of the run name."""
    return {
        "profile": {
            "uuid": base.uuid("profile"),
            "metadata": base.metadata("Controls that were tested"),
            "imports": [
                {"href": "catalog.json", "include-controls": [{"with-ids": [base.tokens[id] for id in base.used]}]}
            ],
            "merge": {"as-is": True},
        }
    }


def system_security_plan(base: Base) -> Json:
    """A stub: the system as it was tested, for the assessment to refer to. The owner's own plan takes its place."""
    environment = line(base.run["environment"]["name"])
    components = [
        {
            "uuid": base.system,
            "type": "this-system",
            "title": "The system under test",
            "description": f"The stack that the run tested, in the environment: {environment}.",
            "props": [prop("commit", base.run["commit"] or "unknown")],
            "status": {"state": "operational"},
        }
    ]
    for engine in base.run["engines"]:
        told = {"version": engine["version"], "sha256": engine["sha256"], "image": engine["image"]}
        told |= {"runtime": engine["runtime"], "image-digest": engine["image_digest"]}
        components.append(
            {
                "uuid": base.uuid("component", engine["name"]),
                "type": "software",
                "title": line(engine["name"]),
                "description": f"An engine of kind {line(engine['kind'] or 'unknown')}.",
                "props": [prop(name, value) for name, value in told.items() if value],
                "status": {"state": "operational"},
            }
        )
    requirements = [
        {
            "uuid": base.uuid("requirement", id),
            "control-id": base.tokens[id],
            "props": [prop("citation", id)],
            "by-components": [
                {
                    "component-uuid": base.system,
                    "uuid": base.uuid("by-component", id),
                    "description": "Tested as the assessment results say; how it is met is for the owner to describe.",
                }
            ],
        }
        for id in base.used
    ]
    return {
        "system-security-plan": {
            "uuid": base.uuid("ssp"),
            "metadata": base.metadata("System security plan (a stub made from a run)"),
            "import-profile": {"href": "profile.json"},
            "system-characteristics": {
                "system-ids": [{"identifier-type": "https://ietf.org/rfc/rfc4122", "id": base.uuid("system")}],
                "system-name": "The system under test",
                "description": f"What was tested, in the environment: {environment}.",
                "system-information": {
                    "information-types": [
                        {
                            "uuid": base.uuid("information"),
                            "title": "Not stated",
                            "description": "A run knows nothing of the information that the system is for.",
                        }
                    ]
                },
                "status": {
                    "state": "other",
                    "remarks": f"As it was while it was tested, in the environment: {environment}.",
                },
                "authorization-boundary": {"description": "The engines and links of the stack that was tested."},
            },
            "system-implementation": {
                "users": [{"uuid": base.uuid("user"), "title": "Those who ran the tests"}],
                "components": components,
            },
            "control-implementation": {
                "description": "Controls that tests of this run support.",
                "implemented-requirements": requirements,
            },
        }
    }


def assessment_plan(base: Base) -> Json:
    """What the run set out to look at."""
    return {
        "assessment-plan": {
            "uuid": base.uuid("assessment-plan"),
            "metadata": base.metadata("Assessment plan of a run"),
            "import-ssp": {"href": "ssp.json"},
            "reviewed-controls": base.reviewed(),
            "assessment-subjects": [{"type": "component", "include-all": {}}],
            "assessment-assets": {
                "assessment-platforms": [
                    {
                        "uuid": base.uuid("platform"),
                        "title": line(f"pytest-enterprise {base.run['version']}"),
                        "props": [
                            prop("platform", base.run["environment"]["platform"]),
                            prop("python", base.run["environment"]["python"]),
                            prop("seed", base.run["seed"] if base.run["seed"] is not None else "unknown"),
                        ],
                    }
                ]
            },
        }
    }
