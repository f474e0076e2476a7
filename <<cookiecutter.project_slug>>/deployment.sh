#!/usr/bin/env bash
# Deploys the chatbot to AWS and operates it there: ./deployment.sh --help
#
# Needs bash 3.2 or newer (macOS has 3.2), AWS CLI v2, docker with buildx, and git.
# You can run any verb again after a failure: it continues from what it finds.
# Progress goes to stderr; stdout has only the result, such as the address.
set -euo pipefail
<% set cognito, sign_in = cookiecutter.sign_in == "Amazon Cognito", cookiecutter.sign_in != "none" %>
<% set kept = '"$files$pools"' if cognito else '"$files"' %>
<% set to_adopt = 'FileSystemId "$files" UserPoolId "$pools"' if cognito else 'FileSystemId "$files"' %>
<% if sign_in %>
here=$PWD
<% endif %>
cd "$(dirname "${BASH_SOURCE[0]}")"

usage="Usage: ./deployment.sh [verb] [options]

Verbs:
  deploy          deploy this commit, create what is missing, and print the address (the default)
  status          show what is running, and what is wrong with it
  logs            show the logs of the last hour
  rollback [TAG]  return to the image pushed before the current one, or to the one with that tag
<% if cognito %>
  invite E-MAIL   invite a person; again, if the person has not signed in yet
  remove E-MAIL   let a person sign in no more
  people list     show everyone who has asked something
  people find|export|erase E-MAIL
                  show, save or delete all that is kept about a person
  destroy         delete everything except the conversations and the people
<% elif sign_in %>
  people list     show everyone who has asked something
  people find|export|erase --subject SUBJECT
                  show, save or delete all that is kept about a person
  destroy         delete everything except the conversations
<% else %>
  destroy         delete everything except the conversations
<% endif %>

Options:
  --stack-name NAME  the stack; by default STACK_NAME, or << cookiecutter.project_slug >>
  --region REGION    the AWS region; by default AWS_REGION, AWS_DEFAULT_REGION, or << cookiecutter.aws_region >>
  --profile NAME     the AWS profile with the credentials; by default AWS_PROFILE
  --role-arn ARN     the role for CloudFormation to use; by default CLOUDFORMATION_ROLE_ARN, or none
  --dry-run          deploy, rollback, destroy<< ", invite, remove, people" if cognito else ", people" if sign_in else "" >>: run the checks and show each step, but change nothing
  --allow-dirty      deploy: include uncommitted changes, under an image tag that says so
  --yes              deploy: allow the file system to be replaced; destroy<< ", people erase" if sign_in else "" >>: do not ask
  -f, --follow       logs: keep printing new lines
<% if cognito %>
  --group NAME       invite: also put the person into this group, which is made if it does not exist
  --subject SUBJECT  people: the person's subject in the user pool, in place of the e-mail address
  --issuer ISSUER    people: an earlier issuer of the subject; by default the one of the stack
  --keep-data        destroy: keep the conversations and the user pool (the default)
  --delete-data      destroy: delete the file system with the conversations and the user pool too
<% else %>
<% if sign_in %>
  --subject SUBJECT  people: the provider's ID for the person, as people list shows it
  --issuer ISSUER    people: an earlier issuer of the subject; by default the one of the stack
<% endif %>
  --keep-data        destroy: keep the file system with the conversations (the default)
  --delete-data      destroy: delete the file system too
<% endif %>
  -h, --help         show this help"

verb="" wanted_tag="" options=""
<% if cognito %>
action="" email="" group="" subject="" issuer=""
<% elif sign_in %>
action="" subject="" issuer=""
<% endif %>
stack=${STACK_NAME:-<< cookiecutter.project_slug >>}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-<< cookiecutter.aws_region >>}}
role_arn=${CLOUDFORMATION_ROLE_ARN:-}
platform=linux/<< "arm64" if cookiecutter.cpu_architecture == "arm64" else "amd64" >>
dry_run="" allow_dirty="" yes="" follow="" keep_data="" delete_data=""

poll_seconds=${POLL_SECONDS:-5}
tab=$'\t' newline=$'\n'
state="Nothing was changed." # what an interruption leaves behind
explained=""                 # whether the reason for a failure has been shown
errors=$(mktemp)
<% if sign_in %>
output=$(mktemp) # what a task has said, which may be a person's chats
<% endif %>

# Messages, and how the script ends.

say() { printf '> %s\n' "$1" >&2; }

die() {
  printf 'deployment.sh: %s\n' "$1" >&2
  explained=yes
  exit 1
}

misuse() {
  printf 'deployment.sh: %s\n' "$1" >&2
  exit 2
}

# Say what begins now, and remember what an interruption would leave behind.
begin() {
  say "$1"
  state=$2
}

leave() {
  local code=$?
  rm -f "$errors"<< ' "$output"' if sign_in else "" >>
  case $code in
    0 | 2) exit "$code" ;;
    130 | 143)
      say "Interrupted. $state Run the same command again to continue."
      exit "$code"
      ;;
  esac
  [ -n "$explained" ] || say "Stopped by the error above. $state Run the same command again to continue."
  exit 1
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The command line.

parse() {
  local word
  while [ $# -gt 0 ]; do
    word=$1
    shift
    case $word in
      --stack-name=* | --region=* | --profile=* | --role-arn=*<< " | --group=*" if cognito else "" >><< " | --subject=* | --issuer=*" if sign_in else "" >>)
        set -- "${word#*=}" "$@"
        word=${word%%=*}
        ;;
    esac
    case $word in
      --stack-name | --region | --profile | --role-arn<< " | --group" if cognito else "" >><< " | --subject | --issuer" if sign_in else "" >>)
        case ${1:-} in "" | -*) misuse "$word needs a value; --help shows how." ;; esac
        case $word in
          --stack-name) stack=$1 ;;
          --region) region=$1 ;;
          --profile) export AWS_PROFILE=$1 ;;
          --role-arn) role_arn=$1 ;;
