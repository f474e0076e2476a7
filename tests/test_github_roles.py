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
from support.deployment_calls import (
    BY_PEOPLE,
    FOR_CERTIFICATES,
    FOR_OWNED,
    FOR_PROFILES,
    calls_with,
)
from support.iam import NOTHING, Context, allows
from support.options import DEFAULTS, NOTHING_BY_DEFAULT, combine
from support.projects import Project
from support.rendering import Bake
from support.stack_parts import names_of
from support.stack_parts import statements as of_the_tasks
from support.stacks import REQUIRED, Infrastructure, RenderedStack
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
    "elasticfilesystem:DeleteFileSystem": "none: the file system outlives its stack",
    "elasticfilesystem:CreateReplicationConfiguration": "replication",
    "elasticfilesystem:DeleteReplicationConfiguration": "replication",
    "elasticfilesystem:DeleteTags": "none: UntagResource has replaced it",
    "elasticfilesystem:UpdateFileSystemProtection": "replication",
    "elasticloadbalancing:*registerTargets": "targets in the template; ECS registers tasks itself",
    "elasticloadbalancing:RegisterTargets": "targets in the template; ECS registers tasks itself",
    "elasticloadbalancing:ModifyCapacityReservation": "reserved capacity",
    "elasticloadbalancing:ModifyIpPools": "IPAM",
    "elasticloadbalancing:SetIpAddressType": "IPv6",
    "iam:DeleteRolePermissionsBoundary": "none: a boundary stays",
    "iam:AttachRolePolicy": "managed policies",
    "iam:DetachRolePolicy": "managed policies",
    "kms:RetireGrant": "keys of one's own for images",
    "lambda:*": "functions",
    "logs:*BearerTokenAuthentication": "tokens",
    "logs:CreateLogDelivery": "delivery to other services",
    "firehose:*": "delivery to other services",
    "logs:DeleteDataProtectionPolicy": "masks",
    "logs:PutDataProtectionPolicy": "masks",
    "logs:DeleteIndexPolicy": "indexes",
    "logs:PutIndexPolicy": "indexes",
    "logs:DeleteResourcePolicy": "other accounts",
    "logs:PutResourcePolicy": "other accounts",
    "logs:PutLogGroupDeletionProtection": "protection of logs",
    "route53:ListHostedZones": "zones by their names",
    "secretsmanager:RemoveRegionsFromReplication": "replication",
    "secretsmanager:ReplicateSecretToRegions": "replication",
    "sns:PutDataProtectionPolicy": "masks",
    "sts:AssumeRole": "none: no role is known that the handler could mean",
}

UNUSED_BY = {  # as above, of one kind of resource
    "AWS::ElasticLoadBalancingV2::Listener": ["cognito-idp:*"],  # signing in at the load balancer
    "AWS::Cognito::UserPool": ["kms:*"],  # e-mails of one's own
    "AWS::Cognito::UserPoolDomain": ["kms:*"],  # the same
    "AWS::EC2::EIP": [  # addresses of other accounts, or of a machine
        *("ec2:AcceptAddressTransfer", "ec2:AssociateAddress", "ec2:DisassociateAddress"),
    ],
    "AWS::EC2::NatGateway": [  # more than one address
        *("ec2:*ssociateNatGatewayAddress", "ec2:*ssignPrivateNatGatewayAddress"),
    ],
    "AWS::EC2::VPCEndpoint": ["vpc-lattice:*", "vpce:AllowMultiRegion"],  # other kinds
    "AWS::ECR::Repository": ["kms:*"],  # keys of one's own for images
    "AWS::S3::Bucket": [  # what a bucket for logs does not have
        *("iam:PassRole", "s3tables:*", "s3:*Object", "s3:PutObject*", "s3:PutReplication*"),
        *("s3:CreateBucketMetadata*", "s3:UpdateBucketMetadata*"),
        *("s3:PutA*", "s3:PutBucketA*", "s3:PutBucketCORS"),
        *("s3:PutIn*", "s3:PutMetrics*", "s3:PutBucketNotification", "s3:PutBucketReplication"),
        *("s3:PutBucketWebsite", "s3:PutBucketObjectLock*", "s3:PutBucketLogging"),
        *("s3:PutBucketVersioning", "s3:DeleteBucket?*"),
    ],
    "AWS::WAFv2::WebACLAssociation": [  # other things than load balancers
        *("amplify:*", "apigateway:*", "apprunner:*", "appsync:*", "bedrock-agentcore:*"),
        *("cognito-idp:*", "ec2:*", "wafv2:*PermissionPolicy"),
    ],
}

