"""How long one run of a page's script takes: `python rerun.py SCRIPT KEY` prints the median.

The project's Python runs it with Streamlit's own AppTest, without a browser or a network.
"""

import json
import os
import statistics
import sys
import time

from chatbot.page.state import Tab
from streamlit.testing.v1 import AppTest

REPETITIONS = 7


def main(script: str, key: str) -> None:
    page = AppTest.from_file(script, default_timeout=120)
    page.session_state["tab"] = Tab(browser_key=key)
    page.session_state["storage_init"] = {"session_id": key}  # of the baseline's LocalStorage
    page.run()
    assert len(page.chat_message) > 1, page
    times = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        page.run()
        times.append(time.perf_counter() - begun)
    print(json.dumps({"milliseconds": 1000 * statistics.median(times)}))


if __name__ == "__main__":
    os.environ.setdefault("CHATBOT_BACKEND", "demo")
    main(*sys.argv[1:])