<% if cognito %>
          --group) group=$1 options="$options $word" ;;
<% endif %>
<% if sign_in %>
          --subject) subject=$1 options="$options $word" ;;
          --issuer) issuer=$1 options="$options $word" ;;
<% endif %>
        esac
        shift
        ;;
      --dry-run) dry_run=yes options="$options $word" ;;
      --allow-dirty) allow_dirty=yes options="$options $word" ;;
      --yes) yes=yes options="$options $word" ;;
      -f | --follow) follow=yes options="$options $word" ;;
      --keep-data) keep_data=yes options="$options $word" ;;
      --delete-data) delete_data=yes options="$options $word" ;;
      -h | --help | help)
        printf '%s\n' "$usage"
        exit
        ;;
      -*) misuse "There is no option $word; --help lists the options." ;;
      deploy | status | logs | rollback | destroy<< " | invite | remove" if cognito else "" >><< " | people" if sign_in else "" >>)
        [ -z "$verb" ] || misuse "One verb at a time: $verb or $word?"
        verb=$word
        ;;
      *)
        if [ "$verb" = rollback ] && [ -z "$wanted_tag" ]; then
          wanted_tag=$word
<% if sign_in %>
        elif [ "$verb" = people ] && [ -z "$action" ]; then
          action=$word
<% endif %>
<% if cognito %>
        elif [[ $verb =~ ^(invite|remove|people)$ ]] && [ -z "$email" ]; then
          email=$word
<% endif %>
        elif [ -n "$verb" ]; then
          misuse "$verb does not know what to do with \"$word\"; --help shows how."
        else
          misuse "There is no verb \"$word\"; use deploy, status, logs, rollback<< ", invite, remove" if cognito else "" >><< ", people" if sign_in else "" >> or destroy."
        fi
        ;;
    esac
  done
  verb=${verb:-deploy}
  check_command_line
}

check_command_line() {
  local option
  for option in $options; do
    case "$verb $option" in
      deploy\ --dry-run | deploy\ --allow-dirty | deploy\ --yes | logs\ -f | logs\ --follow) ;;
      rollback\ --dry-run | destroy\ --dry-run | destroy\ --yes | destroy\ --*-data) ;;
<% if cognito %>
      invite\ --group | invite\ --dry-run | remove\ --dry-run) ;;
<% endif %>
<% if sign_in %>
      people\ --subject | people\ --issuer | people\ --dry-run) ;;
      people\ --yes) [ "$action" = erase ] || misuse "people $action has no option --yes; it deletes nothing." ;;
<% endif %>
      *) misuse "$verb has no option $option; --help shows which verb has it." ;;
    esac
  done
  [ -z "$keep_data" ] || [ -z "$delete_data" ] || misuse "Either --keep-data or --delete-data, not both."
  if ! [[ $stack =~ ^[a-zA-Z][a-zA-Z0-9-]{0,118}$ ]]; then # "-registry" adds nine characters; 128 are allowed
    misuse "A stack can't be named \"$stack\"; use a letter, then letters, digits and hyphens, 119 characters at most."
  fi
  [[ $region =~ ^[a-z]+(-[a-z]+)+-[0-9]+$ ]] || misuse "\"$region\" is not an AWS region; for example: eu-central-1."
  [[ $poll_seconds =~ ^[0-9]+(\.[0-9]+)?$ ]] || misuse "POLL_SECONDS must be a number of seconds, not \"$poll_seconds\"."
<% if sign_in %>
  check_person
<% endif %>
}
<% if sign_in %>

check_person() {
<% if cognito %>
  local address='^[^@[:space:]]+@[^@[:space:]]+$' word='^[^[:space:]"\\]+$' each
  case $verb in
    invite | remove)
      [[ $email =~ $address ]] || misuse "$verb needs an e-mail address, such as ann@example.com."
      ;;
    people)
      [[ $action =~ ^(list|find|export|erase)$ ]] || misuse "people needs one of list, find, export and erase; --help shows how."
      [ -z "$email" ] || [[ $email =~ $address ]] || misuse "\"$email\" is not an e-mail address; for example: ann@example.com."
      [ "$action" != list ] || [ -z "$email$subject" ] || misuse "people list shows everyone, and takes no person."
      [ "$action" = list ] || [ -n "$email$subject" ] || misuse "people $action needs an e-mail address, or --subject if the person was removed."
      [ -z "$email" ] || [ -z "$subject" ] || misuse "Either an e-mail address or --subject, not both."
      ;;
  esac
  for each in "$group" "$subject" "$issuer"; do
<% else %>
  local word='^[^[:space:]"\\]+$' each
  if [ "$verb" = people ]; then
    [[ $action =~ ^(list|find|export|erase)$ ]] || misuse "people needs one of list, find, export and erase; --help shows how."
    [ "$action" != list ] || [ -z "$subject" ] || misuse "people list shows everyone, and takes no person."
    [ "$action" = list ] || [ -n "$subject" ] || misuse "people $action needs --subject, which people list shows."
  fi
  for each in "$subject" "$issuer"; do
<% endif %>
    [ -z "$each" ] || [[ $each =~ $word ]] || misuse "\"$each\" must have no spaces, quotes or backslashes."
  done
}
<% endif %>

# Checks, which list everything that is missing at once.

missing=""
account=""
lacks() { missing="$missing$newline  - $1"; }

