"""GitHub's two roles may do what deployment.sh and its stacks need, and no more."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.data import AdditionalSpecs
from cfnlint.helpers import load_resource
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from support.cloudformation import ACCOUNT, Stack, create, listed
from support.deployment_calls import FOR_CERTIFICATES, FOR_PROFILES, calls_with
from support.options import DEFAULTS, NOTHING_BY_DEFAULT, combine
from support.projects import Project
from support.rendering import Bake
from support.stack_parts import names_of
from support.yaml_reading import read_yaml

# IAM's actions, each with the kinds of resources that it knows: AWS's list, shipped with cfn-lint.
IAM: dict[str, Any] = load_resource(AdditionalSpecs, "Policies.json")

COMBINATIONS = [
    *combine("network", "use_cloudfront", "use_autoscaling"),
    # How people sign in has lines of its own, whatever is around them.
    {"sign_in": "OpenID Connect"},
    NOTHING_BY_DEFAULT,
]

# What the resources' handlers ask for, by the schemas of AWS that cfn-lint ships, because of
# properties that no template here has. Judged by hand; what only reads is mostly allowed.
UNUSED = {
    "cloudfront:*ConnectionGroup": "distributions for many tenants",
    "cloudfront:UpdateDistributionWithStagingConfig": "staging",
    "cloudfront:updateDistribution": "domains of one's own for Cognito",
    "cognito-idp:AddCustomAttributes": "attributes of one's own",
    "cognito-idp:DeleteUserPool": "none: the user pool outlives its stack",
    "ec2:*tachVpnGateway": "VPNs",
    "ec2:*ssociateSubnetCidrBlock": "IPv6",
    "ec2:CreateVpcEncryptionControl": "encryption within the VPC",
    "ec2:ModifyVpcTenancy": "hardware of one's own",
    "ecr:SetRepositoryPolicy": "other accounts",
    "ecr:DeleteRepositoryPolicy": "other accounts",
    "ecs:PutAccountSetting*": "settings of the account",
    "ecs:PutClusterCapacityProviders": "capacity providers",
    "elasticfilesystem:CreateReplicationConfiguration": "replication",
    "elasticfilesystem:DeleteReplicationConfiguration": "replication",
    "elasticfilesystem:DeleteFileSystem": "none: the file system outlives its stack",
    "elasticfilesystem:DeleteTags": "none: UntagResource has replaced it",
    "elasticfilesystem:UpdateFileSystemProtection": "replication",
    "elasticloadbalancing:*registerTargets": "targets in the template; ECS registers tasks itself",
    "elasticloadbalancing:RegisterTargets": "targets in the template; ECS registers tasks itself",
    "elasticloadbalancing:ModifyCapacityReservation": "reserved capacity",
    "elasticloadbalancing:ModifyIpPools": "IPAM",
    "elasticloadbalancing:SetIpAddressType": "IPv6",
    "iam:*RolePermissionsBoundary": "boundaries",
    "iam:AttachRolePolicy": "managed policies",
    "iam:DetachRolePolicy": "managed policies",
    "kms:*": "keys of one's own",
    "lambda:*": "functions",
    "logs:*BearerTokenAuthentication": "tokens",
    "logs:*ssociateKmsKey": "keys of one's own",
    "logs:CreateLogDelivery": "delivery to other services",
    "firehose:*": "delivery to other services",
    "logs:DeleteDataProtectionPolicy": "masks",
    "logs:PutDataProtectionPolicy": "masks",
    "logs:DeleteIndexPolicy": "indexes",
    "logs:PutIndexPolicy": "indexes",
    "logs:DeleteResourcePolicy": "other accounts",
    "logs:PutResourcePolicy": "other accounts",
    "logs:PutLogGroupDeletionProtection": "protection of logs",
    "secretsmanager:RemoveRegionsFromReplication": "replication",
    "secretsmanager:ReplicateSecretToRegions": "replication",
    "sns:PutDataProtectionPolicy": "masks",
    "sts:AssumeRole": "none: no role is known that the handler could mean",
}

UNUSED_BY = {  # as above, of one kind of resource
    "AWS::ElasticLoadBalancingV2::Listener": "cognito-idp:*",  # signing in at the load balancer
}

# What services do in the caller's name beside that. Kept by hand, from AWS's user guides and its
# managed policies, as remembered; not tried against AWS.
BESIDE = {
    "AWS::EC2::Subnet": {  # of the type of the zones' parameters
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeAvailabilityZones",
    },
    "AWS::ElasticLoadBalancingV2::LoadBalancer": {
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeAddresses",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:GetSecurityGroupsForVpc",
        "iam:CreateServiceLinkedRole",
    },
    "AWS::EFS::MountTarget": {
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaceAttribute",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:ModifyNetworkInterfaceAttribute",
    },
    "AWS::ApplicationAutoScaling::ScalingPolicy": {
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricAlarm",
    },
}

# Service-linked roles: which resource makes AWS look for which one.
LINKED = {
    "AWS::ECS::Service": "ecs.amazonaws.com",
    "AWS::EFS::FileSystem": "elasticfilesystem.amazonaws.com",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "elasticloadbalancing.amazonaws.com",
    "AWS::ApplicationAutoScaling::ScalableTarget": "ecs.application-autoscaling.amazonaws.com",
    "AWS::CloudFront::VpcOrigin": "vpcorigin.cloudfront.amazonaws.com",
}

# What deployment.sh needs for calls beside the actions that bear their names.
NEEDED = {
    "sts:GetCallerIdentity": set[str](),  # everyone may
    "cloudformation:CreateChangeSet": {
        "cloudformation:CreateChangeSet",
        "cloudformation:TagResource",
        "cloudformation:UntagResource",
        "iam:PassRole",
    },
}
PUSH = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}
REGION = "eu-west-1"
GIVEN = {"StackName": "bot", "Repository": "octo@1/bot@2"}
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


def load(project: Project, name: str) -> dict[str, Any]:
    template: dict[str, Any] = read_yaml(project.read(f"infra/{name}"))
    return template


def roles_in(stack: Stack) -> dict[str, Any]:
    """Return the two roles, each with the policies within it and those that are beside it."""
    assert {body["Type"] for body in stack.resources.values()} <= {
        "AWS::IAM::OIDCProvider",
        "AWS::IAM::Role",
        "AWS::IAM::ManagedPolicy",
    }
    found = {name: role | {"Beside": []} for name, role in stack.of("IAM::Role").items()}
    assert set(found) == {"DeploymentRole", "CloudFormationRole"}
    for policy in stack.of("IAM::ManagedPolicy").values():
        for role in names_of(policy["Roles"]):
            found[role]["Beside"].append(policy)
    return found


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Policies"] + role["Beside"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement | {key: listed(statement[key]) for key in ("Action", "Resource")}


def allowed(role: dict[str, Any]) -> set[str]:
    return {action for statement in statements(role) for action in statement["Action"]}


def kinds(action: str) -> list[str] | None:
    """Return the kinds of resources that an action knows, or None where IAM does not know it."""
    service, name = action.split(":")
    entry = IAM.get(service, {}).get("Actions", {}).get(name.lower())
    return None if entry is None else entry.get("Resources", [])


def asked(kind: str) -> set[str]:
    """Return what the handlers of a kind of resource ask for, as far as IAM knows it."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    verbs = ("create", "read", "update", "delete")
    permissions = {each for verb in verbs for each in handlers.get(verb, {}).get("permissions", ())}
    return {each for each in permissions if kinds(each) is not None}


