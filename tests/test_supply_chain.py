"""Dependencies: few, with reasons and hashes, kept by Renovate, and audited."""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from threading import Thread
from typing import Any

import pytest
from packaging.markers import Marker

from support.paths import ROOT, TEMPLATE
from support.projects import WORKFLOWS, Project, share_environment
from support.rendering import Bake
from support.yaml_reading import read_yaml

SHIPPED, INSTALLED = "lean/requirements.txt", "lean/requirements-dev.txt"
PINNED = (SHIPPED, INSTALLED, "requirements.txt", "requirements-audit.txt")
# Renovate runs the command in the head of a file only if it knows each option, and only with "=".
OPTIONS_OF_RENOVATE = r"--(universal|generate-hashes|python-version=\S+|output-file=\S+)"


def pins(text: str) -> dict[str, tuple[str, set[str]]]:
    """Return version and hashes by package, as a file of requirements has them for this machine."""
    blocks = re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\\n((?:.*\\\n)*.*)", text, re.MULTILINE)
    return {
        name: (version, set(re.findall(r"sha256:(\w+)", more)))
        for name, version, marker, more in blocks
        if not marker or Marker(marker).evaluate()
    }


@pytest.mark.parametrize(
    "folder", [ROOT, ROOT / "tests", TEMPLATE, TEMPLATE / "lean"], ids=lambda path: path.name
)
def test_each_dependency_has_its_reason(folder: Path) -> None:
    files = list(folder.glob("*.in"))
    assert files
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert re.match(r"#|-r |\S+==\S+( ; [^#]+)?  # \w+", line), f"{file.name}: {line}"


def test_what_is_left_out_on_purpose_is_in_no_file(bake: Bake) -> None:
    project = bake()
    settings = tomllib.loads(project.read("lean/pyproject.toml"))
    excluded = set(settings["tool"]["uv"]["exclude-dependencies"])
    assert "pandas" in excluded
    for name in PINNED:
        found = excluded & set(pins(project.read(name)))
        assert found == (excluded if name == "requirements.txt" else set()), name


def test_what_pip_installs_plainly_has_all_that_is_shipped_and_more(bake: Bake) -> None:
    project = bake()
    plain, shipped = (pins(project.read(name)) for name in ("requirements.txt", SHIPPED))
    assert {name: plain[name] for name in shipped} == shipped
    assert len(plain) > len(shipped) + 8


def test_tests_and_linters_run_with_what_is_shipped(bake: Bake) -> None:
    project = bake()
    shipped, installed = (pins(project.read(name)) for name in (SHIPPED, INSTALLED))
    assert len(shipped) > 20
    assert {name: installed[name] for name in shipped} == shipped
    assert "pytest" in installed and "pytest" not in shipped


def test_renovate_can_make_each_file_anew(bake: Bake) -> None:
    project = bake()
    settings = json.loads(project.read("renovate.json"))
    [pattern] = settings["pip-compile"]["managerFilePatterns"]
    found = [name for name in project.files() if re.search(pattern.strip("/"), name)]
    assert sorted(found) == sorted(PINNED)
    for name in PINNED:
        source = name.replace(".txt", ".in")
        file = Path(name).name  # the command runs in the folder of its file
        command = project.read(name).splitlines()[1].removeprefix("#").strip()
        uv, pip, compile_, *options, last = shlex.split(command)
        assert [uv, pip, compile_, last] == ["uv", "pip", "compile", Path(source).name]
        assert all(re.fullmatch(OPTIONS_OF_RENOVATE, option) for option in options), command
        assert f"--output-file={file}" in options
        assert f"#   {command}\n" in project.read(source)


def test_renovate_waits_some_days_but_not_with_what_is_vulnerable(bake: Bake) -> None:
    settings = json.loads(bake().read("renovate.json"))
    assert settings["minimumReleaseAge"] == "5 days"
    assert "vulnerabilityAlerts" not in settings  # of their own they wait for nothing
    assert settings["osvVulnerabilityAlerts"] is True
    # Without this, Renovate passes over what packages need in turn, even if it is vulnerable.
    assert ":enableVulnerabilityAlerts" in settings["extends"]


def test_no_deployment_waits_for_an_audit(bake: Bake) -> None:
    project = bake()
    words = {name: str(read_yaml(project.read(name))) for name in WORKFLOWS}
    asked = {name for name, text in words.items() if "audit" in text}
    assert asked == {".github/workflows/audit.yml"}