check_aws() {
  local version
  if ! command -v aws >/dev/null; then
    lacks "AWS CLI v2 is not installed: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
    return
  fi
  version=$(aws --version 2>&1) || true
  case $version in
    aws-cli/2.*) ;;
    *) lacks "AWS CLI v2 is required, but the aws command is ${version%% *}" ;;
  esac
  if ! account=$(aws sts get-caller-identity --query Account 2>"$errors"); then
    account=""
    lacks "AWS does not accept the credentials: $(said). Sign in, for example with: aws sso login${AWS_PROFILE:+ --profile $AWS_PROFILE}"
  fi
}

# Print the last line of the last command's errors, without its full stop.
said() { sed -n '/./h; ${ x; s/\.$//; p; }' "$errors"; }

check_docker() {
  if ! command -v docker >/dev/null; then
    lacks "docker is not installed: https://docs.docker.com/get-docker/"
    return
  fi
  docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
    lacks "docker's daemon does not answer: start Docker Desktop, or run: sudo systemctl start docker"
  docker buildx version >/dev/null 2>&1 ||
    lacks "docker has no buildx: https://docs.docker.com/build/install-buildx/"
}

# Choose the image's tag: the commit, so that the tag shows what is running.
check_git() {
  local commit changes
  tag=""
  if ! command -v git >/dev/null; then
    lacks "git is not installed: https://git-scm.com/downloads"
    return
  fi
  if ! commit=$(git rev-parse --verify HEAD 2>"$errors"); then
    tag=local-$(date -u +%Y%m%d%H%M%S)
    [ -n "$allow_dirty" ] ||
      lacks "There is no git commit here ($(said)): commit first, or deploy a trial with --allow-dirty"
    return
  fi
  tag=${commit:0:12}
  changes=$(git status --porcelain -- .)
  [ -n "$changes" ] || return 0
  tag=$tag-dirty-$(date -u +%Y%m%d%H%M%S)
  [ -n "$allow_dirty" ] ||
    lacks "Some changes are not committed: commit them (git status lists them), or deploy a trial with --allow-dirty"
}

check_files() {
  local file
  for file in Dockerfile infra/registry.yml infra/template.yml infra/parameters.json infra/tags.json; do
    [ -f "$file" ] || lacks "The file $file is missing"
  done
  # The remaining checks need AWS and these files.
  case "$account $missing" in " "* | *"The file "*) return 0 ;; esac
<% if cookiecutter.use_cloudfront %>
  prefix_list=$(aws ec2 describe-managed-prefix-lists --query 'PrefixLists[0].PrefixListId' \
    --filters Name=prefix-list-name,Values=com.amazonaws.global.cloudfront.origin-facing)
  [ "$prefix_list" != None ] || lacks "CloudFront publishes no list of its addresses in $region"
<% endif %>
<% if cookiecutter.network == "new VPC" %>
  choose_zones
<% endif %>
<% if sign_in and not cookiecutter.use_cloudfront %>
  grep -q ':acm:.*:certificate/' infra/parameters.json ||
    lacks "To sign in, browsers need HTTPS: enter DomainName and its certificate, CertificateArn, in infra/parameters.json"
<% endif %>
  # The CLI generates this skeleton without calling AWS, but only if it can read the lists.
  aws cloudformation create-change-set --generate-cli-skeleton output --stack-name x --change-set-name x \
    --parameters "$(parameters image)" --tags file://infra/tags.json >/dev/null 2>"$errors" ||
    lacks "infra/parameters.json or infra/tags.json is not a list that AWS can read: $(sed '/^$/d; s/^/    /' "$errors")"
  aws cloudformation validate-template --template-body file://infra/template.yml >/dev/null 2>"$errors" ||
    lacks "AWS rejects infra/template.yml: $(said)"
}

<% if cookiecutter.network == "new VPC" %>
# Keep the zones of the stack's subnets, since other ones would replace them, or choose two for a new stack.
<% if cookiecutter.use_cloudfront %>
# CloudFront's VPC origins don't support the zones with these IDs, to which each account gives other names.
<% endif %>
choose_zones() {
  local found
  look_up "$stack"
  zone_a=$(fact ZoneA) zone_b=$(fact ZoneB)
  [ -z "$zone_a" ] || return 0
  found=$(aws ec2 describe-availability-zones --filters Name=zone-type,Values=availability-zone Name=state,Values=available \
    --query "AvailabilityZones[<< "?!contains(['use1-az3', 'usw1-az2', 'apne1-az3', 'cac1-az3'], ZoneId)" if cookiecutter.use_cloudfront else "" >>].[ZoneName]" | sort)
  zone_a=$(printf '%s\n' "$found" | sed -n 1p) zone_b=$(printf '%s\n' "$found" | sed -n 2p)
  [ -n "$zone_b" ] || lacks "$region has fewer than two Availability Zones that the chatbot can use"
}

<% endif %>
check() {
  local each
  for each in "$@"; do "check_$each"; done
  [ -z "$missing" ] || die "Fix this first:$missing"
}

