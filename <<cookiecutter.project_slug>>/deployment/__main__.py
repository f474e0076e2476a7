"""What ./deployment.sh runs: reads the command line, calls the verb, says how it ended.

Exit codes: 0, done; 1, it failed; 2, the command line makes no sense; 130 and 143, a person or a
machine interrupted it.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence

from deployment import console
from deployment.account import AwsError, sentence
from deployment.advice import advise
from deployment.command_line import read_command_line
from deployment.context import Context, make_context
from deployment.errors import DeploymentError, UsageError
from deployment.project import read_project
from deployment.verbs.accounts import invite, remove
from deployment.verbs.deploy import deploy
from deployment.verbs.destroy import destroy
from deployment.verbs.doctor import doctor
from deployment.verbs.export import export
from deployment.verbs.feedback import feedback
from deployment.verbs.logs import logs
from deployment.verbs.people import people
from deployment.verbs.promote import promote
from deployment.verbs.restore import restore
from deployment.verbs.rollback import rollback
from deployment.verbs.status import status

VERBS: dict[str, Callable[[Context], None]] = {
    "deploy": deploy,
    "doctor": doctor,
    "status": status,
    "logs": logs,
    "rollback": rollback,
    "promote": promote,
    "invite": invite,
    "remove": remove,
    "people": people,
    "export": export,
    "feedback": feedback,
    "restore": restore,
    "destroy": destroy,
}


class Terminated(BaseException):
    """The machine asks this program to end."""


def _terminate(*_: object) -> None:
    raise Terminated


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says, and return the exit code."""
    try:
        project = read_project()
        options = read_command_line(arguments, project)
    except UsageError as error:
        console.fail(str(error))
        return 2
    console.remember(arguments, options.where)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        VERBS[options.verb](make_context(project, options))
    except DeploymentError as error:
        console.fail(str(error))
        return 1
    except AwsError as error:
        console.fail(f"{sentence(error)}{advise(str(error))}")
        console.say(f"Stopped by the error above. {console.how_to_go_on()}")
        return 1
    except BrokenPipeError:  # whoever reads the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _interrupted(130)
    except Terminated:
        return _interrupted(143)
    return 0


def _interrupted(code: int) -> int:
    console.say(f"Interrupted. {console.how_to_go_on()}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