def needed(kind: str) -> set[str]:
    patterns = [*UNUSED, UNUSED_BY.get(kind, "none")]
    unused = {each for each in asked(kind) if any(fnmatchcase(each, one) for one in patterns)}
    return asked(kind) - unused | BESIDE.get(kind, set())


@pytest.fixture(scope="module")
def rendered(bake_to_keep: Bake) -> list[Project]:
    """Every combination that changes the stacks, rendered once; the first has the defaults."""
    return [bake_to_keep(**options) for options in COMBINATIONS]


@pytest.fixture(
    params=range(len(COMBINATIONS)),
    ids=lambda index: ", ".join(map(str, COMBINATIONS[index].values())),
)
def project(request: pytest.FixtureRequest, rendered: list[Project]) -> Project:
    found: Project = rendered[request.param]
    return found


@pytest.fixture
def default(rendered: list[Project]) -> Project:
    return rendered[0]


@pytest.fixture
def roles(project: Project) -> dict[str, Any]:
    """The two roles, as CloudFormation makes them for the stack "bot"."""
    return roles_in(create(load(project, "github.yml"), GIVEN, REGION, "github"))


@pytest.fixture
def types(project: Project) -> set[str]:
    """What the stacks are made of."""
    templates = [load(project, name) for name in ("registry.yml", "template.yml")]
    return {one["Type"] for template in templates for one in template["Resources"].values()}