# Print the parameters: those that only a deployment knows, then those in infra/parameters.json.
parameters() {
  local file own list_end='^[[:space:]]*]'
  own="{\"ParameterKey\": \"ImageUri\", \"ParameterValue\": \"$1\"}"
<% if cookiecutter.use_cloudfront %>
  own="$own, {\"ParameterKey\": \"CloudFrontPrefixListId\", \"ParameterValue\": \"$prefix_list\"}"
<% endif %>
<% if cookiecutter.network == "new VPC" %>
  own="$own, {\"ParameterKey\": \"ZoneA\", \"ParameterValue\": \"$zone_a\"}"
  own="$own, {\"ParameterKey\": \"ZoneB\", \"ParameterValue\": \"$zone_b\"}"
<% endif %>
  file=$(cat infra/parameters.json)
  file=${file#*\[}
  [[ $file =~ $list_end ]] || own="$own,"
  printf '[%s%s' "$own" "$file"
}

# Stacks: look one up, and wait for it.

# Run the command after the first argument; treat an error that contains that argument as an empty answer.
ask() {
  local word=$1
  shift
  "$@" 2>"$errors" && return
  grep -q "$word" "$errors" && return
  cat "$errors" >&2
  return 1
}

# Look up a stack's status and ID (both empty if it does not exist), its outputs and its image.
look_up() {
  facts=$(ask "does not exist" aws cloudformation describe-stacks --stack-name "$1" --query "Stacks[0].[
    [['status', StackStatus], ['id', StackId]], Outputs[].[OutputKey, OutputValue],
    Parameters[?ParameterKey=='ImageUri'].['image', ParameterValue],
    Parameters[?starts_with(ParameterKey, 'Zone')].[ParameterKey, ParameterValue],
    Parameters[].['parameter', ParameterKey]][]")
  status=$(fact status)
  id=$(fact id)
}

fact() { printf '%s\n' "$facts" | sed -n "s/^$1$tab//p"; }

events_of() {
  aws cloudformation describe-stack-events --stack-name "$1" --max-items 300 --query "StackEvents[].[
    EventId, Timestamp, ResourceStatus, LogicalResourceId, ResourceType, PhysicalResourceId || '-',
    ResourceStatusReason || '-']"
}

newest_event() {
  aws cloudformation describe-stack-events --stack-name "$1" --no-paginate --query 'StackEvents[0].EventId'
}

# Print the events of the stack $1 after the event $2 as they happen, until the stack has settled.
# Sets status, and reasons for the resources that failed.
follow() {
  local newest=$2 event when what name type physical reason rows row fresh
  status="" reasons=""
  while :; do
    fresh=""
    rows=$(events_of "$1")
    while IFS= read -r row; do # the newest first
      [ "${row%%"$tab"*}" != "$newest" ] || break
      fresh="$row$newline$fresh"
    done < <(printf '%s\n' "$rows")
    while IFS=$tab read -r event when what name type physical reason; do
      [ -n "$reason" ] || continue # the end of the list, or the second line of a reason
      newest=$event
      [ "$reason" != - ] || reason=""
      printf '  %s  %-27s  %s  %s\n' "${when:11:8}" "$what" "$name" "$reason" >&2
      [ "$physical" != "$1" ] || status=$what
      case "$what $reason" in
        *_FAILED\ *cancelled*) ;; # cancelled only because another resource failed
        *_FAILED\ *)
          [ "$physical" = "$1" ] || reasons="$reasons$newline  $name: $reason"
          [ "$type" != AWS::ECS::Service ] || explain_service "$physical"
          ;;
      esac
    done < <(printf '%s' "$fresh")
    case $status in
      "" | *_IN_PROGRESS) sleep "$poll_seconds" ;;
      *) return ;;
    esac
  done
}

# Wait while another operation changes the stack; a change set that was never executed does not count.
wait_for_others() {
  local newest
  look_up "$1"
  case $status in
    REVIEW_IN_PROGRESS) return ;;
    *_IN_PROGRESS) ;;
    *) return ;;
  esac
  if [ -n "$dry_run" ]; then
    say "Would first wait for the stack $1, which is $status"
    return
  fi
  newest=$(newest_event "$id")
  look_up "$1" # again: if the stack settled before newest_event, it shows here
  case $status in
    *_IN_PROGRESS)
      begin "The stack $1 is $status: waiting for it to finish" "AWS continues to change the stack $1."
      follow "$id" "$newest"
      ;;
  esac
  wait_for_others "$1"
}

# Make sure that a stack can be changed; delete one that was never completed.
settle() {
  wait_for_others "$1"
  case $status in
    REVIEW_IN_PROGRESS | CREATE_FAILED | ROLLBACK_COMPLETE | ROLLBACK_FAILED | DELETE_FAILED)
      if [ -z "$dry_run" ]; then
        delete_stack "$1"
      else
        say "Would delete what an earlier attempt left of the stack $1, which is $status"
        status=""
      fi
      ;;
    UPDATE_ROLLBACK_FAILED)
      die "The stack $1 is $status: AWS could not roll back an earlier change. Its events say why:
  aws cloudformation describe-stack-events --region $region --stack-name $1
Fix the cause, then let AWS finish the rollback, and run ./deployment.sh again:
  aws cloudformation continue-update-rollback --region $region --stack-name $1"
      ;;
  esac
}

delete_stack() {
  local newest
  begin "Deleting the stack $1, which is $status" "AWS continues to delete the stack $1."
  newest=$(newest_event "$id")
  aws cloudformation delete-stack --stack-name "$id" ${role_arn:+--role-arn "$role_arn"}
  follow "$id" "$newest"
  [ "$status" = DELETE_COMPLETE ] || die "The stack $1 could not be deleted; it is $status:$reasons
Fix the cause, and run the same command again."
  status=""
}

