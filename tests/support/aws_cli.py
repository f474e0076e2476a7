"""The real AWS CLI without its start, which takes longer than most of its calls.

`serve` runs in the CLI's own Python, imports the CLI once, and forks for each call. Run as `aws`,
this is the caller, which hands over its words, environment, folder and streams.
"""

import json
import os
import signal
import socket
import sys
from threading import Thread


def serve(path: str) -> None:
    """Answer calls until this is killed."""
    import awscli.clidriver  # type: ignore[import-not-found]  # only in the CLI's own Python

    # As its main() does, but once.
    driver = awscli.clidriver.create_clidriver()
    driver.session.get_available_services()
    for service in ("cloudformation", "ecr", "ecs", "efs", "ec2", "sts", "cloudwatch", "logs"):
        driver.session.get_service_model(service)
    entry = awscli.clidriver.AWSCLIEntryPoint(driver)
    data = os.environ["AWS_DATA_PATH"]  # set by that import
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the forks ended
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            message, streams, _, _ = socket.recv_fds(caller, 1 << 20, 3)
            request = json.loads(message)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # as in a terminal
            os.environ.clear()
            os.environ.update(request["environment"], AWS_DATA_PATH=data)
            os.chdir(request["folder"])
            Thread(target=end_with, args=(caller,), daemon=True).start()
            code = 255
            try:
                code = entry.main(request["words"]) or 0
                sys.stdout.flush()
                sys.stderr.flush()
                caller.sendall(bytes([code & 255]))
            finally:
                os._exit(0)
        caller.close()


def end_with(caller: socket.socket) -> None:
    """End with the caller, as when Ctrl-C ends the CLI."""
    if caller.recv(1) == b"":
        os._exit(130)


def call(path: str) -> None:
    """Let the server do what was asked of this process, and exit with its code."""
    # Version 2.9 does not know AWS_ENDPOINT_URL yet.
    endpoint = f"--endpoint-url={os.environ['AWS_ENDPOINT_URL']}"
    request = {
        "words": [endpoint, *sys.argv[1:]],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109  # pathlib takes longer to import than all of this
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        try:
            answer = server.recv(1)
        except KeyboardInterrupt:
            os._exit(130)
    sys.exit(answer[0] if answer else 255)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        call(os.environ["AWS_CLI_SOCKET"])
