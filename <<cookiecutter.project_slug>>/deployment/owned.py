"""What the team has already and only names: a DNS zone, a key, a web ACL, a bucket."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from deployment.account import Account, error_code, sentence
from deployment.stacks import Stack

_KEY_STATES = {
    "Disabled": "it is disabled: enable it in the console of KMS",
    "PendingDeletion": "it is about to be deleted: cancel that in the console of KMS",
}


def check_owned(account: Account, given: Mapping[str, str], stack: Stack) -> list[str]:
    """Return what is wrong with what the parameters name.

    stack: the chatbot's, which may have made the DNS record already.
    """
    lacks = []
    domain, zone = given.get("DomainName", ""), given.get("HostedZoneId", "")
    if zone and not domain:
        lacks.append("HostedZoneId needs DomainName, the name of the DNS record: enter both")
    if zone and domain:
        has_record = stack.was_completed and (
            (zone, domain) == (stack.parameters.get("HostedZoneId"), stack.parameters["DomainName"])
        )
        lacks += _check_zone(account, zone, domain, has_record=has_record)
    if given.get("KmsKeyArn"):
        lacks += _check_key(account, given["KmsKeyArn"])
    if given.get("WebAclArn"):
        lacks += _check_web_acl(account, given["WebAclArn"])
    if given.get("AccessLogBucket"):
        lacks += _check_bucket(account, given["AccessLogBucket"])
    return lacks


def _check_zone(account: Account, zone: str, domain: str, *, has_record: bool) -> list[str]:
    """Check that the zone answers for the name, and has no record of it that is not ours."""
    client = account.client("route53")
    try:
        found = client.get_hosted_zone(Id=zone)["HostedZone"]
        listed = client.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=domain, MaxItems="10"
        )
    except ClientError as error:
        return [f"AWS does not show the hosted zone {zone}: {sentence(error)}"]
    apex = found["Name"].rstrip(".")
    if not f".{domain}".endswith(f".{apex}"):
        return [
            f"The hosted zone {zone} is for {apex}, and {domain} is not in it: enter the ID of the"
            " zone that DomainName belongs to as HostedZoneId"
        ]
    if found.get("Config", {}).get("PrivateZone"):
        return [
            f"The hosted zone {zone} is private, so only its VPCs would find {domain}: enter the ID"
            " of the public zone as HostedZoneId"
        ]
    kinds = [
        each["Type"]
        for each in listed["ResourceRecordSets"]
        if each["Name"].rstrip(".") == domain and each["Type"] in ("A", "AAAA", "CNAME")
    ]
    if kinds and not has_record:
        return [
            f"The hosted zone {zone} has a record of {domain} already ({', '.join(kinds)}): delete"
            " it, or leave HostedZoneId empty"
        ]
    return []


def _check_key(account: Account, arn: str) -> list[str]:
    parts = arn.split(":")
    if len(parts) < 6 or not parts[5].startswith("key/"):
        return []  # the parameter's pattern says it better
    if parts[3] != account.region:
        return [
            f"The key {arn} is in {parts[3]}, and the chatbot in {account.region}: enter a key of"
            " that region as KmsKeyArn"
        ]
    try:
        found = account.client("kms").describe_key(KeyId=arn)["KeyMetadata"]
    except ClientError as error:
        return [f"AWS does not show the key {arn}: {sentence(error)}"]
    lacks = []
    if found["KeyState"] != "Enabled":
        why = _KEY_STATES.get(found["KeyState"], f"it is {found['KeyState']}")
        lacks.append(f"The key {arn} can't be used: {why}")
    if found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        lacks.append(
            f"The key {arn} is {found['KeySpec']}: enter a symmetric key for encryption as"
            " KmsKeyArn"
        )
    return lacks


def _check_web_acl(account: Account, arn: str) -> list[str]:
    parts = arn.split(":")
    scope, _, rest = parts[-1].partition("/webacl/")
    name, _, id_ = rest.partition("/")
    if len(parts) != 6 or not id_:
        return []  # as above
    details: dict[str, Any] = {"Name": name, "Id": id_}
    details["Scope"] = "CLOUDFRONT" if scope == "global" else "REGIONAL"
    try:
        account.client("wafv2", parts[3]).get_web_acl(**details)
    except ClientError as error:
        return [f"AWS does not show the web ACL {arn}: {sentence(error)}"]
    return []


def _check_bucket(account: Account, name: str) -> list[str]:
    try:
        answer = account.client("s3").get_bucket_location(Bucket=name)
    except ClientError as error:
        if error_code(error) == "AccessDenied":
            return []  # another account's, which only its load balancers need to reach
        return [f"AWS does not show the bucket {name}: {sentence(error)}"]
    region = answer.get("LocationConstraint") or "us-east-1"
    region = "eu-west-1" if region == "EU" else region
    if region != account.region:
        return [
            f"The bucket {name} is in {region}, and a load balancer writes its access logs only to"
            f" its own region: enter one in {account.region} as AccessLogBucket"
        ]
    return []