# Create or change a settled stack: show the change set, execute it and follow it.
# The arguments after the name are passed to create-change-set.
change_stack() {
  local name=$1 type=UPDATE set_id stack_id shown newest what reason
  shift
  [ -n "$status" ] || type=CREATE
  begin "Comparing the stack $name with its template" "The stack $name is unchanged."
  IFS=$tab read -r set_id stack_id < <(aws cloudformation create-change-set --stack-name "$name" \
    --change-set-name "deployment-$(date -u +%Y%m%d%H%M%S)" --change-set-type "$type" \
    --capabilities CAPABILITY_IAM ${role_arn:+--role-arn "$role_arn"} "$@" --query '[Id, StackId]') || exit 1
  while :; do
    shown=$(aws cloudformation describe-change-set --stack-name "$stack_id" --change-set-name "$set_id" --query "[
      [[Status, StatusReason || '-']],
      Changes[].ResourceChange.[Action, LogicalResourceId, ResourceType, Replacement || '-']][]")
    IFS=$tab read -r what reason < <(printf '%s\n' "$shown")
    case $what in
      CREATE_COMPLETE) break ;;
      FAILED)
        aws cloudformation delete-change-set --stack-name "$stack_id" --change-set-name "$set_id"
        case $reason in
          *"didn't contain changes"* | *"No updates are to be performed"*)
            say "Nothing to change in the stack $name"
            return
            ;;
        esac
        die "AWS rejects the change to the stack $name: $reason"
        ;;
    esac
    sleep "$poll_seconds"
  done
  show_changes "$stack_id" "$set_id" "$(printf '%s\n' "$shown" | sed 1d)"
  newest=$(newest_event "$stack_id")
  begin "Changing the stack $name" "AWS continues to change the stack $name; ./deployment.sh status shows the outcome."
  aws cloudformation execute-change-set --stack-name "$stack_id" --change-set-name "$set_id"
  follow "$stack_id" "$newest"
  case $status in
    CREATE_COMPLETE | UPDATE_COMPLETE) return ;;
    UPDATE_ROLLBACK_COMPLETE) die "The change to the stack $name failed and was rolled back; the previous version keeps running. What failed:$reasons" ;;
    ROLLBACK_COMPLETE) die "The stack $name could not be created, so its resources were deleted. What failed:$reasons" ;;
    *) die "The change to the stack $name failed; it is $status. What failed:$reasons" ;;
  esac
}

# Show the changes as a table; refuse to replace the file system that holds the conversations<< ", or the user pool" if cognito else "" >>.
show_changes() {
  local action name type replacement lost=""
  printf '  %-7s  %-28s  %-44s  %s\n' Action Resource Type Replacement >&2
  while IFS=$tab read -r action name type replacement; do
    [ -n "$name" ] || continue # only outputs change
    printf '  %-7s  %-28s  %-44s  %s\n' "$action" "$name" "$type" "$replacement" >&2
    case "$name $action $replacement" in
      "FileSystem Remove "* | "FileSystem "*" True" | "FileSystem "*" Conditional") lost="the file system that holds the conversations" ;;
<% if cognito %>
      "UserPool Remove "* | "UserPool "*" True" | "UserPool "*" Conditional")
        lost="${lost:+$lost and }the user pool with the people to whom the conversations belong"
        ;;
<% endif %>
    esac
  done < <(printf '%s\n' "$3")
  [ -n "$lost" ] || return 0
  if [ -z "$yes" ]; then
    aws cloudformation delete-change-set --stack-name "$1" --change-set-name "$2"
    die "This would replace $lost.
Nothing was changed. To deploy without those conversations: ./deployment.sh deploy --yes"
  fi
  say "Replacing $lost, as --yes allows"
}

# Deploy.

deploy() {
  local repository image
  check aws docker git files
  mention_kept_data
  settle "$stack-registry"
  if [ -n "$dry_run" ]; then
    dry_deploy
    return
  fi
  change_stack "$stack-registry" --template-body file://infra/registry.yml --tags file://infra/tags.json
  look_up "$stack-registry"
  repository=$(fact RepositoryUri)
  image=$repository:$tag
  settle "$stack" # before the build, so that problems show at once
  build "$repository" "$image"
  settle "$stack"
  change_stack "$stack" --template-body file://infra/template.yml --tags file://infra/tags.json \
    --parameters "$(parameters "$image")"
  finish
}

dry_deploy() {
  [ -n "$status" ] || say "Would create the stack $stack-registry, for the images"
  say "Would build the image $tag for $platform and push it, unless it is in ECR already"
  settle "$stack"
  say "Would show the changes to the stack $stack, which is ${status:-not there}, and make them"
  say "Would wait until all tasks run the new image, and print the address"
  say "Nothing was changed"
}

# A new stack starts without conversations, unless FileSystemId names a file system that was kept.
<% if cognito %>
# The same holds for people and UserPoolId.
<% endif %>
mention_kept_data() {
  local files<< " pools" if cognito else "" >>
  look_up "$stack"
  [ -z "$status" ] || return 0
  files=$(kept_file_systems)
  ! grep -q '"fs-' infra/parameters.json || files=""
  [ -z "$files" ] ||
    say "An earlier stack's conversations are kept in ${files//$newline/, }, and the new stack will start without them."
<% if cognito %>
  pools=$(kept_user_pools)
  ! grep -q '"UserPoolId"' infra/parameters.json || pools=""
  [ -z "$pools" ] ||
    say "An earlier stack's people, to whom its conversations belong, are kept in ${pools//$newline/, }, and the new stack will start without them."
<% endif %>
  [ -z << kept >> ] || tell_how_to_adopt << to_adopt >>
}

