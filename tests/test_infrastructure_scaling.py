"""There are as many tasks as are needed: by load, by office hours, or a fixed number."""

from support.stacks import RenderedStack


def test_the_number_of_tasks_is_left_to_autoscaling_where_there_is_any(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        scaled = stack.of("ApplicationAutoScaling::ScalableTarget")
        if stack.infrastructure.options["use_autoscaling"]:
            assert "DesiredCount" not in stack["Service"]
            [target] = scaled.values()
            assert target["ResourceId"] == "service/${Cluster}/${Service.Name}"
            assert target["ScalableDimension"] == "ecs:service:DesiredCount"
            assert (target["MinCapacity"], target["MaxCapacity"]) == ("2", "4")
        else:
            assert stack["Service"]["DesiredCount"] == "2"
            assert not scaled


def test_tasks_follow_cpu_and_memory_up_soon_and_down_late(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        followed = {}
        for policy in stack.of("ApplicationAutoScaling::ScalingPolicy").values():
            assert policy["ScalingTargetId"] == "${ScalableTarget}"
            rule = policy["TargetTrackingScalingPolicyConfiguration"]
            metric = rule["PredefinedMetricSpecification"]["PredefinedMetricType"]
            followed[metric] = rule["TargetValue"]
            assert rule["ScaleOutCooldown"] < rule["ScaleInCooldown"]
        metrics = {"ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"}
        assert set(followed) == (
            metrics if stack.infrastructure.options["use_autoscaling"] else set()
        )
        assert all(50 <= target <= 80 for target in followed.values())


def test_office_hours_are_kept_only_where_a_time_zone_is_named(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        for target in stack.of("ApplicationAutoScaling::ScalableTarget").values():
            if not stack.parameters["TimeZone"]:
                assert "ScheduledActions" not in target
                continue
            told = {}
            for action in target["ScheduledActions"]:
                assert action["Timezone"] == "Europe/Berlin"
                told[action["Schedule"]] = tuple(action["ScalableTargetAction"].values())
            assert told == {
                "cron(0 6 ? * MON-FRI *)": ("2", "4"),
                "cron(0 21 ? * MON-FRI *)": ("0", "0"),
            }
