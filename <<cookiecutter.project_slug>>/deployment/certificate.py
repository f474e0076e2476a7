"""The certificate for the team's own domain name: whether browsers would accept it."""

from botocore.exceptions import ClientError

from deployment.account import Account, sentence

_STATES = {
    "PENDING_VALIDATION": "it waits until the DNS record exists that ACM shows in the console",
    "EXPIRED": "it has expired; request a new one",
    "VALIDATION_TIMED_OUT": "ACM saw no DNS record within 72 hours; request a new one",
    "FAILED": "ACM could not issue it; its page in the console says why",
    "REVOKED": "it was revoked; request a new one",
    "INACTIVE": "it is inactive",
}


def check_certificate(account: Account, arn: str, domain: str) -> list[str]:
    """Return what is wrong with a certificate in ACM for a domain name."""
    region = arn.split(":")[3] if arn.count(":") >= 5 else ""
    if not arn.startswith("arn:") or not region:
        return []  # the parameter's pattern says it better
    try:
        answer = account.client("acm", region).describe_certificate(CertificateArn=arn)
    except ClientError as error:
        return [f"AWS does not show the certificate {arn}: {sentence(error)}"]
    details = answer["Certificate"]
    lacks = []
    if details["Status"] != "ISSUED":
        why = _STATES.get(details["Status"], f"it is {details['Status']}")
        lacks.append(f"The certificate {arn} can't be used: {why}")
    names = [details["DomainName"], *details.get("SubjectAlternativeNames", ())]
    wildcard = f"*.{domain.partition('.')[2]}"
    if domain and domain.lower() not in names and wildcard.lower() not in names:
        lacks.append(
            f"The certificate {arn} is not for {domain}, but for {', '.join(dict.fromkeys(names))}"
        )
    return lacks
