"""What makes a stack safer is off unless asked for, and does what it says where it is asked for."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support.cloudformation import ACCOUNT, RefusedError, Stack, create, listed, walk
from support.stack_parts import names_of, placement, statements
from support.stacks import KEY, Infrastructure
from support.yaml_reading import read_yaml

HARDENING = {"DnsRecordA", "DnsRecordAAAA", "Firewall"}


def attributes(stack: Stack) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in stack["LoadBalancer"]["LoadBalancerAttributes"]}


def beside(infrastructure: Infrastructure, name: str, **given: str) -> Stack:
    """Make one of the stacks beside the chatbot's."""
    template: dict[str, Any] = read_yaml(infrastructure.files[f"infra/{name}.yml"])
    return create(template, given, name=f"team-chatbot-{name}")


def test_nothing_of_it_is_there_unless_it_is_asked_for(structures: list[Infrastructure]) -> None:
    for each in structures:
        stack = each.create()
        assert not HARDENING & set(stack.resources)
        for path, _ in walk([body["Properties"] for body in stack.resources.values()]):
            assert path[-1:] not in (("KmsKeyId",), ("WebACLId",))
        assert attributes(stack)["access_logs.s3.enabled"] == "false"  # as AWS has it
        assert "access_logs.s3.bucket" not in attributes(stack)
        assert "kms:" not in json.dumps([*statements(stack)])


def test_the_dns_record_leads_to_the_entry(structures: list[Infrastructure]) -> None:
    for each in structures:
        records = each.hardened().of("Route53::RecordSet")
        if each.cloudfront:  # whose zone is the same for everyone, and which has IPv6
            target = {"DNSName": "${Distribution.DomainName}", "HostedZoneId": "Z2FDTNDATAQYW2"}
        else:
            zone = "${LoadBalancer.CanonicalHostedZoneID}"
            target = {"DNSName": "${LoadBalancer.DNSName}", "HostedZoneId": zone}
        kinds = {"A", "AAAA"} if each.cloudfront else {"A"}
        assert {record["Type"] for record in records.values()} == kinds
        for record in records.values():
            assert record["Name"] == "chat.example.com"
            assert record["HostedZoneId"] == "Z0123456789ABC"
            assert record["AliasTarget"] == target
        if not each.needs_certificate:
            with pytest.raises(RefusedError, match="HostedZoneId needs DomainName"):
                each.create(HostedZoneId="Z0123456789ABC")