# What services do in the caller's name beside that. Kept by hand, from AWS's user guides and its
# managed policies, as remembered; not tried against AWS.
BESIDE = {
    "AWS::CloudFront::Distribution": {"wafv2:GetWebACL"},
    "AWS::SecretsManager::Secret": {"kms:Decrypt", "kms:GenerateDataKey"},
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
FOR_THE_SCRIPT = (
    *("registry.yml", "template.yml", "access-logs.yml", "budget.yml", "firewall.yml"),
    "private.yml",  # with a new VPC only
)
REGION = "eu-west-1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:chatbot-AbCd12"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
OWNED = {"HostedZoneId": "Z01", "KmsKeyArn": KEY}
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


def load(project: Project, name: str) -> dict[str, Any]:
    template: dict[str, Any] = read_yaml(project.read(f"infra/{name}"))
    return template


def given(template: dict[str, Any], **more: str) -> dict[str, str]:
    """Return what a team gives to the stack with the roles, as far as it takes that."""
    own = {"StackName": "bot", "Repository": "octo@1/bot@2", "OidcClientSecretArn": SECRET}
    own |= OWNED | more
    return {name: value for name, value in own.items() if name in template["Parameters"]}


def make(project: Project, region: str = REGION, **more: str) -> Stack:
    """Make the stack with the roles."""
    template = load(project, "github.yml")
    return create(template, given(template, **more), region, "github")


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
        for role in names_of(policy.get("Roles", [])):
            found[role]["Beside"].append(policy)
    return found


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Policies"] + role["Beside"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement | {key: listed(statement[key]) for key in ("Action", "Resource")}


def allowed(role: dict[str, Any]) -> set[str]:
    return {
        action
        for statement in statements(role)
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }


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
    patterns = [*UNUSED, *UNUSED_BY.get(kind, [])]
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
    return roles_in(make(project))


@pytest.fixture
def types(project: Project) -> set[str]:
    """What the stacks are made of."""
    templates = [
        load(project, name)
        for name in FOR_THE_SCRIPT
        if name != "private.yml" or project.options.get("network") != "existing VPC"
    ]
    return {one["Type"] for template in templates for one in template["Resources"].values()}


def test_cloudformation_may_do_what_the_resources_need_and_nothing_else(
    roles: dict[str, Any], types: set[str]
) -> None:
    wanted = {action for kind in types for action in needed(kind)}
    assert allowed(roles["CloudFormationRole"]) == wanted


def test_what_is_not_needed_is_really_asked_for(default: Project) -> None:
    resources = [load(default, name)["Resources"] for name in FOR_THE_SCRIPT]
    kinds = {one["Type"] for each in resources for one in each.values()}
    every = {action for kind in kinds for action in asked(kind)}
    stale = [pattern for pattern in UNUSED if not any(fnmatchcase(each, pattern) for each in every)]
    assert stale == []


def test_the_script_may_do_what_it_does_and_nothing_else(
    project: Project, roles: dict[str, Any]
) -> None:
    wanted = PUSH | FOR_CERTIFICATES | FOR_OWNED | FOR_PROFILES
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
    with_provider = make(project, ProviderArn=PROVIDER)
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
        if name != "PermissionsBoundary":
            assert output["Value"] == {"Fn::GetAtt": [name, "Arn"]}
        assert f"vars.{variable} " in default.read(".github/workflows/deploy.yml")
        assert variable in default.read("docs/github.md")


def test_an_approval_that_is_awaited_holds_up_no_other_environment(default: Project) -> None:
    workflow = read_yaml(default.read(".github/workflows/deploy.yml"))
    assert "concurrency" not in workflow
    groups = {}
    for job in workflow["jobs"].values():
        if "environment" in job:
            assert job["concurrency"]["cancel-in-progress"] is False
            groups[job["environment"]] = job["concurrency"]["group"]
    assert set(groups) == {"staging", "production"}
    assert len(set(groups.values())) == 2


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
        if "iam:CreateRole" in actions:
            within = {"iam:PermissionsBoundary": "${Boundary}"}
            assert statement["Condition"] == {"StringEquals": within}
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


def test_the_script_may_change_its_stacks_and_their_images(
    project: Project, roles: dict[str, Any]
) -> None:
    has_own_network = project.options.get("network") != "existing VPC"
    stacks = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack"
    for statement in statements(roles["DeploymentRole"]):
        if statement["Effect"] == "Deny":
            continue
        if "cloudformation:CreateChangeSet" in statement["Action"]:
            assert statement["Resource"] == [
                f"{stacks}/bot/*",
                f"{stacks}/team-chatbot-registry/*",
                f"{stacks}/bot-access-logs/*",
                f"{stacks.replace(REGION, 'us-east-1')}/bot-budget/*",
                f"{stacks.replace(REGION, '*')}/bot-firewall/*",
                *([f"{stacks}/bot-private/*"] if has_own_network else []),
            ]
        elif "ecr:PutImage" in statement["Action"]:
            (resource,) = statement["Resource"]
            assert resource.endswith(":repository/team-chatbot-registry-*")
        else:
            reads = (
                "Describe",
                "List",
                "Filter",
                "GetBucketLocation",
                "GetHostedZone",
                "GetInference",
                "GetWebACL",
                "Validate",
                "GetAuthorizationToken",
                "PassRole",
            )
            assert all(action.split(":")[1].startswith(reads) for action in statement["Action"])


def test_no_statement_allows_everything(roles: dict[str, Any]) -> None:
    for role in roles.values():
        for statement in statements(role):
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
                has_account = not resource.startswith(("arn:aws:route53:::", "arn:aws:s3:::"))
                assert resource == "*" or not has_account or ACCOUNT in resource or "${" in resource


def test_nobody_may_delete_backups_or_people(roles: dict[str, Any]) -> None:
    for role in roles.values():
        assert not {
            "backup:DeleteRecoveryPoint",
            "cognito-idp:AdminDeleteUser",
            "cognito-idp:DeleteUserPool",
        } & allowed(role)


# What somebody could try who pushes to main: CloudFormation does it, with a template of theirs.

OWN = f"arn:aws:iam::{ACCOUNT}:role/bot/bot-TaskRole-1"
TAG = "aws:ResourceTag/aws:cloudformation:stack-name"
WITHIN = {"iam:PermissionsBoundary": "${Boundary}"}


def may(roles: dict[str, Any], action: str, resource: str, context: Context = NOTHING) -> bool:
    """Tell whether CloudFormation may do it, with GitHub's role."""
    return allows(statements(roles["CloudFormationRole"]), action, resource, context)


@pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PutRolePolicy"])
def test_a_role_gets_permissions_only_within_the_boundary(
    roles: dict[str, Any], action: str
) -> None:
    assert may(roles, action, OWN, WITHIN)
    assert not may(roles, action, OWN)
    admin = {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert not may(roles, action, OWN, admin)
    for path in ("", "other/", "github/"):
        role = f"arn:aws:iam::{ACCOUNT}:role/{path}TaskRole-1"
        assert not may(roles, action, role, WITHIN)


def test_the_boundary_stays_as_it_is_and_where_it_is(roles: dict[str, Any]) -> None:
    assert may(roles, "iam:PutRolePermissionsBoundary", OWN, WITHIN)
    admin = {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert not may(roles, "iam:PutRolePermissionsBoundary", OWN, admin)
    policy = f"arn:aws:iam::{ACCOUNT}:policy/github-Boundary-1"
    for action in (
        "iam:DeleteRolePermissionsBoundary",
        "iam:AttachRolePolicy",
        "iam:CreatePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:DeletePolicy",
        "iam:CreateUser",
    ):
        for role in roles.values():
            for resource in (OWN, policy):
                for context in (NOTHING, WITHIN):
                    assert not allows(statements(role), action, resource, context), action


def test_a_role_is_passed_to_tasks_alone(roles: dict[str, Any]) -> None:
    for service in ("ecs-tasks.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com"):
        context = {"iam:PassedToService": service}
        assert may(roles, "iam:PassRole", OWN, context) is service.startswith("ecs-tasks")
        assert not may(roles, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", context)


# Calls that change what is there already, by its kind; the tag tells whose it is.
CHANGES = {
    "elasticfilesystem:file-system": "CreateAccessPoint CreateMountTarget"
    " DeleteFileSystemPolicy DeleteMountTarget ModifyMountTargetSecurityGroups PutBackupPolicy"
    " PutFileSystemPolicy PutLifecycleConfiguration TagResource UntagResource UpdateFileSystem",
    "elasticfilesystem:access-point": "DeleteAccessPoint TagResource UntagResource",
    "ec2:security-group": "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateTags"
    " DeleteSecurityGroup DeleteTags RevokeSecurityGroupEgress RevokeSecurityGroupIngress",
    "elasticloadbalancing:loadbalancer/app": "AddTags CreateListener DeleteLoadBalancer"
    " ModifyLoadBalancerAttributes RemoveTags SetSecurityGroups SetSubnets",
    "elasticloadbalancing:listener/app": "DeleteListener ModifyListener ModifyListenerAttributes",
    "elasticloadbalancing:targetgroup": "DeleteTargetGroup ModifyTargetGroup"
    " ModifyTargetGroupAttributes",
}
CHANGES_OF_A_VPC = {
    "ec2:vpc": "AttachInternetGateway CreateRouteTable CreateSecurityGroup CreateSubnet DeleteVpc"
    " ModifyVpcAttribute",
    "ec2:route-table": "AssociateRouteTable CreateRoute DeleteRouteTable ReplaceRoute",
    "ec2:subnet": "AssociateRouteTable DeleteSubnet ModifySubnetAttribute",
    "ec2:internet-gateway": "AttachInternetGateway DeleteInternetGateway",
}


def changes(types: set[str]) -> Iterator[tuple[str, str]]:
    """Yield each such action, and what it changes."""
    found = CHANGES | (CHANGES_OF_A_VPC if "AWS::EC2::VPC" in types else {})
    for kind, actions in found.items():
        service, name = kind.split(":")
        for action in actions.split():
            yield f"{service}:{action}", f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}/one"


def test_what_another_stack_made_can_not_be_touched(roles: dict[str, Any], types: set[str]) -> None:
    for action, resource in changes(types):
        assert may(roles, action, resource, {TAG: "bot"}), action
        assert not may(roles, action, resource, {TAG: "bot-staging"}), action


def test_what_no_stack_made_can_hardly_be_touched(roles: dict[str, Any], types: set[str]) -> None:
    """CloudFormation tags some resources only after it has begun to set them up."""
    open_ = {action.partition(":")[2] for action, it in changes(types) if may(roles, action, it)}
    setting_up = {
        "AddTags",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateTags",
        "ModifyListenerAttributes",
        "ModifyLoadBalancerAttributes",
        "ModifyTargetGroupAttributes",
        "PutBackupPolicy",
        "PutFileSystemPolicy",
        "PutLifecycleConfiguration",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "TagResource",
    }
    of_a_vpc = {"ModifySubnetAttribute", "ModifyVpcAttribute"}
    assert open_ == setting_up | (of_a_vpc if "AWS::EC2::VPC" in types else set())


def test_the_teams_own_network_is_used_and_not_changed(
    roles: dict[str, Any], types: set[str]
) -> None:
    """A stack of the team's may have made it, so its tags say nothing."""
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    if "AWS::EC2::VPC" in types:
        return
    theirs = {TAG: "network"}
    assert may(roles, "ec2:CreateSecurityGroup", f"{arn}:vpc/one", theirs)
    assert may(roles, "ec2:CreateSecurityGroup", f"{arn}:security-group/new")
    assert may(roles, "ec2:CreateNetworkInterface", f"{arn}:subnet/one", theirs)
    assert may(roles, "ec2:CreateNetworkInterface", f"{arn}:security-group/one", {TAG: "bot"})
    assert may(roles, "ec2:CreateNetworkInterface", f"{arn}:network-interface/new")
    for kind, actions in CHANGES_OF_A_VPC.items():
        for action in {*actions.split(), "CreateTags", "DeleteTags"} - {"CreateSecurityGroup"}:
            for context in (NOTHING, theirs):
                resource = f"{arn}:{kind.partition(':')[2]}/one"
                assert not may(roles, f"ec2:{action}", resource, context)


def test_what_is_new_can_be_made(roles: dict[str, Any], types: set[str]) -> None:
    new: list[tuple[str, str]] = [
        ("elasticloadbalancing:CreateLoadBalancer", "loadbalancer/app/new/1"),
        ("elasticloadbalancing:CreateTargetGroup", "targetgroup/new/1"),
        ("elasticloadbalancing:AddTags", "listener/app/new/1"),
        ("elasticfilesystem:CreateFileSystem", "*"),
        ("elasticfilesystem:TagResource", "access-point/new"),
        ("ec2:CreateSecurityGroup", "security-group/new"),
        ("ec2:CreateTags", "security-group/new"),
    ]
    if "AWS::EC2::VPC" in types:
        kinds_of_networks = ("Vpc", "Subnet", "RouteTable", "InternetGateway")
        names = ("vpc", "subnet", "route-table", "internet-gateway")
        for kind, name in zip(kinds_of_networks, names, strict=True):
            new += [(f"ec2:Create{kind}", f"{name}/new"), ("ec2:CreateTags", f"{name}/new")]
    for action, resource in new:
        arn = f"arn:aws:{action.partition(':')[0]}:{REGION}:{ACCOUNT}:{resource}"
        assert may(roles, action, "*" if resource == "*" else arn), action


def test_another_distribution_can_not_be_touched(
    project: Project, roles: dict[str, Any], types: set[str]
) -> None:
    if "AWS::CloudFront::Distribution" not in types:
        assert not [each for each in allowed(roles["CloudFormationRole"]) if "cloudfront" in each]
        return
    made = load(project, "template.yml")["Resources"]["Distribution"]["Properties"]
    assert made["Tags"] == [{"Key": "Stack", "Value": {"Ref": "AWS::StackName"}}]
    arn = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1"
    assert may(roles, "cloudfront:TagResource", arn)  # while it is made
    for verb in ("DeleteDistribution", "TagResource", "UntagResource", "UpdateDistribution"):
        assert may(roles, f"cloudfront:{verb}", arn, {"aws:ResourceTag/Stack": "bot"})
        assert not may(roles, f"cloudfront:{verb}", arn, {"aws:ResourceTag/Stack": "bot-staging"})
    for verb in ("DeleteDistribution", "UpdateDistribution"):
        assert not may(roles, f"cloudfront:{verb}", arn)


def test_a_stack_takes_nothing_over_that_is_there(roles: dict[str, Any]) -> None:
    """Or it could change what has no tag, or give it the tag."""
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/bot/1"
    own = list(statements(roles["DeploymentRole"]))
    assert allows(own, "cloudformation:CreateChangeSet", stack)
    imported: Context = {"cloudformation:ImportResourceTypes": ["AWS::CloudFront::Distribution"]}
    assert not allows(own, "cloudformation:CreateChangeSet", stack, imported)


def test_what_people_do_github_may_not(roles: dict[str, Any]) -> None:
    for role in roles.values():
        assert not BY_PEOPLE & allowed(role)


# The boundary


def boundary_of(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack["Boundary"]["PolicyDocument"]["Statement"]
    return found


def test_the_boundary_allows_what_the_tasks_roles_need(
    rendered: list[Project], infrastructures: list[Infrastructure], stacks: list[RenderedStack]
) -> None:
    signs_in = {
        project.options.get("sign_in", DEFAULTS["sign_in"]): project for project in rendered
    }
    boundaries = {
        way: boundary_of(
            make(
                project,
                "us-east-1",
                StackName="team-chatbot",
                RegistryName="team-chatbot",
                OidcClientSecretArn=REQUIRED["OidcClientSecretArn"],
            )
        )
        for way, project in signs_in.items()
    }
    assert len(boundaries) == 3
    made = {  # what AWS calls what a stack refers to
        "${FileSystem}": "fs-1",
        "${LogGroup.Arn}": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:team-chatbot-LogGroup-1:*",
        "${CookieSecret}": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:CookieSecret-1-A",
        "${ClientSecret}": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:ClientSecret-1-A",
    }
    through = {
        "elasticfilesystem:AccessPointArn": "any",
        "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
    }
    seen = set()
    for stack in stacks:
        boundary = boundaries[stack.infrastructure.options["sign_in"]]
        for statement in of_the_tasks(stack):
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    for name, value in made.items():
                        resource = resource.replace(name, value)
                    # A repository's name has more than its stack's.
                    resource = re.sub("(:repository/.*)", r"\1-repository-1", resource)
                    if (stack.infrastructure.options["sign_in"], action, resource) in seen:
                        continue
                    seen.add((stack.infrastructure.options["sign_in"], action, resource))
                    assert allows(boundary, action, resource, through), (action, resource)
    assert {action for _, action, _ in seen} > {"bedrock:InvokeModelWithResponseStream"}


def test_the_boundary_allows_nothing_that_makes_an_administrator(project: Project) -> None:
    boundary = boundary_of(make(project))
    actions = {action for one in boundary for action in listed(one["Action"])}
    services = {action.partition(":")[0] for action in actions}
    assert services == {
        "bedrock",
        "ecr",
        "elasticfilesystem",
        "kms",
        "logs",
        "s3",
        "secretsmanager",
        "ssmmessages",
    }
    assert not [action for action in actions if "*" in action]
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret"
    read = "secretsmanager:GetSecretValue"
    assert allows(boundary, read, f"{secret}:bot-ClientSecret-1-AbCdEf")
    assert not allows(boundary, read, f"{secret}:payroll-AbCdEf")
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    assert not allows(boundary, "kms:Decrypt", key)
    files = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/fs-1"
    assert not allows(boundary, "elasticfilesystem:ClientMount", files)
    assert allows(boundary, "s3:GetObject", "arn:aws:s3:::bot-data-0123/archive.tar.gz")
    assert not allows(boundary, "s3:GetObject", "arn:aws:s3:::payroll/2026.csv")


def test_a_companys_boundary_is_that_of_all_roles(project: Project) -> None:
    company = f"arn:aws:iam::{ACCOUNT}:policy/company"
    stack = make(project, PermissionsBoundary=company)
    assert "Boundary" not in stack.resources
    roles = roles_in(stack)
    assert [role["PermissionsBoundary"] for role in roles.values()] == [company] * 2
    within = {"iam:PermissionsBoundary": company}
    assert may(roles, "iam:CreateRole", OWN, within)
    assert not may(roles, "iam:CreateRole", OWN, WITHIN)
    assert stack.outputs["PermissionsBoundary"] == company
    own = make(project)
    assert not [role for role in roles_in(own).values() if "PermissionsBoundary" in role]
    assert own.outputs["PermissionsBoundary"] == "${Boundary}"


def test_the_zone_and_the_key_are_those_named_and_otherwise_none(
    project: Project, roles: dict[str, Any]
) -> None:
    def used(role: dict[str, Any]) -> dict[str, list[str]]:
        return {
            action: statement["Resource"]
            for statement in statements(role)
            for action in statement["Action"]
            if action.startswith("kms:") or action == "route53:ChangeResourceRecordSets"
        }

    found = used(roles["CloudFormationRole"])
    assert found.pop("route53:ChangeResourceRecordSets") == ["arn:aws:route53:::hostedzone/Z01"]
    assert set(map(tuple, found.values())) == {(KEY,)}
    other = roles_in(make(project, HostedZoneId="", KmsKeyArn=""))
    assert used(other["CloudFormationRole"]) == {}


def test_each_resource_that_is_any_has_its_reason(project: Project) -> None:
    lines = project.read("infra/github.yml").splitlines()
    wide = [line for line in lines if re.search(r'Resource: "\*"', line)]
    assert len(wide) >= 6
    assert [line for line in wide if not re.search(r'"\*" # \w+', line)] == []


def test_the_policies_fit_whatever_the_stacks_name(project: Project) -> None:
    stack = make(project, "ap-southeast-2", StackName="x" * 116)
    # Of the role that the other one passes on, and of the boundary.
    arn, boundary = f"arn:aws:iam::{ACCOUNT}:role/{'x' * 64}", f"arn:aws:iam::{ACCOUNT}:policy/"
    boundary += "x" * 128

    def size(policy: dict[str, Any]) -> int:
        text = json.dumps(policy["PolicyDocument"], separators=(",", ":"))
        text = text.replace("${CloudFormationRole.Arn}", arn)
        return len(text.replace("${Boundary}", boundary))

    # IAM's quotas: for all policies within a role together, and for each that is beside it.
    for name, role in roles_in(stack).items():
        within = sum(size(each) for each in role["Policies"])
        assert within <= 10_240, f"{name} has {within} characters of policies, and IAM takes 10,240"
    for policy in stack.of("IAM::ManagedPolicy").values():
        assert size(policy) <= 6_144, f"{policy['Description']} has {size(policy)}"
