"""What is rendered: the right files, whole and valid, in every combination of options."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from support.options import CONTEXT, PROMPTS
from support.paths import ROOT, TEMPLATE
from support.projects import WORKFLOW, WORKFLOWS, Project
from support.rendering import Bake, run_cookiecutter
from support.yaml_reading import read_yaml

OF_GITHUB = {
    *WORKFLOWS,
    ".github/ISSUE_TEMPLATE/idea.yml",
    ".github/ISSUE_TEMPLATE/problem.yml",
    ".github/pull_request_template.md",
    "docs/github.md",
    "infra/github.yml",
}
OF_SIGN_IN = {"docs/sign-in.md"}
OF_NEW_VPC = {"infra/private.yml"}
FILES = {
    ".devcontainer/devcontainer.json",
    ".dockerignore",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".streamlit/config.toml",
    ".template.json",
    "AGENTS.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "audit.py",
    "chatbot/__init__.py",
    "chatbot/__main__.py",
    "chatbot/answers.py",
    "chatbot/assistants.py",
    "chatbot/archives.py",
    "chatbot/attachments.py",
    "chatbot/bedrock.py",
    "chatbot/branches.py",
    "chatbot/buckets.py",
    "chatbot/connections.py",
    "chatbot/context.py",
    "chatbot/conversations.py",
    "chatbot/deletions.py",
    "chatbot/demo.py",
    "chatbot/diagrams.py",
    "chatbot/errors.py",
    "chatbot/feedback.py",
    "chatbot/export.py",
    "chatbot/file_blocks.py",
    "chatbot/file_kinds.py",
    "chatbot/identity.py",
    "chatbot/journals.py",
    "chatbot/labels.py",
    "chatbot/languages.py",
    "chatbot/markdown.py",
    "chatbot/metrics.py",
    "chatbot/models.py",
    "chatbot/page/__init__.py",
    "chatbot/page/about.py",
    "chatbot/page/account.py",
    "chatbot/page/actions.py",
    "chatbot/page/answering.py",
    "chatbot/page/browser.py",
    "chatbot/page/chats.py",
    "chatbot/page/choices.py",
    "chatbot/page/clock.py",
    "chatbot/page/composer.py",
    "chatbot/page/frame.py",
    "chatbot/page/dialogs.py",
    "chatbot/page/files.py",
    "chatbot/page/language.py",
    "chatbot/page/messages.py",
    "chatbot/page/notices.py",
    "chatbot/page/opening.py",
    "chatbot/page/parts.py",
    "chatbot/page/replies.py",
    "chatbot/page/state.py",
    "chatbot/page/uploads.py",
    "chatbot/page/usage.py",
    "chatbot/page/waiting.py",
    "chatbot/page/wording.py",
    "chatbot/people.py",
    "chatbot/records.py",
    "chatbot/restoring.py",
    "chatbot/retention.py",
    "chatbot/search.py",
    "chatbot/sentences.py",
    "chatbot/service.py",
    "chatbot/page/scripts.py",
    "chatbot/page/theme.py",
    "chatbot/sessions.py",
    "chatbot/settings.py",
    "chatbot/sign_in.py",
    "chatbot/storage.py",
    "chatbot/syntax.py",
    "chatbot/text.py",
    "chatbot/usage.py",
    "chatbot/values.py",
    "chatbot/web/__init__.py",
    "chatbot/web/compressed.py",
    "chatbot/web/downloads.py",
    "chatbot/web/files.py",
    "chatbot/web/everyone.css",
    "chatbot/web/first_sight.py",
    "chatbot/web/gate.js",
    "chatbot/web/gate.py",
    "chatbot/web/headers.py",
    "chatbot/web/index.py",
    "chatbot/web/look.css",
    "chatbot/web/language.py",
    "chatbot/web/leaving.py",
    "chatbot/web/page.css",
    "chatbot/web/patience.py",
    "chatbot/web/requests.py",
    "chatbot/web/scripts/copy.js",
    "chatbot/web/scripts/countdown.js",
    "chatbot/web/scripts/chats.js",
    "chatbot/web/scripts/drafts.js",
    "chatbot/web/scripts/elements.js",
    "chatbot/web/scripts/files.js",
    "chatbot/web/scripts/first_sight.js",
    "chatbot/web/scripts/focus.js",
    "chatbot/web/scripts/key.js",
    "chatbot/web/scripts/news.js",
    "chatbot/web/scripts/keyboard.js",
    "chatbot/web/scripts/messages.js",
    "chatbot/web/scripts/phone.js",
    "chatbot/web/scripts/sent.js",
    "chatbot/web/scripts/sign_in.js",
    "chatbot/web/scripts/start.js",
    "chatbot/web/scripts/status.js",
    "chatbot/web/scripts/thinking.js",
    "chatbot/web/static_files.py",
    "chatbot/web/shutdown.py",
    "chatbot/web/admission.py",
    "chatbot/web/uploads.py",
    "chatbot/web/usage_csv.py",
    "cluster.py",
    "compose.yaml",
    "deployment.sh",
    "deployment/__init__.py",
    "deployment/__main__.py",
    "deployment/account.py",
    "deployment/advice.py",
    "deployment/answers.py",
    "deployment/beside.py",
    "deployment/backups.py",
    "deployment/buckets.py",
    "deployment/certificate.py",
    "deployment/checks.py",
    "deployment/command_line.py",
    "deployment/commit.py",
    "deployment/console.py",
    "deployment/context.py",
    "deployment/errors.py",
    "deployment/image.py",
    "deployment/kept.py",
    "deployment/leftovers.py",
    "deployment/models.py",
    "deployment/network.py",
    "deployment/owned.py",
    "deployment/parameters.py",
    "deployment/project.py",
    "deployment/quotas.py",
    "deployment/service.py",
    "deployment/stacks.py",
    "deployment/tasks.py",
    "deployment/temporary.py",
    "deployment/verbs/__init__.py",
    "deployment/verbs/accounts.py",
    "deployment/verbs/deploy.py",
    "deployment/verbs/destroy.py",
    "deployment/verbs/doctor.py",
    "deployment/verbs/export.py",
    "deployment/verbs/feedback.py",
    "deployment/verbs/logs.py",
    "deployment/verbs/people.py",
    "deployment/verbs/promote.py",
    "deployment/verbs/restore.py",
    "deployment/verbs/rollback.py",
    "deployment/verbs/status.py",
    "deployment/vpc_origins.py",
    "dev.py",
    "docs/capacity.md",
    "docs/change.md",
    "docs/costs.md",
    "docs/data.md",
    "docs/dependencies.md",
    "docs/extend.md",
    "docs/harden.md",
    "docs/operate.md",
    "docs/settings.md",
    "infra/access-logs.yml",
    "infra/budget.yml",
    "infra/firewall.yml",
    "infra/haproxy.cfg",
    "infra/parameters.json",
    "infra/registry.yml",
    "infra/tags.json",
    "infra/template.yml",
    "lean/pyproject.toml",
    "lean/requirements-dev.in",
    "lean/requirements-dev.txt",
    "lean/requirements.in",
    "lean/requirements.txt",
    "languages/ar.toml",
    "languages/de.toml",
    "languages/ja.toml",
    "models.toml",
    "assistants.toml",
    "pyproject.toml",
    "renovate.json",
    "requirements-audit.in",
    "requirements-audit.txt",
    "requirements.in",
    "requirements.txt",
    "server.py",
    "streamlit_app.py",
    "tests/conftest.py",
    "tests/support/__init__.py",
    "tests/support/bedrock.py",
    "tests/support/models.py",
    "tests/support/page.py",
    "tests/support/provider.py",
    "tests/support/store.py",
    "tests/support/tasks.py",
    "tests/support/uploads.py",
    "tests/support/web.py",
    "tests/test_actions.py",
    "tests/test_admission.py",
    "tests/test_answers.py",
    "tests/test_assistants.py",
    "tests/test_thoughts.py",
    "tests/test_architecture.py",
    "tests/test_attachments.py",
    "tests/test_bedrock.py",
    "tests/test_context.py",
    "tests/test_branches.py",
    "tests/test_conversations.py",
    "tests/test_demo.py",
    "tests/test_downloads.py",
    "tests/test_file_blocks.py",
    "tests/test_file_kinds.py",
    "tests/test_files_page.py",
    "tests/test_headers.py",
    "tests/test_identity.py",
    "tests/test_index.py",
    "tests/test_journals.py",
    "tests/test_labels.py",
    "tests/test_languages.py",
    "tests/test_leaving.py",
    "tests/test_markdown.py",
    "tests/test_metrics.py",
    "tests/test_notices.py",
    "tests/test_page.py",
    "tests/test_people.py",
    "tests/test_records.py",
    "tests/test_restoring.py",
    "tests/test_retention.py",
    "tests/test_search.py",
    "tests/test_sessions.py",
    "tests/test_settings.py",
    "tests/test_sign_in.py",
    "tests/test_static_files.py",
    "tests/test_theme.py",
    "tests/test_shutdown.py",
    "tests/test_usage.py",
    "tests/test_usage_csv.py",
    "tests/test_usage_page.py",
    "tests/test_wording.py",
}
DELIMITER = re.compile(r"<<|>>|<%|%>|<#|#>|cookiecutter")


def test_each_combination_has_exactly_its_files(projects: list[Project]) -> None:
    for project in projects:
        expected = FILES | (OF_GITHUB if project.options["ci"] == "GitHub Actions" else set())
        expected |= OF_NEW_VPC if project.options["network"] == "new VPC" else set()
        expected |= OF_SIGN_IN if project.options["sign_in"] != "none" else set()
        assert set(project.files()) == expected, project.options
        folders = [folder for folder in project.path.rglob("*") if folder.is_dir()]
        own = [each for each in folders if ".git" not in each.relative_to(project.path).parts]
        assert own and all(any(folder.iterdir()) for folder in own)


@pytest.fixture(scope="module")
def texts(projects: list[Project]) -> list[tuple[str, str]]:
    """Every file of every combination, by its name; files that are the same only once."""
    distinct = {pair for project in projects for pair in project.files().items()}
    return sorted((name, content.decode()) for name, content in distinct)


def test_no_delimiter_is_left_over(texts: list[tuple[str, str]]) -> None:
    for name, text in texts:
        found = DELIMITER.search(text)
        assert not found, f"{name}: {found and found[0]}"


def test_python_is_byte_for_byte_the_templates(texts: list[tuple[str, str]]) -> None:
    python = {
        (str(file.relative_to(TEMPLATE)), file.read_text(encoding="utf-8"))
        for file in TEMPLATE.rglob("*.py")
    }
    assert "streamlit_app.py" in dict(python)
    assert {(name, text) for name, text in texts if name.endswith(".py")} == python


def test_everything_parses(texts: list[tuple[str, str]]) -> None:
    for name, text in texts:
        if name.endswith(".toml"):
            tomllib.loads(text)
        elif name.endswith(".json"):
            json.loads(text)
        elif name.endswith(".yml") and name.startswith(".github/"):
            assert read_yaml(text)


def test_text_files_are_tidy(texts: list[tuple[str, str]]) -> None:
    for name, text in texts:
        assert not text or text.endswith("\n"), name
        assert not text.startswith("\n") and not text.endswith("\n\n"), name
        assert "\n\n\n" not in text or name.endswith((".py", "docs/extend.md")), name
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), name


def test_python_passes_its_own_linter_and_formatter_in_every_combination(
    projects: list[Project],
) -> None:
    """The Python is the same in all; so one project for each of the linter's settings is enough."""
    settings = {
        json.dumps(tomllib.loads(project.read("pyproject.toml"))["tool"]["ruff"]): str(project.path)
        for project in projects
    }
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", *settings.values()]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:]