build() {
  local found
  found=$(ask ImageNotFoundException aws ecr describe-images --repository-name "${1#*/}" \
    --image-ids "imageTag=$tag" --query 'imageDetails[].imageDigest')
  if [ -n "$found" ]; then
    say "The image $tag is in ECR already"
    return
  fi
  begin "Building the image $tag for $platform" "The stack $stack is unchanged."
  aws ecr get-login-password | docker login --username AWS --password-stdin "${1%%/*}" >/dev/null
  # Without provenance, a tag refers to one image, not to a list whose parts ECR would count separately.
  docker buildx build --platform "$platform" --provenance=false --build-arg "REVISION=$tag" \
    --tag "$2" --push . >&2 ||
    die "The image could not be built. If the error is \"exec format error\", enable $platform on this machine:
  docker run --privileged --rm tonistiigi/binfmt --install ${platform#*/}"
}

# Wait for the tasks, and print the address.
finish() {
  look_up "$stack"
  wait_for_rollout
  say "Done"
  fact Address
}

wait_for_rollout() {
  local wanted definition rollout running desired reason row before=""
  wanted=$(fact TaskDefinition)
  begin "Waiting until all tasks run ${wanted##*/}" "AWS continues the rollout; ./deployment.sh status shows the outcome."
  while :; do
    row=$(describe_service)
    row=$(printf '%s\n' "$row" | sed -n "s/^PRIMARY$tab//p")
    IFS=$tab read -r definition rollout running desired reason < <(printf '%s\n' "$row")
    [ "$row" = "$before" ] || printf '  %s  %s, %s of %s tasks\n' "${definition##*/}" "$rollout" "$running" "$desired" >&2
    before=$row
    if [ "$definition" != "$wanted" ] || [ "$rollout" = FAILED ]; then
      explain_service "$(fact Cluster)/$(fact Service)"
      die "${wanted##*/} could not be rolled out, and the service runs ${definition##*/}: $reason"
    fi
    if [ "$rollout" = COMPLETED ] && [ "$running" = "$desired" ]; then return; fi
    sleep "$poll_seconds"
  done
}

describe_service() {
  aws ecs describe-services --cluster "$(fact Cluster)" --services "$(fact Service)" --query "services[0].deployments[].[
    status, taskDefinition, rolloutState || 'COMPLETED', runningCount, desiredCount, rolloutStateReason || '-']"
}

# Show why the tasks of a service, given as …CLUSTER/SERVICE, are not running.
explain_service() {
  local service=${1##*/} cluster=${1%/*} tasks
  cluster=${cluster##*/}
  say "The last events of the service $service, the newest first:"
  aws ecs describe-services --cluster "$cluster" --services "$service" \
    --query 'services[0].events[:5].[message]' 2>/dev/null | sed 's/^/    /' >&2 || true
  tasks=$(aws ecs list-tasks --cluster "$cluster" --service-name "$service" --desired-status STOPPED \
    --no-paginate --query 'taskArns[:5]' 2>/dev/null) || true
  case $tasks in "" | None) return 0 ;; esac
  say "Why its tasks stopped:"
  # shellcheck disable=SC2086 # a list of ARNs
  aws ecs describe-tasks --cluster "$cluster" --tasks $tasks --query "tasks[].[stoppedReason || '-',
    join(', ', containers[].reason), join(', ', containers[?exitCode].join(' exit code ', [name, to_string(exitCode)]))]" |
    sort | uniq -c | sed 's/^/    /' >&2 || true
}

# The other verbs: status, logs, rollback<< ", invite, remove" if cognito else "" >><< ", people" if sign_in else "" >>, destroy.

require_stack() {
  check aws
  look_up "$stack"
  case $status in
    "" | REVIEW_IN_PROGRESS) die "There is no stack $stack in $region. To create it: ./deployment.sh deploy" ;;
  esac
}

status() {
  local alarms failures image
  require_stack
  image=$(fact image)
  alarms=$(aws cloudformation list-stack-resources --stack-name "$id" \
    --query "StackResourceSummaries[?ResourceType=='AWS::CloudWatch::Alarm'].[PhysicalResourceId]")
  if [ -n "$alarms" ]; then
    # shellcheck disable=SC2086 # a list of names, which have no spaces
    alarms=$(aws cloudwatch describe-alarms --alarm-names $alarms --state-value ALARM \
      --query "MetricAlarms[].[join(': ', [AlarmName, AlarmDescription || '-'])]")
  fi
  failures=$(aws cloudformation describe-stack-events --stack-name "$id" --query "StackEvents[?ends_with(
    ResourceStatus, '_FAILED') && !contains(ResourceStatusReason || '-', 'cancelled')].[join(' ', [Timestamp,
    LogicalResourceId, ResourceStatusReason || ResourceStatus])]")
  printf '%-14s%s\n' Stack "$stack in $region, $status" Address "$(fact Address)" Image "${image##*:}"
  if [ -n "$(fact Service)" ]; then
    describe_service | while IFS=$tab read -r _ definition rollout running desired _; do
      printf '%-14s%s\n' Tasks "$running of $desired run ${definition##*/}, $rollout"
    done
  fi
  failures=${failures%%"$newline"*}
  printf '%-14s%s\n' "In alarm" "${alarms:-nothing}" "Last failure" "${failures:-none}"
}

logs() {
  local group
  require_stack
  group=$(fact LogGroup)
  [ -n "$group" ] || die "The stack $stack has no logs yet; it is $status."
  rm -f "$errors"
  exec aws logs tail "$group" --since 1h --format short ${follow:+--follow}
}

rollback() {
  local image repository running pushed older tags keys=() key
  require_stack
  wait_for_others "$stack"
  case $status in
    CREATE_COMPLETE | UPDATE_*) settle "$stack" ;;
    *) die "The stack $stack is ${status:-gone}: there is nothing to roll back to. Continue with: ./deployment.sh deploy" ;;
  esac
  image=$(fact image)
  repository=${image%:*}
  running=${image##*:}
  # One line per image, with its tags between spaces, the newest first. Sorted here, because the CLI
  # applies the query to each page separately.
  pushed=$(aws ecr describe-images --repository-name "${repository#*/}" --query "imageDetails[?imageTags].[
    to_string(imagePushedAt), join(' ', imageTags)]" | sort -r | sed "s/.*$tab\(.*\)/ \1 /")
  tag=${wanted_tag:-$running}
  case $pushed in
    *" $tag "*) ;;
    *) die "There is no image $tag in ECR. The images there, newest first:$newline$pushed" ;;
  esac
  if [ -z "$wanted_tag" ]; then
    older=$(printf '%s\n' "${pushed#*" $tag "}" | sed 1d)
    tag=${older# }
    tag=${tag%%[ "$newline"]*}
    [ -n "$tag" ] || die "No image was pushed before $running, which is running now."
  fi
  say "From the image $running to $tag"
  if [ -n "$dry_run" ]; then
    say "Would change only the image of the stack $stack, and wait until all tasks run it; nothing was changed"
    return
  fi
  while IFS= read -r key; do
    [ "$key" = ImageUri ] || keys+=("ParameterKey=$key,UsePreviousValue=true")
  done < <(fact parameter)
  # Pass the same tags again, because those of CloudFront's VPC origin can't change.
  tags=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Tags' --output json)
  change_stack "$stack" --use-previous-template --tags "$tags" \
    --parameters "ParameterKey=ImageUri,ParameterValue=$repository:$tag" ${keys[@]+"${keys[@]}"}
  finish
}

