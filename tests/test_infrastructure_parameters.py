"""What a team gives to the stack and gets from it: parameters, tags and outputs."""

import json
import re
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateful_streamlit_chatbot_template import tag
from support.cloudformation import RefusedError
from support.own_python import constant
from support.rendering import InfrastructureRenderer
from support.stacks import ENCRYPTED, REQUIRED, Infrastructure, RenderedStack

METADATA = "/.well-known/openid-configuration"
OIDC_SECRET = REQUIRED["OidcClientSecretArn"]
BY_THE_SCRIPT = set(constant("deployment/parameters.py", "FOUND"))
NEEDED = set(constant("deployment/parameters.py", "NEEDED"))


def test_every_parameter_is_described_in_a_group_and_says_what_it_accepts(
    structures: list[Infrastructure],
) -> None:
    for each in structures:
        template = each.template
        groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        assert sorted(grouped) == sorted(template["Parameters"])
        assert all(group["Label"]["default"] for group in groups)
        for name, rules in template["Parameters"].items():
            assert len(rules["Description"]) > 20 and rules["Description"].endswith("."), name
            if "AllowedPattern" in rules:
                assert rules["ConstraintDescription"].startswith("must be ")
                assert "Default" not in rules or re.fullmatch(
                    rules["AllowedPattern"], rules["Default"]
                )


@pytest.mark.parametrize(
    ("name", "good", "wrong"),
    [
        ("AllowedCidr", "10.1.2.0/24", "10.1.2.0"),
        ("AlarmEmail", "ä.b+c@example.com", "team"),
        ("CloudFrontPrefixListId", "pl-0a", "com.amazonaws.global.cloudfront.origin-facing"),
        ("Contact", "", "one\nline"),
        ("Contact", "https://help.example.com/?a=b&c=%20", "\x1b[31mred"),
        ("Contact", 'Jürgen (room 7), "IT" 👋', "x" * 201),
        ("DailyTokens", "0", "-1"),
        ("DomainName", "chat.example.com", "https://chat.example.com"),
        ("FileSystemId", "fs-0a", "fs-"),
        ("Footer", "", "a\tb"),
        ("Footer", "No customers' data, please: $5 fine & 100 % shame 👀", "a\x85b"),
        ("Footer", "x" * 300, "x" * 301),
        ("FrameAncestors", "", "*"),
        ("FrameAncestors", "https://intranet", "http://intranet"),
        ("FrameAncestors", "https://a.example.com", "https://a.example.com/"),
        ("FrameAncestors", "https://a.example.com https://*.b.org:8443", "https://a.com; sandbox"),
        ("FrameAncestors", "https://a.example.com:8443", "https://a.*.com"),
        ("LogDays", "7", "8"),
        ("MaxTasks", "100", "101"),
        ("MinTasks", "1", "0"),
        ("OidcClientId", "0oa1b2-c3.d4", ""),
        ("OidcClientSecretArn", OIDC_SECRET, "the secret itself"),
        ("OidcClientSecretArn", OIDC_SECRET, OIDC_SECRET.rpartition("-")[0]),
        ("OidcMetadataUrl", f"https://login.example.com{METADATA}", "https://login.example.com"),
        (
            "OidcMetadataUrl",
            f"https://example.com/a/v2.0{METADATA}",
            f"http://example.com{METADATA}",
        ),
        ("PermissionsBoundary", "arn:aws:iam::aws:policy/PowerUserAccess", "PowerUserAccess"),
        ("RetentionDays", "0", "-1"),
        ("SignInHours", "1", "0"),
        ("TaskSize", "4096/16384", "256/4096"),
        ("TimeZone", "America/Argentina/Buenos_Aires", "Berlin time"),
        ("TimeZone", "UTC", "+02:00"),
        ("UserPoolId", "eu-central-1_AbC123", "AbC123"),
        ("VpcCidr", "10.0.0.0/22", "10.0.0.0/23"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_made(
    structures: list[Infrastructure], name: str, good: str, wrong: str
) -> None:
    having = [each for each in structures if name in each.template["Parameters"]]
    assert having
    for each in having:
        more = ENCRYPTED if name == "DomainName" else {}
        assert each.create(**more | {name: good})
        with pytest.raises(RefusedError, match=f"{name} "):
            each.create(**more | {name: wrong})


def test_the_parameters_file_names_parameters_and_needs_only_what_is_the_teams(
    structures: list[Infrastructure],
) -> None:
    for each in structures:
        pairs = json.loads(each.files["infra/parameters.json"])
        assert all(set(pair) == {"ParameterKey", "ParameterValue"} for pair in pairs)
        given = {pair["ParameterKey"]: pair["ParameterValue"] for pair in pairs}
        assert len(given) == len(pairs)
        declared = each.template["Parameters"]
        assert set(given) <= set(declared) - BY_THE_SCRIPT
        needed = {name for name, rules in declared.items() if "Default" not in rules}
        assert needed - BY_THE_SCRIPT == NEEDED & set(declared)
        assert needed - BY_THE_SCRIPT == {
            name for name in given if given[name] == "" and "Default" not in declared[name]
        }
        filled = {name: value for name, value in given.items() if name not in each.required}
        assert each.create(**filled)
        assert {*ENCRYPTED} <= {*given} or not each.needs_certificate
        if needed - BY_THE_SCRIPT:
            with pytest.raises(RefusedError):
                each.create(**given)


def accepted_in_a_tag(value: str) -> bool:
    """Tell whether AWS takes the text: at most 256 letters, digits, spaces and some signs."""
    return len(value) <= 256 and all(
        category(each)[0] in "LZN" or each in "_.:/=+-@" for each in value
    )


@pytest.mark.parametrize("owner", ["Our Team", "Bob & Co's #1 <x> 👋", 'a "b" \\ {c}', "日本語 Ö"])
def test_the_tags_say_whose_it_is_in_signs_that_aws_accepts(
    render_infrastructure: InfrastructureRenderer, owner: str
) -> None:
    tags = json.loads(render_infrastructure(owner=owner).files["infra/tags.json"])
    values = {each["Key"]: each["Value"] for each in tags}
    assert values["Project"] == "team-chatbot"
    assert accepted_in_a_tag(values["Owner"])
    letters = re.sub(r"\W", "", owner)
    assert re.sub(r"\W", "", values["Owner"]) == letters
    assert set(values) == {"Project", "Owner"}


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=80))
def test_every_owner_becomes_a_tag(owner: str) -> None:
    assert accepted_in_a_tag(tag(owner.replace("\n", "")))


def test_every_output_is_described_and_the_address_comes_first(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        declared = stack.template["Outputs"]
        assert next(iter(declared)) == "Address"
        assert all(output["Description"].endswith(".") for output in declared.values())
        assert not any("Export" in output for output in declared.values())
        secure = bool(stack.parameters["CertificateArn"])
        entry = (
            "Distribution.DomainName" if stack.infrastructure.cloudfront else "LoadBalancer.DNSName"
        )
        assert stack.outputs["EntryName"] == f"${{{entry}}}"
        if secure:  # the certificate is for this name only
            address = "https://chat.example.com"
        else:
            address = f"http{'s' if stack.infrastructure.cloudfront else ''}://${{{entry}}}"
        assert stack.outputs["Address"] == address