def test_a_key_of_the_team_encrypts_all_that_is_kept(structures: list[Infrastructure]) -> None:
    for each in structures:
        stack = each.create(KmsKeyArn=KEY)
        kept = ("EFS::FileSystem", "SecretsManager::Secret", "Logs::LogGroup")
        keys = [body["KmsKeyId"] for kind in kept for body in stack.of(kind).values()]
        assert keys == [KEY] * (4 if each.cognito else 3)
        # ECS reads the secrets with this role, and nothing else of what the key protects.
        [decrypts] = [one for one in statements(stack) if "kms:Decrypt" in one["Action"]]
        assert decrypts["Action"] == ["kms:Decrypt"]
        assert decrypts["Resource"] == [KEY]
        via = {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
        assert decrypts["Condition"] == {"StringEquals": via}
        assert decrypts in execution_role(stack)


def execution_role(stack: Stack) -> list[dict[str, Any]]:
    return [
        one | {key: listed(one[key]) for key in ("Action", "Resource")}
        for policy in stack["ExecutionRole"]["Policies"]
        for one in policy["PolicyDocument"]["Statement"]
    ]


def test_a_web_acl_is_in_front_of_the_entry(structures: list[Infrastructure]) -> None:
    for each in structures:
        stack = each.hardened()
        acl = stack.parameters["WebAclArn"]
        if each.cloudfront:
            assert stack["Distribution"]["DistributionConfig"]["WebACLId"] == acl
            assert not stack.of("WAFv2::WebACLAssociation")
        else:
            assert stack["Firewall"] == {"ResourceArn": "${LoadBalancer}", "WebACLArn": acl}
        other = acl.replace(
            *(("global", "regional") if each.cloudfront else ("regional", "global"))
        )
        with pytest.raises(RefusedError, match="WebAclArn must be the ARN of a"):
            each.create(WebAclArn=other)


def test_the_firewall_blocks_what_is_known_to_be_bad_but_nothing_that_the_chatbot_does(
    structures: list[Infrastructure],
) -> None:
    for each in structures:
        [acl] = beside(each, "firewall").of("WAFv2::WebACL").values()
        assert acl["Scope"] == ("CLOUDFRONT" if each.cloudfront else "REGIONAL")
        assert acl["DefaultAction"] == {"Allow": {}}
        rate, *groups = sorted(acl["Rules"], key=lambda rule: rule["Priority"])
        assert rate["Action"] == {"Block": {}}
        limit = rate["Statement"]["RateBasedStatement"]
        assert (limit["AggregateKeyType"], limit["EvaluationWindowSec"]) == ("IP", 300)
        assert int(limit["Limit"]) >= 100 * 300  # a page of a hundred files, for 300 people
        found = {
            group["Statement"]["ManagedRuleGroupStatement"]["Name"]: counted(group)
            for group in groups
        }
        assert all(group["OverrideAction"] == {"None": {}} for group in groups)
        assert set(found) == {
            "AWSManagedRulesAmazonIpReputationList",
            "AWSManagedRulesKnownBadInputsRuleSet",
            "AWSManagedRulesCommonRuleSet",
        }
        common = found.pop("AWSManagedRulesCommonRuleSet")
        assert "SizeRestrictions_BODY" in common  # a file has more than 8 KB
        assert {name for name in common if name.endswith("_BODY")} == {
            f"{attack}_BODY"
            for attack in (
                "SizeRestrictions",
                "CrossSiteScripting",
                "EC2MetaDataSSRF",
                "GenericLFI",
                "GenericRFI",
            )
        }
        assert common - {name for name in common if name.endswith("_BODY")} == {
            "SizeRestrictions_Cookie_HEADER",
            "SizeRestrictions_QUERYSTRING",  # with which providers answer
        }
        # AWS ignores the name of a rule that a group of its own does not have.
        assert found == {
            "AWSManagedRulesAmazonIpReputationList": set(),
            "AWSManagedRulesKnownBadInputsRuleSet": {
                "JavaDeserializationRCE_BODY",
                "Log4JRCE_BODY",
                "ReactJSRCE_BODY",
            },
        }
        metrics = [acl["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in acl["Rules"])]
        assert not any(metric["SampledRequestsEnabled"] for metric in metrics)  # with cookies


def counted(rule: Mapping[str, Any]) -> set[str]:
    overrides = rule["Statement"]["ManagedRuleGroupStatement"].get("RuleActionOverrides", [])
    assert all(each["ActionToUse"] == {"Count": {}} for each in overrides)
    return {each["Name"] for each in overrides}


def test_access_logs_go_to_a_private_bucket_that_forgets(structures: list[Infrastructure]) -> None:
    for each in structures:
        told = attributes(each.hardened())
        assert told["access_logs.s3.enabled"] == "true"
        assert told["access_logs.s3.bucket"] == "logs-of-the-team"
    stack = beside(structures[0], "access-logs", LogDays="7")
    bucket = stack["Bucket"]
    assert bucket["BucketName"].startswith("chatbot-logs-")
    assert len(bucket["BucketName"]) <= 63
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", "7")
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    writes, secure = stack["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert writes["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert writes["Action"] == "s3:PutObject"
    assert writes["Resource"] == f"${{Bucket.Arn}}/AWSLogs/{ACCOUNT}/*"
    balancers = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:loadbalancer/*"
    assert writes["Condition"] == {"ArnLike": {"aws:SourceArn": balancers}}
    assert (secure["Effect"], secure["Principal"]) == ("Deny", {"AWS": "*"})
    assert secure["Resource"] == ["${Bucket.Arn}", "${Bucket.Arn}/*"]
    assert secure["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    for body in stack.resources.values():  # what is in it would keep the stack from being deleted
        assert body["DeletionPolicy"] == "RetainExceptOnCreate"
    assert stack.outputs == {"Bucket": "${Bucket}"}


def test_private_tasks_reach_what_they_need_and_are_not_reached(
    structures: list[Infrastructure],
) -> None:
    for each in structures:
        if not each.new_vpc:
            assert "PrivateTasks" not in each.template["Parameters"]
            continue
        public = placement(each.create())
        assert (public["AssignPublicIp"], names_of(public["Subnets"])) == (
            "ENABLED",
            ["PublicSubnetA", "PublicSubnetB"],
        )
        inside = each.create(PrivateTasks="enabled")
        private = placement(inside)
        subnets = ["PrivateSubnetA", "PrivateSubnetB"]
        assert (private["AssignPublicIp"], names_of(private["Subnets"])) == ("DISABLED", subnets)
        given = {"Vpc": "vpc-1", "PrivateRouteTable": "rtb-1", "TaskSecurityGroup": "sg-1"}
        given |= {"PrivateSubnetA": "subnet-a", "PrivateSubnetB": "subnet-b"}
        given |= {"PublicSubnetA": "subnet-c"} if each.signs_in else {}
        assert {*given} <= {*inside.resources}  # where deployment.sh finds their IDs
        for exec_ in ("false", "true"):
            stack = beside(each, "private", ExecEnabled=exec_, **given)
            endpoints = stack.of("EC2::VPCEndpoint").values()
            services = {one["ServiceName"].split(".", 3)[3]: one for one in endpoints}
            needed = {"ecr.api", "ecr.dkr", "logs", "secretsmanager", "bedrock-runtime"}
            assert set(services) == needed | {"s3"} | (
                {"ssmmessages"} if exec_ == "true" else set()
            )
            layers = services.pop("s3")
            assert (layers["VpcEndpointType"], layers["RouteTableIds"]) == ("Gateway", ["rtb-1"])
            for one in services.values():
                assert (one["VpcEndpointType"], one["PrivateDnsEnabled"]) == ("Interface", True)
                assert one["SubnetIds"] == ["subnet-a", "subnet-b"]
                assert one["SecurityGroupIds"] == ["${EndpointSecurityGroup.GroupId}"]
            [rule] = stack["EndpointSecurityGroup"]["SecurityGroupIngress"]
            assert (rule["FromPort"], rule["ToPort"], rule["SourceSecurityGroupId"]) == (
                443,
                443,
                "sg-1",
            )
            assert len(stack.of("EC2::SecurityGroup")) == 1
            # Where people sign in is on the internet.
            routes = [*stack.of("EC2::Route").values()]
            assert routes == each.signs_in * [
                {
                    "RouteTableId": "rtb-1",
                    "DestinationCidrBlock": "0.0.0.0/0",
                    "NatGatewayId": "${NatGateway}",
                }
            ]
            gateways = [one["SubnetId"] for one in stack.of("EC2::NatGateway").values()]
            assert gateways == each.signs_in * ["subnet-c"]


def test_the_budget_tells_early_and_before_it_is_too_late(structures: list[Infrastructure]) -> None:
    given = {"MonthlyBudget": "250", "AlarmEmail": "team@example.com"}
    budget = beside(structures[0], "budget", **given)["ChatbotBudget"]
    assert budget["Budget"] == {  # without a filter: Bedrock's costs have no tags
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "250", "Unit": "USD"},
    }
    told = {
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"])
        for each in budget["NotificationsWithSubscribers"]
    }
    assert told == {("ACTUAL", 80), ("FORECASTED", 100)}
    for each in budget["NotificationsWithSubscribers"]:
        assert each["Notification"]["ComparisonOperator"] == "GREATER_THAN"
        assert each["Notification"]["ThresholdType"] == "PERCENTAGE"
        assert each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": "team@example.com"}]
    for wrong in ({"MonthlyBudget": "0"}, {"AlarmEmail": ""}):
        with pytest.raises(RefusedError):
            beside(structures[0], "budget", **given | wrong)