<% if cognito %>
require_pool() {
  require_stack
  pool=$(fact UserPoolId)
  [ -n "$pool" ] || die "The stack $stack has no user pool yet; it is $status."
}

# Print something about the person's account, or nothing if there is none.
ask_account() {
  ask UserNotFoundException aws cognito-idp admin-get-user --user-pool-id "$pool" --username "$email" --query "$1"
}

# Set subject, which is what the chatbot knows a person by.
find_subject() {
  subject=$(ask_account "UserAttributes[?Name=='sub'].[Value]")
  [ -n "$subject" ] || die "There is no $email in the user pool $pool."
}

invite() {
  local state invitation=(--message-action RESEND)
  require_pool
  state=$(ask_account UserStatus)
  [ -n "$state" ] || invitation=(--user-attributes "Name=email,Value=$email" "Name=email_verified,Value=true")
  if [ -n "$dry_run" ]; then
    say "Would ${state:+again }invite $email${group:+ into the group $group}; nothing was changed"
    return
  fi
  case $state in
    "" | FORCE_CHANGE_PASSWORD) # is new, or has not signed in yet
      begin "Inviting $email" "The invitation may have been sent."
      aws cognito-idp admin-create-user --user-pool-id "$pool" --username "$email" \
        --desired-delivery-mediums EMAIL "${invitation[@]}" >/dev/null
      say "$email gets an e-mail with a password that is valid for 7 days, for $(fact Address)"
      ;;
    *) say "$email has signed in before, and needs no invitation" ;;
  esac
  [ -n "$group" ] || return 0
  ask GroupExistsException aws cognito-idp create-group --user-pool-id "$pool" --group-name "$group" >/dev/null
  aws cognito-idp admin-add-user-to-group --user-pool-id "$pool" --username "$email" --group-name "$group"
  say "$email is in the group $group"
}

remove() {
  require_pool
  find_subject
  if [ -n "$dry_run" ]; then
    say "Would remove $email, whose subject is $subject; nothing was changed"
    return
  fi
  aws cognito-idp admin-delete-user --user-pool-id "$pool" --username "$email"
  say "$email can sign in no more; who is signed in stays so for SignInHours at most."
  say "The chats are kept. To delete them: ./deployment.sh people erase --subject $subject"
}

<% endif %>
<% if sign_in %>
people() {
  local person file
  require_stack
  [ -n "$(fact Service)" ] || die "The stack $stack has no tasks yet; it is $status."
<% if cognito %>
  person=${email:-$subject}
  if [ -n "$email" ]; then
    require_pool
    find_subject
  fi
<% else %>
  person=$subject
<% endif %>
  issuer=${issuer:-$(fact Issuer)}
  file=$here/$(printf %s "$person" | LC_ALL=C tr -c 'A-Za-z0-9@._+-' -)-export.tar.gz
  case $action in
    export) [ ! -e "$file" ] || die "$file is there already; move it away first." ;;
    erase) say "This deletes all that is kept about $person in the stack $stack: chats, files and usage." ;;
  esac
  if [ -n "$dry_run" ]; then
    say "Would run a task that does this${subject:+ for the subject $subject of $issuer}; nothing was changed"
    return
  fi
  [ "$action" != erase ] || confirm
  run_task
  case $code in
    0) ;;
    None) die "The task did not run: $reason" ;;
    *)
      cat "$output" >&2
      [ "$code" = 1 ] || die "The task ended with the exit code $code: $reason"
      explained=yes
      exit 1
      ;;
  esac
  if [ "$action" = export ]; then
    save_export "$file"
  else
    cat "$output"
  fi
}

# Run `python -m chatbot people` in a task of its own, with the image, role, files and network of the service.
# Sets code, reason and stream; what the task said is in the file $output.
run_task() {
  local cluster network words task what tries
  cluster=$(fact Cluster)
  network=$(aws ecs describe-services --cluster "$cluster" --services "$(fact Service)" \
    --query 'services[0].networkConfiguration' --output json)
  words="\"$action\""
  [ "$action" = list ] || words="$words, \"--issuer\", \"$issuer\", \"--subject\", \"$subject\""
  [ "$action" != export ] || words="$words, \"--base64\""
  begin "Running a task, which takes a minute" "The task may still run, and what it says stays in the log."
  IFS=$tab read -r task reason < <(aws ecs run-task --cluster "$cluster" --task-definition "$(fact TaskDefinition)" \
    --launch-type FARGATE --network-configuration "$network" --overrides "{\"containerOverrides\": [{\"name\":
    \"chatbot\", \"command\": [\"python\", \"-m\", \"chatbot\", \"people\", $words]}]}" \
    --query '[tasks[0].taskArn, failures[0].reason]') || exit 1
  [ "$task" != None ] || die "AWS runs no task: $reason"
  while :; do
    IFS=$tab read -r what code reason < <(aws ecs describe-tasks --cluster "$cluster" --tasks "$task" \
      --query "tasks[0].[lastStatus, containers[?name=='chatbot'] | [0].exitCode, stoppedReason || '-']") || exit 1
    [ "$what" != STOPPED ] || break
    sleep "$poll_seconds"
  done
  [ "$code" != None ] || return 0
  stream=chatbot/chatbot/${task##*/}
  for tries in 1 2 3 4 5 6 7 8 9 10 11 12; do # the last lines reach the log a little later
    ask ResourceNotFoundException aws logs filter-log-events --log-group-name "$(fact LogGroup)" \
      --log-stream-names "$stream" --query 'events[].[message]' >"$output"
    case $action$code in
      export0) ! grep -q '^-----END EXPORT-----' "$output" || return 0 ;;
      *) ! grep -q . "$output" || return 0 ;;
    esac
    [ "$tries" = 12 ] || sleep "$poll_seconds"
  done
}