def test_the_models_are_those_that_were_chosen(projects: list[Project]) -> None:
    for project in projects:
        ids = [table["id"] for table in tomllib.loads(project.read("models.toml")).values()]
        chosen, region = project.options["models"], project.options["aws_region"]
        assert any("amazon.nova" in each for each in ids) == (chosen != "Anthropic Claude")
        assert any("anthropic" in each for each in ids) == (chosen != "Amazon Nova")
        near = {"us": {"us"}, "eu": {"eu"}, "ap": {"apac", "au", "global"}, "sa": {"global"}}
        assert {each.split(".")[0] for each in ids} <= near[region[:2]]


def test_the_readme_speaks_of_anthropics_form_only_where_it_is_needed(
    projects: list[Project],
) -> None:
    for project in projects:
        needed = project.options["models"] != "Amazon Nova"
        assert ("Anthropic" in project.read("README.md")) == needed


def test_every_link_in_the_documents_leads_somewhere(projects: list[Project]) -> None:
    for project in projects:
        documents = [name for name in project.files() if name.endswith(".md")]
        anchors = {name: set(map(anchor, headings(project.read(name)))) for name in documents}
        for name in documents:
            for target in re.findall(r"\]\(([^)]+)\)", project.read(name)):
                if "://" not in target:
                    file, _, fragment = target.partition("#")
                    path = str(PurePosixPath(name).parent / file) if file else name
                    assert (project.path / path).exists(), f"{name}: {target}"
                    assert not fragment or fragment in anchors[path], f"{name}: {target}"


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.*)", text, re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the name by which GitHub links to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_license_is_the_one_that_was_chosen(projects: list[Project]) -> None:
    words = {
        "MIT": "Permission is hereby granted",
        "Apache-2.0": "Apache License",
        "Proprietary": "All rights reserved",
    }
    for project in projects:
        text = project.read("LICENSE")
        assert "Our Team" in text
        for name, word in words.items():
            assert (word in text) == (name == project.options["license"])
        declared = tomllib.loads(project.read("pyproject.toml"))["project"]["license"]
        assert declared.removeprefix("LicenseRef-") == project.options["license"]


