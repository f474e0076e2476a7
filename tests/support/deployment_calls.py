"""The calls of AWS that deployment.sh makes: test_deployment.py records them with the defaults, and
test_github_roles.py compares them with what a role allows.
"""

from collections.abc import Mapping
from typing import Any

ALWAYS = {
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:ListStackResources",
    "cloudformation:ListStacks",
    "cloudformation:ValidateTemplate",
    "cloudwatch:DescribeAlarms",
    "ecr:DescribeImages",
    "ecr:GetAuthorizationToken",
    "ecs:DescribeServices",
    "ecs:DescribeTasks",
    "ecs:ListTasks",
    "elasticfilesystem:DescribeFileSystems",
    "logs:FilterLogEvents",
    "sts:GetCallerIdentity",
}
WITH: dict[str, dict[str, object]] = {
    "cognito-idp:ListUserPools": {"sign_in": "Amazon Cognito"},
    "ec2:DescribeAvailabilityZones": {"network": "new VPC"},
    "ec2:DescribeInternetGateways": {"network": "existing VPC", "use_cloudfront": True},
    "ec2:DescribeManagedPrefixLists": {"use_cloudfront": True},
    "ec2:DescribeRouteTables": {"network": "existing VPC"},
    "ec2:DescribeSubnets": {"network": "existing VPC"},
    "ec2:DescribeVpcAttribute": {"network": "existing VPC"},
}
FOR_CERTIFICATES = {"acm:DescribeCertificate"}  # only with CertificateArn
FOR_OWNED = {  # only with the parameters that name it
    "kms:DescribeKey",
    "route53:GetHostedZone",
    "route53:ListResourceRecordSets",
    "s3:GetBucketLocation",
    "wafv2:GetWebACL",
}
# Only where models.toml names a profile by its ARN.
FOR_PROFILES = {"bedrock:GetInferenceProfile"}
# --delete-data, and all that concerns a person, is for people, not for GitHub's jobs.
BY_PEOPLE = {
    "cognito-idp:AdminAddUserToGroup",
    "cognito-idp:AdminCreateUser",
    "cognito-idp:AdminDeleteUser",
    "cognito-idp:AdminGetUser",
    "cognito-idp:CreateGroup",
    "cognito-idp:DeleteUserPool",
    "ecs:RunTask",
    "elasticfilesystem:DeleteFileSystem",
    "logs:DeleteLogStream",
}

# Conversations that leave or come back are for people, too.
BY_OPERATORS = {
    "backup:DescribeRestoreJob",
    "backup:GetRecoveryPointRestoreMetadata",
    "backup:ListRecoveryPointsByResource",
    "backup:ListRestoreJobs",
    "backup:StartRestoreJob",
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "ecs:RegisterTaskDefinition",
    "ecs:RunTask",
    "ecs:StopTask",
    "elasticfilesystem:CreateAccessPoint",
    "elasticfilesystem:DeleteAccessPoint",
    "elasticfilesystem:DescribeAccessPoints",
    "iam:GetRole",
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucketMultipartUploads",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutLifecycleConfiguration",
    "s3:PutObject",
}

# What only `doctor` asks beside that.
BY_DOCTOR = {
    "bedrock:InvokeModel",
    "bedrock:GetFoundationModel",
    "ec2:DescribeVpcs",
    "servicequotas:GetServiceQuota",
}


def calls_with(options: Mapping[str, Any]) -> set[str]:
    """Return the calls that GitHub's jobs may make in a project with these options."""
    return ALWAYS | {
        call
        for call, chosen in WITH.items()
        if all(options[name] == value for name, value in chosen.items())
    }