# Save what is between the marks in the file $1, and take it out of the log.
save_export() {
  local whole=yes
  begin "Saving $1" "The log stream $stream still holds the export."
  (umask 077 && sed -n '/^-----BEGIN EXPORT-----/,/^-----END EXPORT-----/{ /^-----/!p; }' "$output" |
    base64 --decode >"$1" && gzip -t "$1") 2>/dev/null || whole=""
  [ -n "$whole" ] || rm -f "$1"
  aws logs delete-log-stream --log-group-name "$(fact LogGroup)" --log-stream-name "$stream" ||
    die "${whole:+The export is in $1. }The log still holds it too. To delete it there:
  aws logs delete-log-stream --region $region --log-group-name $(fact LogGroup) --log-stream-name $stream"
  [ -n "$whole" ] || die "The export did not reach the log as a whole, and was not saved. Run the same command again."
  printf '%s\n' "$1"
}

<% endif %>
# List the file systems that stacks of this name left behind; they still have CloudFormation's tags.
kept_file_systems() {
  aws efs describe-file-systems --query "FileSystems[?Tags[?Key=='aws:cloudformation:stack-name' &&
    Value=='$stack']].[FileSystemId]"
}

<% if cognito %>
# A pool has the stack's name, but CloudFormation's tags are not in the list of pools.
kept_user_pools() {
  aws cognito-idp list-user-pools --max-results 60 --query "UserPools[?Name=='$stack'].[Id]"
}

<% endif %>
# The arguments are parameters, each before the IDs of what was kept, of which the first one is shown.
tell_how_to_adopt() {
  say "To use them again, add this to infra/parameters.json before you deploy:"
  while [ $# -gt 0 ]; do
    [ -z "$2" ] || printf '  { "ParameterKey": "%s", "ParameterValue": "%s" },\n' "$1" "${2%%"$newline"*}" >&2
    shift 2
  done
}

destroy() {
  local files<< " pools" if cognito else "" >> fate
  check aws
  look_up "$stack"
  files=$(fact FileSystem)
  [ -n "$files" ] || files=$(kept_file_systems)
<% if cognito %>
  pools=$(fact UserPoolId)
  [ -n "$pools" ] || pools=$(kept_user_pools)
  case $delete_data$pools in
    yes*"$newline"*)
      die "Several user pools were left behind, and only you can tell which one to delete: ${pools//$newline/, }
To delete one: aws cognito-idp delete-user-pool --region $region --user-pool-id ID"
      ;;
  esac
<% endif %>
  case $delete_data$files in
    yes*"$newline"*)
      die "Several file systems were left behind, and only you can tell which one to delete: ${files//$newline/, }
To delete one: aws efs delete-file-system --region $region --file-system-id ID"
      ;;
  esac
  say "This deletes the stacks $stack and $stack-registry in $region, in account $account."
  fate=kept
  [ -z "$delete_data" ] || fate=deleted
  [ -z "$files" ] || say "The conversations, in the file system ${files//$newline/, }, are $fate."
<% if cognito %>
  [ -z "$pools" ] || say "The people, in the user pool ${pools//$newline/, }, are $fate."
<% endif %>
  if [ -n "$dry_run" ]; then
    say "Nothing was changed"
    return
  fi
  confirm
  remove_stack "$stack"
  remove_stack "$stack-registry"
  if [ -z "$delete_data" ]; then
    [ -z "$files" ] || say "The conversations are kept in ${files//$newline/, }."
<% if cognito %>
    [ -z "$pools" ] || say "The people are kept in ${pools//$newline/, }."
<% endif %>
    [ -z << kept >> ] || tell_how_to_adopt << to_adopt >>
    return
  fi
<% if cognito %>
  if [ -n "$pools" ]; then
    begin "Deleting the user pool $pools" "The user pool $pools may still be there."
    ask ResourceNotFoundException aws cognito-idp delete-user-pool --user-pool-id "$pools"
  fi
<% endif %>
  [ -n "$files" ] || return 0
  begin "Deleting the file system $files" "The file system $files may still be there."
  ask FileSystemNotFound aws efs delete-file-system --file-system-id "$files"
  say "Its backups in AWS Backup expire by themselves."
}

confirm() {
  local typed
  [ -z "$yes" ] || return 0
  [ -t 0 ] || die "There is no terminal to ask for confirmation. If you are sure: ./deployment.sh << "$verb … --yes" if sign_in else "destroy --yes" >>"
  printf 'Type the name of the stack to continue: ' >&2
  read -r typed || typed=""
  [ "$typed" = "$stack" ] || die "That is not $stack; nothing was changed."
}

remove_stack() {
  wait_for_others "$1"
  [ -z "$status" ] || delete_stack "$1"
}

parse "$@"
# Override the user's own settings: one region, text output, no pager, times in UTC.
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_DEFAULT_OUTPUT=text AWS_PAGER="" TZ=UTC
export AWS_CLI_AUTO_PROMPT=off AWS_MAX_ATTEMPTS=${AWS_MAX_ATTEMPTS:-5}
"$verb"