def test_the_region_reaches_the_app_and_the_readme(projects: list[Project]) -> None:
    for project in projects:
        settings = tomllib.loads(project.read("pyproject.toml"))["tool"]["dev"]["environment"]
        assert settings["AWS_REGION"] == project.options["aws_region"]
        assert project.options["aws_region"] in project.read("README.md")


def test_every_action_is_pinned(bake: Bake) -> None:
    project = bake()
    for name in WORKFLOWS:
        for action in re.findall(r"uses: (?!\./)(.*)", project.read(name)):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), name


def test_the_workflow_may_only_read(bake: Bake) -> None:
    workflow = read_yaml(bake().read(WORKFLOW))
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["test"]["steps"]
    commands = {step["run"] for step in steps if "run" in step}
    assert commands == {"python3 dev.py lint", "python3 dev.py test"}


def test_a_commit_is_checked_as_ci_checks_it(bake: Bake) -> None:
    [repository] = read_yaml(bake().read(".pre-commit-config.yaml"))["repos"]
    [hook] = repository["hooks"]
    assert (hook["entry"], hook["always_run"]) == ("python3 dev.py lint", True)
    assert f"run: {hook['entry']}" in bake().read(WORKFLOW)


def test_a_development_container_shows_the_demo(bake: Bake) -> None:
    project = bake(project_name='A "quoted" name', project_slug="quoted")
    container = json.loads(project.read(".devcontainer/devcontainer.json"))
    assert container["name"] == 'A "quoted" name'
    assert container["postAttachCommand"] == "python3 dev.py run"
    assert str(container["forwardPorts"][0]) in project.read("README.md")