def test_cloudformation_may_do_what_the_resources_need_and_nothing_else(
    roles: dict[str, Any], types: set[str]
) -> None:
    wanted = {action for kind in types for action in needed(kind)}
    assert allowed(roles["CloudFormationRole"]) == wanted


def test_what_is_not_needed_is_really_asked_for(default: Project) -> None:
    resources = {
        **load(default, "template.yml")["Resources"],
        **load(default, "registry.yml")["Resources"],
    }
    every = {action for one in resources.values() for action in asked(one["Type"])}
    stale = [pattern for pattern in UNUSED if not any(fnmatchcase(each, pattern) for each in every)]
    assert stale == []


def test_the_script_may_do_what_it_does_and_nothing_else(
    project: Project, roles: dict[str, Any]
) -> None:
    wanted = PUSH | FOR_CERTIFICATES | FOR_PROFILES
    for call in calls_with({**DEFAULTS, **project.options}):
        wanted |= NEEDED.get(call, {call})
    assert allowed(roles["DeploymentRole"]) == wanted


def test_only_jobs_in_the_repositorys_environment_may_deploy(
    project: Project, roles: dict[str, Any]
) -> None:
    (trust,) = roles["DeploymentRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Effect"] == "Allow"
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Principal"] == {"Federated": "${Provider}"}
    with_provider = create(load(project, "github.yml"), GIVEN | {"ProviderArn": PROVIDER}, REGION)
    (other,) = with_provider["DeploymentRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert other == trust | {"Principal": {"Federated": PROVIDER}}
    assert list(trust["Condition"]) == ["StringEquals"]
    assert trust["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:octo@1/bot@2:environment:production",
    }


def test_the_workflow_runs_in_that_environment_as_that_role(default: Project) -> None:
    workflow = read_yaml(default.read(".github/workflows/deploy.yml"))
    job = workflow["jobs"]["deploy"]
    parameters = load(default, "github.yml")["Parameters"]
    assert job["environment"] == parameters["Environment"]["Default"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    outputs = load(default, "github.yml")["Outputs"]
    for name, output in outputs.items():
        variable = output["Description"].split()[-1].rstrip(".")
        assert output["Value"] == {"Fn::GetAtt": [name, "Arn"]}
        assert f"vars.{variable} " in default.read(".github/workflows/deploy.yml")
        assert variable in default.read("docs/github.md")


@pytest.mark.parametrize(
    ("repository", "fits"),
    [
        ("octo-org/chat.bot_2", True),
        ("octo-org@123456/chatbot@456789", True),
        ("octo-org", False),
        ("octo-org/*", False),
        ("*/chatbot", False),
        ("octo-org/chatbot:ref", False),
        ("octo-org@1/chatbot", False),
        ("https://github.com/octo-org/chatbot", False),
    ],
)
def test_a_repository_is_one_repository(default: Project, repository: str, fits: bool) -> None:
    pattern = load(default, "github.yml")["Parameters"]["Repository"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, repository)) == fits


def test_only_cloudformation_of_this_account_has_the_other_role(roles: dict[str, Any]) -> None:
    (trust,) = roles["CloudFormationRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "cloudformation.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }


def test_iam_is_limited_to_the_stacks_roles(project: Project, roles: dict[str, Any]) -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/bot/*"
    seen = set()
    for statement in statements(roles["CloudFormationRole"]):
        actions = [action for action in statement["Action"] if action.startswith("iam:")]
        if not actions:
            continue
        seen |= set(actions)
        assert actions == statement["Action"]
        if actions == ["iam:CreateServiceLinkedRole"]:
            assert statement["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/*"]
            continue
        assert statement["Resource"] == [own]
        if "iam:PassRole" in actions:
            assert actions == ["iam:PassRole"]
            service = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
            assert statement["Condition"] == {"StringEquals": service}
    assert {"iam:PassRole", "iam:PutRolePolicy", "iam:CreateServiceLinkedRole"} <= seen
    made = [
        one
        for one in load(project, "template.yml")["Resources"].values()
        if one["Type"] == "AWS::IAM::Role"
    ]
    assert made
    for role in made:
        assert role["Properties"]["Path"] == {"Fn::Sub": "/${AWS::StackName}/"}
        assert not {"ManagedPolicyArns", "RoleName"} & set(role["Properties"])
    # The roles here are not among those, or CloudFormation could give itself any permission.
    for role in roles.values():
        assert not {"Path", "RoleName"} & set(role)


def test_service_linked_roles_are_those_of_the_services_used(
    roles: dict[str, Any], types: set[str]
) -> None:
    (statement,) = [
        one
        for one in statements(roles["CloudFormationRole"])
        if "iam:CreateServiceLinkedRole" in one["Action"]
    ]
    services = [service for kind, service in LINKED.items() if kind in types]
    assert statement["Condition"] == {"StringEquals": {"iam:AWSServiceName": sorted(services)}}


def test_the_script_passes_that_role_only_and_only_to_cloudformation(roles: dict[str, Any]) -> None:
    (statement,) = [
        one for one in statements(roles["DeploymentRole"]) if "iam:PassRole" in one["Action"]
    ]
    assert statement["Action"] == ["iam:PassRole"]
    assert statement["Resource"] == ["${CloudFormationRole.Arn}"]
    service = {"iam:PassedToService": "cloudformation.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": service}


def test_the_script_may_change_two_stacks_and_their_images(roles: dict[str, Any]) -> None:
    stacks = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack"
    for statement in statements(roles["DeploymentRole"]):
        if "cloudformation:CreateChangeSet" in statement["Action"]:
            assert statement["Resource"] == [f"{stacks}/bot/*", f"{stacks}/team-chatbot-registry/*"]
        elif "ecr:PutImage" in statement["Action"]:
            (resource,) = statement["Resource"]
            assert resource.endswith(":repository/team-chatbot-registry-*")
        else:
            reads = (
                "Describe",
                "List",
                "Filter",
                "GetInference",
                "Validate",
                "GetAuthorizationToken",
                "PassRole",
            )
            assert all(action.split(":")[1].startswith(reads) for action in statement["Action"])


def test_no_statement_allows_everything(roles: dict[str, Any]) -> None:
    for role in roles.values():
        for statement in statements(role):
            assert statement["Effect"] == "Allow"
            for action in statement["Action"]:
                assert "*" not in action
                known = kinds(action)
                assert known is not None, f"IAM does not know {action}"
                anything = statement["Resource"] == ["*"]
                if (
                    action == "ecs:ListTasks"
                ):  # Fargate has none of the container instances it knows
                    assert "ecs:cluster" in statement["Condition"]["ArnLike"]
                elif action == "cloudwatch:GetMetricData":  # it knows only what metrics are not
                    assert known == ["dataset"] and anything
                else:
                    assert anything == (not known), action
            for resource in statement["Resource"]:
                assert resource == "*" or ACCOUNT in resource or "${" in resource


def test_nobody_may_delete_conversations_or_people(roles: dict[str, Any]) -> None:
    for role in roles.values():
        assert not {
            "backup:DeleteRecoveryPoint",
            "cognito-idp:AdminDeleteUser",
            "cognito-idp:DeleteUserPool",
            "elasticfilesystem:DeleteFileSystem",
        } & allowed(role)


def test_each_resource_that_is_any_has_its_reason(project: Project) -> None:
    lines = project.read("infra/github.yml").splitlines()
    wide = [line for line in lines if re.search(r'Resource: "\*"', line)]
    assert len(wide) >= 6
    assert [line for line in wide if not re.search(r'"\*" # \w+', line)] == []


def test_the_policies_fit_whatever_the_stacks_name(project: Project) -> None:
    longest = GIVEN | {"StackName": "x" * 119}
    stack = create(load(project, "github.yml"), longest, "ap-southeast-2")
    arn = f"arn:aws:iam::{ACCOUNT}:role/{'x' * 64}"  # of the role that the other one passes on

    def size(policy: dict[str, Any]) -> int:
        text = json.dumps(policy["PolicyDocument"], separators=(",", ":"))
        return len(text.replace("${CloudFormationRole.Arn}", arn))

    # IAM's quotas: for all policies within a role together, and for each that is beside it.
    for name, role in roles_in(stack).items():
        within = sum(size(each) for each in role["Policies"])
        assert within <= 10_240, f"{name} has {within} characters of policies, and IAM takes 10,240"
        for policy in role["Beside"]:
            assert size(policy) <= 6_144, f"{policy['Description']} has {size(policy)}"
