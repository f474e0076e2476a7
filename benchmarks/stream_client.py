"""Receive an answer: `python stream_client.py ADDRESS PROCESS`, with a project's Python.

Asks a question as a browser does. Prints a list of what was received: the number of the last word
that was sent, the bytes so far, and the seconds of processor time that the server had used.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

PATIENCE = 120  # seconds
KEY = {"Cookie": f"chatbot_session=k{1:032x}"}


def processor_seconds(process: str) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def receive_run(socket: Any, process: str) -> tuple[str, list[tuple[int, int, float]]]:
    """Receive until a run ends; return the input's id, and what was received."""
    received: list[tuple[int, int, float]] = []
    chat_input, last, total = "", 0, 0
    while True:
        message = socket.recv(PATIENCE)
        total += len(message)
        forward = ForwardMsg.FromString(message)
        element = forward.delta.new_element
        if element.HasField("chat_input"):
            chat_input = element.chat_input.id
        if words := re.findall(r"w(\d{5})", element.markdown.body):
            last = max(last, int(words[-1]))
        received.append((last, total, processor_seconds(process)))
        if forward.WhichOneof("type") == "script_finished":
            return chat_input, received


def main(address: str, process: str) -> None:
    host = urlsplit(address).netloc
    origin: Any = f"http://{host}"
    protocols: Any = ["streamlit"]
    url = f"ws://{host}/_stcore/stream"
    options: Any = {"subprotocols": protocols, "max_size": None, "additional_headers": KEY}
    with connect(url, origin=origin, **options) as socket:
        first = BackMsg()
        first.rerun_script.query_string = ""
        socket.send(first.SerializeToString())
        chat_input, _ = receive_run(socket, process)
        question = BackMsg()
        state = question.rerun_script.widget_states.widgets.add()
        state.id = chat_input
        state.chat_input_value.data = "Tell me"
        socket.send(question.SerializeToString())
        _, received = receive_run(socket, process)
    print(json.dumps(received))


if __name__ == "__main__":
    main(*sys.argv[1:])