def test_requirements_are_hashed_and_name_no_index(bake: Bake) -> None:
    project = bake()
    for name in (
        "requirements.txt",
        "requirements-audit.txt",
        "lean/requirements.txt",
        "lean/requirements-dev.txt",
    ):
        text = project.read(name)
        assert "://" not in text
        pinned = re.findall(r"^[\w.-]+==[^\s]+.*\\$", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[\w.-]+", text, re.MULTILINE))


def test_runtime_dependencies_are_few(bake: Bake) -> None:
    lines = [
        line for line in bake().read("requirements.in").splitlines() if not line.startswith("#")
    ]
    assert {line.split("==")[0] for line in lines} == {
        "streamlit",
        "streamlit-local-storage",
        "boto3",
        "markdown-it-py",
        "Authlib",
        "httpx2",
        "httptools",
        "uvloop",
    }


def test_every_variable_is_declared_and_used() -> None:
    sources = [*TEMPLATE.rglob("*"), *ROOT.glob("hooks/*_project.py"), ROOT / "cookiecutter.json"]
    used = set()
    for file in sources:
        if file.is_file() and file.suffix != ".pyc":
            used |= set(re.findall(r"cookiecutter\.(\w+)", file.read_text(encoding="utf-8")))
    used |= set(re.findall(r"cookiecutter\.(\w+)", TEMPLATE.name))
    own = {name for name in used if name.startswith("_")}  # those that are not asked for
    assert used - own == set(PROMPTS)
    assert own <= set(CONTEXT)


def test_every_choice_has_a_prompt_for_people() -> None:
    words = CONTEXT["__prompts__"]
    assert set(words) == set(PROMPTS)
    for name, prompt in words.items():
        if isinstance(PROMPTS[name], list):
            assert set(prompt) == {"__prompt__", *PROMPTS[name]}


def test_answers_at_the_prompts_are_rendered(tmp_path: Path) -> None:
    answers = "Ask Legal\n\nLegal Team\n3\neu-central-1\n2\n2\nn\n2\nn\n2\n2\n"
    done = run_cookiecutter(ROOT, tmp_path, "--default-config", input=answers)
    assert done.returncode == 0, done.stdout
    assert "Name of the chatbot, as staff will see it" in done.stdout
    assert "Proprietary: all rights reserved" in done.stdout
    project = Project(tmp_path / "ask-legal", {})
    assert "Legal Team" in project.read("LICENSE")
    assert "python3 dev.py run" in done.stdout
    assert not (project.path / ".github").exists()
    assert "TaskSubnetA" in project.read("infra/parameters.json")
    assert "AllowedCidr" in project.read("infra/parameters.json")
    assert '"Tasks"' in project.read("infra/parameters.json")
    assert "OidcClientId" in project.read("infra/parameters.json")
    assert "X86_64" in project.read("infra/template.yml")
    assert "# Ask Legal\n" in project.read("README.md")
