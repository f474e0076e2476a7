"""Where CloudFront reaches a load balancer that has no public address.

AWS: "Restrict access with VPC origins", section "Supported AWS Regions for VPC origins".
Fargate leaves out the same zones: "Supported Regions for Amazon ECS on AWS Fargate".
"""

# As of early 2026. AWS adds regions without notice; one that it has added since can be added here.
REGIONS = (
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
)
# As of July 2026. An account's names for zones are its own; their IDs are the same everywhere.
UNREACHABLE_ZONES = ("use1-az3", "usw1-az2", "apne1-az3", "cac1-az3")
