"""The load balancer, the tasks and the files are reached the intended way, and no other."""

from collections.abc import Mapping
from typing import Any

import pytest

from support.cloudformation import RefusedError
from support.stack_parts import ingress_rules, placement, without_description
from support.stacks import CERTIFICATE, ENCRYPTED, Infrastructure, RenderedStack


def tcp(port: int, **source: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}


def test_with_cloudfront_only_cloudfront_reaches_the_load_balancer(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if not stack.infrastructure.cloudfront:
            assert not stack.of("CloudFront::Distribution")
            continue
        assert stack["LoadBalancer"]["Scheme"] == "internal"
        assert ingress_rules(stack)["LoadBalancerSecurityGroup"] == [
            tcp(80, SourcePrefixListId="pl-3b927c52")
        ]
        [listener] = stack.of("ElasticLoadBalancingV2::Listener").values()
        assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
        assert actions(listener) == ["forward"]


def test_cloudfront_passes_everything_on_by_https_and_keeps_only_the_pages_own_files(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if not stack.infrastructure.cloudfront:
            continue
        distribution = stack["Distribution"]["DistributionConfig"]
        [origin] = distribution["Origins"]
        assert origin["DomainName"] == "${LoadBalancer.DNSName}"
        assert origin["VpcOriginConfig"]["VpcOriginId"] == "${VpcOrigin.Id}"
        endpoint = stack["VpcOrigin"]["VpcOriginEndpointConfig"]
        assert endpoint["Arn"] == "${LoadBalancer}"
        assert endpoint["Name"] == "team-chatbot-us-east-1"  # the account's only one
        assert (endpoint["OriginProtocolPolicy"], endpoint["HTTPPort"]) == ("http-only", 80)
        behavior, [static] = distribution["DefaultCacheBehavior"], distribution["CacheBehaviors"]
        for each in (behavior, static):
            assert each["TargetOriginId"] == origin["Id"]
            assert each["ViewerProtocolPolicy"] == "redirect-to-https"
            assert each["Compress"] is True
        assert {"GET", "HEAD", "POST", "PUT", "DELETE"} <= set(behavior["AllowedMethods"])
        # AWS's own policies CachingDisabled and AllViewerAndCloudFrontHeaders-2022-06, which passes
        # on Host and CloudFront-Forwarded-Proto.
        assert behavior["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        assert behavior["OriginRequestPolicyId"] == "33f36d7e-f396-46d9-90e0-52428a34d9dc"
        assert static["PathPattern"] == "/static/*"
        assert set(static["AllowedMethods"]) == {"GET", "HEAD"}
        # CachingOptimized; without an origin request policy, no cookie is passed on or kept.
        assert static["CachePolicyId"] == "658327ea-f89d-4fab-a63d-7e88639e58f6"
        assert "OriginRequestPolicyId" not in static
        named = stack.parameters["DomainName"]
        assert distribution.get("Aliases") == ([named] if named else None)
        certificate = {
            "AcmCertificateArn": CERTIFICATE,
            "MinimumProtocolVersion": "TLSv1.2_2021",
            "SslSupportMethod": "sni-only",
        }
        assert distribution.get("ViewerCertificate") == (certificate if named else None)


def test_an_error_that_has_gone_is_not_repeated_by_cloudfront(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        if stack.infrastructure.cloudfront:
            kept = stack["Distribution"]["DistributionConfig"]["CustomErrorResponses"]
            times = {each["ErrorCode"]: each["ErrorCachingMinTTL"] for each in kept}
            assert times == dict.fromkeys((404, 500, 502, 503, 504), 0)


def test_without_cloudfront_only_the_networks_named_reach_the_load_balancer(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if stack.infrastructure.cloudfront:
            continue
        assert stack["LoadBalancer"]["Scheme"] == "internet-facing"
        names = ("AllowedCidr", "AllowedCidr2", "AllowedCidr3")
        networks = [stack.parameters[name] for name in names if stack.parameters[name]]
        ports = [80, 443] if stack.parameters["CertificateArn"] else [80]
        allowed = [tcp(port, CidrIp=network) for network in networks for port in ports]
        assert ingress_rules(stack)["LoadBalancerSecurityGroup"] == allowed


def test_with_a_certificate_http_only_redirects_and_https_leads_to_the_tasks(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if stack.infrastructure.cloudfront:
            continue
        listeners = stack.of("ElasticLoadBalancingV2::Listener").values()
        told = {(each["Port"], each["Protocol"]): actions(each) for each in listeners}
        assert len(told) == len(listeners)
        if stack.parameters["CertificateArn"]:
            assert told == {(443, "HTTPS"): ["forward"], (80, "HTTP"): ["redirect"]}
            [redirect] = stack["RedirectListener"]["DefaultActions"]
            assert redirect["RedirectConfig"]["Protocol"] == "HTTPS"
            assert redirect["RedirectConfig"]["Port"] == "443"
            secure = stack["Listener"]
            assert secure["Certificates"] == [{"CertificateArn": CERTIFICATE}]
            assert "TLS13-1-2" in secure["SslPolicy"]
        else:
            assert told == {(80, "HTTP"): ["forward"]}


def test_no_listener_changes_its_port(structures: list[Infrastructure]) -> None:
    """If an update failed that moves listeners, AWS could not move them back."""
    for each in structures:
        with_and_without = ({}, ENCRYPTED) if not each.needs_certificate else (ENCRYPTED,)
        ports: dict[str, set[int]] = {}
        for given in with_and_without:
            stack = each.create(**given)
            for name, listener in stack.of("ElasticLoadBalancingV2::Listener").items():
                ports.setdefault(name, set()).add(listener["Port"])
        found = [port for one in ports.values() for port in one]
        assert sorted(found) == ([80] if each.cloudfront else [80, 443])


def actions(listener: Mapping[str, Any]) -> list[str]:
    for action in listener["DefaultActions"]:
        assert action.get("TargetGroupArn", "${TargetGroup}") == "${TargetGroup}"
    return [action["Type"] for action in listener["DefaultActions"]]


@pytest.mark.parametrize("name", ["AllowedCidr", "AllowedCidr2", "AllowedCidr3"])
def test_the_whole_internet_is_let_in_only_with_a_certificate(
    structures: list[Infrastructure], name: str
) -> None:
    for each in structures:
        if each.cloudfront:
            assert name not in each.template["Parameters"]
            continue
        if not each.signs_in:  # else there is always a certificate
            with pytest.raises(RefusedError, match=f"certificate, {name} must not be 0.0.0.0/0"):
                each.create(**{name: "0.0.0.0/0"})
        assert each.create(**{name: "0.0.0.0/0"}, **ENCRYPTED)
        # The same by other names, or half of it.
        for spelling in ("203.0.113.5/0", "0.0.0.0/00", "0.0.0.0/1", "128.0.0.0/1", "1.2.3.4/33"):
            for more in ({}, ENCRYPTED):
                with pytest.raises(RefusedError):
                    each.create(**{name: spelling}, **more)


def test_a_domain_name_and_its_certificate_go_together(structures: list[Infrastructure]) -> None:
    for each in structures:
        with pytest.raises(RefusedError, match="DomainName needs CertificateArn"):
            each.create(DomainName="chat.example.com", CertificateArn="")
        with pytest.raises(RefusedError, match="CertificateArn needs DomainName"):
            each.create(CertificateArn=CERTIFICATE, DomainName="")
        if each.cloudfront:
            with pytest.raises(RefusedError, match="us-east-1"):
                elsewhere = CERTIFICATE.replace("us-east-1", "eu-central-1")
                each.create(DomainName="chat.example.com", CertificateArn=elsewhere)


def test_tasks_are_reached_by_the_load_balancer_only_and_files_by_the_tasks_only(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        rules = ingress_rules(stack)
        assert set(rules) == {
            "LoadBalancerSecurityGroup",  # see above
            "TaskSecurityGroup",
            "FileSecurityGroup",
        }
        assert rules["TaskSecurityGroup"] == [
            tcp(8501, SourceSecurityGroupId="${LoadBalancerSecurityGroup.GroupId}")
        ]
        assert rules["FileSecurityGroup"] == [
            tcp(2049, SourceSecurityGroupId="${TaskSecurityGroup.GroupId}")
        ]
        assert stack["LoadBalancer"]["SecurityGroups"] == ["${LoadBalancerSecurityGroup.GroupId}"]
        assert placement(stack)["SecurityGroups"] == ["${TaskSecurityGroup.GroupId}"]
        for target in stack.of("EFS::MountTarget").values():
            assert target["SecurityGroups"] == ["${FileSecurityGroup.GroupId}"]


def test_only_what_is_needed_may_leave(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        groups = stack.of("EC2::SecurityGroup")
        leaving = {
            name: [without_description(rule) for rule in group["SecurityGroupEgress"]]
            for name, group in groups.items()
        }
        tasks, files = "${TaskSecurityGroup.GroupId}", "${FileSecurityGroup.GroupId}"
        assert leaving["LoadBalancerSecurityGroup"] == [tcp(8501, DestinationSecurityGroupId=tasks)]
        assert leaving["TaskSecurityGroup"] == [
            tcp(443, CidrIp="0.0.0.0/0"),
            tcp(2049, DestinationSecurityGroupId=files),
        ]
        [nothing] = leaving["FileSecurityGroup"]
        assert (nothing["IpProtocol"], nothing["CidrIp"]) == ("icmp", "255.255.255.255/32")
