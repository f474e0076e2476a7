"""What to do about failures that AWS explains only to those who know it."""

import re

# By words in AWS's reasons, which are nowhere documented: they are quoted from public reports.
_ADVICE = {
    r"account must be verified": "AWS has not verified this account for CloudFront yet, as happens"
    ' with new accounts. Open a case with AWS Support ("Account and billing") with the sentence'
    " above; until then, you can deploy without CloudFront.",
    r"explicit deny in a service control policy|with an explicit deny": "A policy of your"
    " organization denies this. Ask those who administer AWS Organizations to allow the action"
    " named above in this region.",
    r"perform: iam:(Create|Put|Delete)Role": "GitHub's roles may change roles only within their"
    " permissions boundary; PERMISSIONS_BOUNDARY_ARN must name it. See docs/github.md. In other"
    " cases, ask those who gave you the credentials to allow the action named above.",
    r"use case details": "Submit Anthropic's form once: in the console of Amazon Bedrock, open the"
    " model catalog, and choose one of its models.",
    r"aws-marketplace": "Nobody has subscribed the account to this model yet. A person who may"
    " subscribe in AWS Marketplace has to ask it something in the console's playground once.",
    r"on-demand throughput": "Name an inference profile in models.toml, such as us. or eu. before"
    " the model's ID.",
    r"is not authorized to perform|not authorized to access|AccessDenied": "The credentials, or the"
    " role that CloudFormation uses, may not do this. Ask those who gave you them to allow the"
    " action named above.",
    r"Access Denied for bucket": "Load balancers may not write to this bucket. Its policy must let"
    " logdelivery.elasticloadbalancing.amazonaws.com put objects, as in infra/access-logs.yml.",
    r"not allowed to be used with": "The key's policy must let CloudWatch Logs use it:"
    " docs/harden.md has the statement.",
    r"maximum number of|LimitExceeded|limit exceeded|has been reached|quota": "A quota of the"
    " account is used up. Delete what is no longer needed, or ask for more in the console, under"
    " Service Quotas.",
    r"subnets?.*(not supported|unsupported).*availability zone|availability zone.*not support": "A"
    " subnet is in an Availability Zone that AWS does not support for this. Choose subnets in other"
    " ones.",
}


def advise(reason: str) -> str:
    """Return what to do, on a line of its own, or "" if nothing better is known than the reason."""
    for words, advice in _ADVICE.items():
        if re.search(words, reason, re.IGNORECASE):
            return f"\n{advice}"
    return ""
