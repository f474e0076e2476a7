"""What happens is seen, and a deployment that fails is taken back."""

import json
import re
from collections.abc import Mapping
from typing import Any

from support.paths import TEMPLATE
from support.stack_parts import container, names_of, variables
from support.stacks import Infrastructure, RenderedStack


def test_a_deployment_that_fails_is_taken_back_while_the_old_tasks_go_on(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        service = stack["Service"]
        deployment = service["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        alarms = deployment["Alarms"]
        assert (alarms["Enable"], alarms["Rollback"]) == (True, True)
        assert {*names_of(alarms["AlarmNames"])} == {"UnhealthyTasksAlarm", "ServerErrorsAlarm"}
        assert deployment["MinimumHealthyPercent"] == 100
        assert deployment["MaximumPercent"] == 200
        assert service["HealthCheckGracePeriodSeconds"] >= 30


# What the metrics of answers are called: tests/test_metrics.py of the project has the same names.
SEARCH = re.compile(
    r"""SEARCH\('\{Chatbot,Model,Stack\} MetricName="(?P<name>\w+)" Stack="(?P<stack>[^"]+)"',"""
    r""" '(Sum|p90)', 300\)"""
)


def attributes(resource: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in resource[f"{kind}Attributes"]}


def test_a_visitor_stays_with_a_task_and_long_answers_are_not_cut_off(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        group = attributes(stack["TargetGroup"], "TargetGroup")
        assert group["stickiness.enabled"] == "true"
        assert group["stickiness.type"] == "lb_cookie"
        balancer = attributes(stack["LoadBalancer"], "LoadBalancer")
        assert int(balancer["idle_timeout.timeout_seconds"]) == 3600
        delay = int(group["deregistration_delay.timeout_seconds"])
        assert delay > container(stack)["StopTimeout"] >= 10


def test_a_task_goes_on_until_the_load_balancer_has_turned_to_others_and_then_has_time_to_end(
    stacks: list[RenderedStack],
) -> None:
    release = seconds_in("answers.py", "RELEASE_TIMEOUT")
    close = seconds_in("web/shutdown.py", "CLOSE_TIMEOUT")
    for stack in stacks:
        group = stack["TargetGroup"]
        interval, timeout = group["HealthCheckIntervalSeconds"], group["HealthCheckTimeoutSeconds"]
        assert timeout < interval  # the load balancer refuses anything else
        drain = int(variables(stack)["CHATBOT_DRAIN_SECONDS"])
        assert drain > interval * group["UnhealthyThresholdCount"] + timeout
        assert 120 >= container(stack)["StopTimeout"] > drain + release + close  # Fargate's limit


def seconds_in(module: str, name: str) -> float:
    """Return a constant of the chatbot."""
    code = (TEMPLATE / "chatbot" / module).read_text(encoding="utf-8")
    [value] = re.findall(rf"^{name} = ([0-9.]+)\b", code, re.MULTILINE)
    return float(value)


def test_logs_are_kept_as_long_as_the_team_says(structures: list[Infrastructure]) -> None:
    for each in structures:
        for days in each.template["Parameters"]["LogDays"]["AllowedValues"]:
            stack = each.create(LogDays=str(days))
            [group] = stack.of("Logs::LogGroup").values()
            assert group["RetentionInDays"] == str(days)
        logs = container(stack)["LogConfiguration"]
        assert logs["LogDriver"] == "awslogs"
        assert logs["Options"]["awslogs-group"] == "${LogGroup}"
        assert logs["Options"]["mode"] == "non-blocking"
        for value in ("disabled", "enabled"):  # the first one without being asked
            given = {} if value == "disabled" else {"ContainerInsights": value}
            [setting] = each.create(**given)["Cluster"]["ClusterSettings"]
            assert setting == {"Name": "containerInsights", "Value": value}


def test_every_alarm_reaches_the_address_that_was_given(stacks: list[RenderedStack]) -> None:
    metrics = {
        ("AWS/ApplicationELB", "UnHealthyHostCount"),
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
        ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"),
        ("AWS/ECS", "CPUUtilization"),
        ("AWS/ECS", "MemoryUtilization"),
        ("AWS/EFS", "PercentIOLimit"),
    }
    for stack in stacks:
        alarms = stack.of("CloudWatch::Alarm").values()
        assert {(each["Namespace"], each["MetricName"]) for each in alarms} == metrics
        assert {each["TreatMissingData"] for each in alarms} == {"notBreaching"}
        assert all(each["AlarmDescription"] for each in alarms)
        told = {str(each.get(key)) for each in alarms for key in ("AlarmActions", "OKActions")}
        assert told == {"['${AlarmTopic}']"}
        [topic] = stack.of("SNS::Topic").values()
        address = stack.parameters["AlarmEmail"]
        subscribed = {"Subscription": [{"Protocol": "email", "Endpoint": address}]}
        assert topic == (subscribed if address else {})


def test_the_dashboard_shows_this_stack(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        widgets = json.loads(stack["Dashboard"]["DashboardBody"])["widgets"]
        assert len(widgets) == 10
        # Without a place, each is put into the next one that is free, in two columns of 24.
        assert {widget["width"] for widget in widgets} == {12}
        assert not any({"x", "y"} & set(widget) for widget in widgets)
        assert {widget["properties"]["region"] for widget in widgets} == {"us-east-1"}
        shown = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
        namespaces = {metric[0] for metric in shown if isinstance(metric[0], str)}
        assert namespaces - {"."} == {"AWS/ApplicationELB", "AWS/ECS", "AWS/EFS"}
        found = {SEARCH.fullmatch(metric[0]["expression"]) for metric in shown if len(metric) == 1}
        assert {(each["stack"], each["name"]) for each in found if each} == {
            (variables(stack)["CHATBOT_METRICS"], name)
            for name in ("InputTokens", "OutputTokens", "Cost", "FirstWord", "Failures")
        }
