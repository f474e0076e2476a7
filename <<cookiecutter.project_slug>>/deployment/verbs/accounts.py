"""Who may sign in, where the stack has a user pool: invite a person, and remove one."""

from typing import Any

from deployment.account import accepting
from deployment.console import begin, command, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.stacks import Stack


def invite(context: Context) -> None:
    """Invite a person by e-mail; again, if they have not signed in yet. Put them into a group."""
    options, email = context.options, context.options.email
    stack = context.require_stack()
    pool = require_pool(stack)
    found = _find(context, pool)
    state = found.get("UserStatus", "")
    if options.dry_run:
        again, group = ("again " if found else ""), options.group
        into = f" into the group {group}" if group else ""
        say(f"Would {again}invite {email}{into}; nothing was changed")
        return
    cognito = context.account.client("cognito-idp")
    user = {"UserPoolId": pool, "Username": email}
    if state in ("", "FORCE_CHANGE_PASSWORD"):  # is new, or has not signed in yet
        begin(f"Inviting {email}", "The invitation may have been sent.")
        attributes = {"email": email, "email_verified": "true"}
        details: dict[str, Any] = {"MessageAction": "RESEND"}
        if not found:
            pairs = [{"Name": name, "Value": value} for name, value in attributes.items()]
            details = {"UserAttributes": pairs}
        cognito.admin_create_user(**user, DesiredDeliveryMediums=["EMAIL"], **details)
        address = stack.outputs["Address"]
        say(f"{email} gets an e-mail with a password that is valid for 7 days, for {address}")
    else:
        say(f"{email} has signed in before, and needs no invitation")
    if options.group:
        with accepting("GroupExistsException"):
            cognito.create_group(UserPoolId=pool, GroupName=options.group)
        cognito.admin_add_user_to_group(**user, GroupName=options.group)
        say(f"{email} is in the group {options.group}")


def remove(context: Context) -> None:
    """Let a person sign in no more."""
    email = context.options.email
    pool = require_pool(context.require_stack())
    subject = find_subject(context, pool)
    if context.options.dry_run:
        say(f"Would remove {email}, whose subject is {subject}; nothing was changed")
        return
    context.account.client("cognito-idp").admin_delete_user(UserPoolId=pool, Username=email)
    say(f"{email} can sign in no more; who is signed in stays so for SignInHours at most.")
    erase = command("people", "erase", "--subject", subject)
    say(f"The chats are kept. To delete them: {erase}")


def require_pool(stack: Stack) -> str:
    """Return the ID of the stack's user pool. Raises DeploymentError."""
    pool = stack.outputs.get("UserPoolId")
    if not pool:
        raise DeploymentError(f"The stack {stack.name} has no user pool yet; it is {stack.status}.")
    return pool


def find_subject(context: Context, pool: str) -> str:
    """Return what the chatbot knows the person by. Raises DeploymentError if there is nobody."""
    attributes = _find(context, pool).get("UserAttributes", [])
    for each in attributes:
        if each["Name"] == "sub":
            return str(each["Value"])
    raise DeploymentError(f"There is no {context.options.email} in the user pool {pool}.")


def _find(context: Context, pool: str) -> dict[str, Any]:
    """Return the person's account, or {}."""
    cognito = context.account.client("cognito-idp")
    with accepting("UserNotFoundException"):
        found: dict[str, Any] = cognito.admin_get_user(
            UserPoolId=pool, Username=context.options.email
        )
        return found
    return {}
