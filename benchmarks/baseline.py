"""The baseline: a chatbot that pickles its whole session at each run, and draws every message."""

import os
import pickle
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import streamlit as st
from chatbot.demo import Demo
from chatbot.models import Cancellation, Text, load_models
from streamlit_local_storage import LocalStorage

models = load_models()
browser = LocalStorage()
session_id = browser.getItem("session_id")
if not session_id:
    session_id = str(uuid.uuid4())
    browser.setItem("session_id", session_id)

file = Path(os.environ["CHATBOT_SESSIONS_DIR"]) / session_id / "session.pickle"
state: dict[str, Any] = pickle.loads(file.read_bytes()) if file.exists() else {"messages": []}

with st.sidebar:
    st.title("Baseline")
    st.write(f"Hostname: {socket.gethostname()}")
    st.write(f"Session: {session_id}")
    model = st.selectbox("Model", list(models))
    if st.button("Reset"):
        state["messages"] = []

for message in state["messages"]:
    with st.chat_message(message["role"]):
        st.markdown(message["content"])


def answer(prompt: str) -> Iterator[str]:
    messages = [{"role": "user", "content": [{"text": prompt}]}]
    for event in Demo().stream(models[model], messages, "", Cancellation()):
        if isinstance(event, Text):
            yield event.text


if prompt := st.chat_input("Ask anything"):
    state["messages"].append({"role": "user", "content": prompt})
    with st.chat_message("user"):
        st.markdown(prompt)
    with st.chat_message("assistant"):
        said = st.write_stream(answer(prompt))
    state["messages"].append({"role": "assistant", "content": said})

file.parent.mkdir(parents=True, exist_ok=True)
file.write_bytes(pickle.dumps(state))
