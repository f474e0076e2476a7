"""Who may use the chatbot: the tasks know who says so, and nothing of a way that was not chosen."""

import json
import re
from uuid import UUID

import pytest

from support.cloudformation import RefusedError, walk
from support.options import NOTHING_BY_DEFAULT, VALUES
from support.rendering import Bake
from support.stack_parts import secrets, statements, variables
from support.stacks import REQUIRED, Infrastructure, RenderedStack

SETTINGS = {  # for the tasks, wherever people sign in
    "CHATBOT_ADDRESS",
    "CHATBOT_ADMIN_GROUPS",
    "CHATBOT_SIGN_IN_CLIENT_ID",
    "CHATBOT_SIGN_IN_GROUPS",
    "CHATBOT_SIGN_IN_HOURS",
    "CHATBOT_SIGN_IN_METADATA_URL",
}
COGNITO = re.compile(r"(?i:cognito|user ?pool)")
OIDC = re.compile(r"Oidc(MetadataUrl|Client)|OpenID Connect|\b(Okta|Entra)\b")
ANY = re.compile(rf"{COGNITO.pattern}|{OIDC.pattern}|SignIn|SIGN_IN|invite")
METADATA = "/.well-known/openid-configuration"


def test_tasks_know_their_address_and_who_signs_people_in(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        given = variables(stack)
        assert given["CHATBOT_DAILY_TOKENS"] == "0"
        if not stack.infrastructure.signs_in:
            assert not SETTINGS & set(given)
            assert [each["Name"] for each in secrets(stack)] == ["STREAMLIT_SERVER_COOKIE_SECRET"]
            continue
        assert set(given) >= SETTINGS
        assert given["CHATBOT_ADDRESS"] == stack.outputs["Address"]
        assert re.fullmatch(r"https://[^/]+", given["CHATBOT_ADDRESS"])
        assert given["CHATBOT_SIGN_IN_HOURS"] == "12"
        assert given["CHATBOT_SIGN_IN_GROUPS"] == given["CHATBOT_ADMIN_GROUPS"] == ""
        if stack.infrastructure.cognito:
            pool = stack.parameters["UserPoolId"] or "${UserPool}"
            issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{pool}"
            client = "${UserPoolClient}"
        else:
            issuer = "https://login.example.com/team"
            client = "0oa1-client"
        assert given["CHATBOT_SIGN_IN_METADATA_URL"] == issuer + METADATA
        assert given["CHATBOT_SIGN_IN_CLIENT_ID"] == client
        assert stack.outputs["Issuer"] == issuer


def test_what_a_team_says_of_people_reaches_the_tasks(structures: list[Infrastructure]) -> None:
    chosen = {"SignInHours": "8", "SignInGroups": "staff legal-team", "AdminGroups": "admins"}
    for each in structures:
        if not each.signs_in:
            assert not set(chosen) & set(each.template["Parameters"])
            chosen_here = {}
        else:
            chosen_here = chosen
        given = variables(each.create(DailyTokens="50000", **chosen_here))
        assert given["CHATBOT_DAILY_TOKENS"] == "50000"
        if each.signs_in:
            assert given["CHATBOT_SIGN_IN_HOURS"] == "8"
            assert given["CHATBOT_SIGN_IN_GROUPS"] == "staff legal-team"
            assert given["CHATBOT_ADMIN_GROUPS"] == "admins"


def test_only_ecs_itself_may_read_the_client_secret(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        if not stack.infrastructure.signs_in:
            continue
        cognito = stack.infrastructure.cognito
        secret = "${ClientSecret}" if cognito else REQUIRED["OidcClientSecretArn"]
        assert secrets(stack)[1] == {
            "Name": "CHATBOT_SIGN_IN_CLIENT_SECRET",
            "ValueFrom": secret,
        }
        readers = {
            name
            for name, role in stack.of("IAM::Role").items()
            for _, value in walk(role["Policies"])
            if value == secret
        }
        assert readers == {"ExecutionRole"}
        [reading] = [one for one in statements(stack) if secret in one["Resource"]]
        assert reading["Action"] == ["secretsmanager:GetSecretValue"]
        if cognito:
            assert stack["ClientSecret"]["SecretString"] == "${UserPoolClient.ClientSecret}"


def test_cognito_sends_people_back_to_the_address_only(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        if not stack.infrastructure.cognito:
            continue
        address, client = stack.outputs["Address"], stack["UserPoolClient"]
        assert client["CallbackURLs"] == [f"{address}/oauth2callback"]
        assert client["LogoutURLs"] == [f"{address}/"]
        assert client["AllowedOAuthFlows"] == ["code"]
        assert client["AllowedOAuthFlowsUserPoolClient"] is client["GenerateSecret"] is True
        assert {"openid", "email"} <= set(client["AllowedOAuthScopes"])
        assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_only_people_who_were_invited_are_in_the_pool(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        for pool in stack.of("Cognito::UserPool").values():
            invited = pool["AdminCreateUserConfig"]
            assert invited["AllowAdminCreateUserOnly"] is True
            mail = invited["InviteMessageTemplate"]
            assert "Team Chatbot" in mail["EmailSubject"]
            # What follows a password or an address could be taken for a part of it.
            assert "{username} " in mail["EmailMessage"] and "{####} " in mail["EmailMessage"]
            assert f"{stack.outputs['Address']} " in mail["EmailMessage"]
            assert pool["UsernameAttributes"] == pool["AutoVerifiedAttributes"] == ["email"]
            assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
            [recovery] = pool["AccountRecoverySetting"]["RecoveryMechanisms"]
            assert recovery["Name"] == "verified_email"
            assert pool["MfaConfiguration"] == "OPTIONAL"
            assert pool["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]
            assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12


def test_the_managed_login_has_a_domain_that_nobody_else_has(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        if not stack.infrastructure.cognito:
            continue
        domain = stack["UserPoolDomain"]
        prefix, _, unique = domain["Domain"].partition("-")
        assert (prefix, str(UUID(unique))) == ("chatbot", unique)
        assert unique in stack.id
        assert domain["ManagedLoginVersion"] == 2
        assert stack["ManagedLoginBranding"]["ClientId"] == "${UserPoolClient}"
        assert stack["ManagedLoginBranding"]["UseCognitoProvidedValues"] is True
        assert "UserPoolDomain" in stack.before("ManagedLoginBranding")


def test_the_people_outlive_the_stack_and_a_new_one_can_have_them(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if not stack.infrastructure.cognito:
            continue
        adopted = stack.parameters["UserPoolId"]
        assert bool(stack.of("Cognito::UserPool")) is not bool(adopted)
        users = ("UserPoolDomain", "UserPoolClient", "ManagedLoginBranding")
        ids = {stack[name]["UserPoolId"] for name in users} | {stack.outputs["UserPoolId"]}
        assert ids == {adopted or "${UserPool}"}
        if adopted:
            assert "${UserPool}" not in json.dumps([stack.resources, stack.outputs])
        else:
            kept = stack.resources["UserPool"]
            assert kept["DeletionPolicy"] == "RetainExceptOnCreate"  # then nobody is in it
            assert kept["UpdateReplacePolicy"] == "Retain"


def test_without_https_nobody_can_sign_in(structures: list[Infrastructure]) -> None:
    for each in structures:
        if each.needs_certificate:
            with pytest.raises(RefusedError, match="set DomainName and CertificateArn"):
                each.create(CertificateArn="", DomainName="")
        else:
            assert each.create(CertificateArn="", DomainName="")


@pytest.mark.parametrize("sign_in", VALUES["sign_in"])
@pytest.mark.parametrize("options", [{}, NOTHING_BY_DEFAULT], ids=["default", "other"])
def test_a_project_has_only_what_was_chosen(
    bake: Bake, sign_in: str, options: dict[str, str]
) -> None:
    project = bake(**options | {"sign_in": sign_in})
    other = {"Amazon Cognito": OIDC, "OpenID Connect": COGNITO, "none": ANY}[sign_in]
    for name in project.files():
        # The Python is the same in every project, and so are its sentences and what it needs.
        same = name.startswith(("languages/", "lean/", "requirements"))
        if not name.endswith((".py", ".js", ".css")) and not same:
            found = other.search(project.read(name))
            assert not found, f"{name}: {found and found[0]}"