class Osv:
    """A stand-in for OSV: what it answers of which package, and what it was asked."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        self.status = 200
        self.asked: list[tuple[str, str]] = []
        self.url = ""


@pytest.fixture
def osv() -> Iterator[Osv]:
    state = Osv()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/query" and query["package"]["ecosystem"] == "PyPI"
            state.asked.append((query["package"]["name"], query["version"]))
            answer = state.known.get(query["package"]["name"], {})
            self.send_response(state.status)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/v1/query"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield state
        server.shutdown()


def vulnerability(name: str, *aliases: str) -> dict[str, Any]:
    """Return what OSV tells of a vulnerability in requests, in its own words."""
    ranges = [
        {"type": "GIT", "events": [{"fixed": "abcdef"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]},
    ]
    affected = [{"package": {"name": "requests", "ecosystem": "PyPI"}, "ranges": ranges}]
    told = {"id": name, "aliases": [*aliases], "summary": "It leaks", "affected": affected}
    return {"schema_version": "1.7.3", "modified": "2026-11-24T00:00:00Z", **told}


def audit(project: Project, url: str, *words: str) -> CompletedProcess[str]:
    share_environment(project.path)
    words = ("audit.py", "--osv-url", url, *words)
    done = project.run(sys.executable, *words, environment={"no_proxy": "127.0.0.1"})
    assert not re.search(r'Traceback|File ".*line', done.stdout + done.stderr)
    return done


def test_an_audit_that_finds_nothing_lists_exactly_what_is_shipped(bake: Bake, osv: Osv) -> None:
    project = bake(project_name="Ask Legal", license="Proprietary")
    withdrawn = vulnerability("GHSA-1") | {"withdrawn": "2026-11-25T00:00:00Z"}
    osv.known["requests"] = {"vulns": [withdrawn]}
    done = audit(project, osv.url)
    assert done.returncode == 0, done.stderr
    assert "No known vulnerabilities found" in done.stdout
    requirements = project.read(SHIPPED)
    asked = {(name, version) for name, (version, _) in pins(requirements).items()}
    assert set(osv.asked) == asked
    bill = json.loads(project.read("build/sbom.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert bill["metadata"]["component"]["name"] == "ask-legal"
    listed = {
        (each["name"], each["version"]): {
            digest["content"] for file in each["externalReferences"] for digest in file["hashes"]
        }
        for each in bill["components"]
    }
    assert len(listed) == len(re.findall("^[a-z]", requirements, re.MULTILINE))
    for name, (version, hashes) in pins(requirements).items():
        assert listed[name, version] == hashes
    for each in bill["components"]:
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
    assert {".venv-audit", "build/"} <= set(project.read(".gitignore").splitlines())


def test_an_audit_names_what_is_vulnerable_once(bake: Bake, osv: Osv) -> None:
    same = [vulnerability("GHSA-1", "CVE-1"), vulnerability("PYSEC-1", "CVE-1")]
    osv.known["requests"] = {"vulns": same}
    project = bake()
    done = audit(project, osv.url)
    assert done.returncode == 1
    version, _ = pins(project.read(SHIPPED))["requests"]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("requests ")]
    assert line.split() == ["requests", version, "PYSEC-1", "99.1"]
    assert "Found 1 known vulnerability in 1 package" in done.stdout
    assert "Upgrade what is named" in done.stderr
    assert (project.path / "build" / "sbom.cdx.json").exists()


def test_a_vulnerability_that_does_not_concern_us_can_be_ignored(bake: Bake, osv: Osv) -> None:
    osv.known["requests"] = {"vulns": [vulnerability("GHSA-1", "CVE-1"), vulnerability("GHSA-2")]}
    project = bake()
    done = audit(project, osv.url, "--ignore-vuln=CVE-1")
    assert done.returncode == 1
    assert "CVE-1" not in done.stdout and "GHSA-2" in done.stdout
    done = audit(project, osv.url, "--ignore-vuln=CVE-1", "--ignore-vuln", "GHSA-2")
    assert done.returncode == 0
    assert "No known vulnerabilities found, 2 ignored" in done.stdout


def is_unknown(done: CompletedProcess[str], *reasons: str) -> bool:
    """Return whether an audit told that it could not tell, and why."""
    told = ("It is unknown whether what is shipped is vulnerable", "Is there a network?", *reasons)
    silent = "No known" not in done.stdout + done.stderr
    return done.returncode == 1 and silent and all(each in done.stderr for each in told)


def test_an_audit_without_a_network_says_that_it_could_not_tell(bake: Bake) -> None:
    project = bake()
    done = audit(project, "http://127.0.0.1:9/v1/query")
    assert is_unknown(done, "HTTPS_PROXY", "ConnectionError", "port=9"), done.stderr
    assert json.loads(project.read("build/sbom.cdx.json"))["components"]


def test_a_service_that_fails_is_no_good_news(bake: Bake, osv: Osv) -> None:
    osv.status = 500
    assert is_unknown(audit(bake(), osv.url), "500 Server Error")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>Sign in</html>", "JSONDecodeError"),
        ({"next_page_token": "more"}, "'vulns'"),
        ({"vulns": [vulnerability("GHSA-1") | {"affected": None}]}, "is missing 'affected' list"),
        ({"vulns": [vulnerability("GHSA-1") | {"schema_version": "2.0"}]}, "Unsupported OSV"),
    ],
)
def test_an_answer_that_is_none_is_no_good_news(
    bake: Bake, osv: Osv, answer: Any, reason: str
) -> None:
    osv.known["requests"] = answer
    done = audit(bake(), osv.url)
    assert is_unknown(done, reason), done.stdout + done.stderr


def test_a_silenced_log_is_no_good_news(
    bake: Bake, osv: Osv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_AUDIT_LOGLEVEL", "CRITICAL")
    osv.known["requests"] = {"vulns": [vulnerability("GHSA-1") | {"affected": None}]}
    done = audit(bake(), osv.url)
    assert is_unknown(done, "is missing 'affected' list"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ours @ git+https://git.example/ours", "does not contain a hash"),
        (f"ours @ https://a.example/ours.zip --hash=sha256:{'0' * 64}", "cannot be pinned"),
    ],
)
def test_a_line_that_pins_no_version_is_told(bake: Bake, osv: Osv, line: str, reason: str) -> None:
    project = bake()
    with (project.path / SHIPPED).open("a") as file:
        file.write(f"{line}\n")
    done = audit(project, osv.url)
    assert is_unknown(done, "ours", reason), done.stdout + done.stderr
