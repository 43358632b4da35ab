"""The commands that the README prints work as printed."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def commands():
    """The curl lines of the README, each whole."""
    text = README.read_text("utf-8").partition("## Live")[2].partition("\n## ")[0]
    block = re.findall(r"```console\n(curl.*?)```", text, re.S)[0].replace("\\\n", " ")
    return [line for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """`regulars serve --demo` on a free port."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    folder = tmp_path_factory.mktemp("demo")
    told = (folder / "told.txt").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "regulars.cli", "serve", "--demo", "--port", str(port),
         "--store", f"sqlite:///{folder}/demo.db"], stderr=told, stdout=told, env=os.environ,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    for _ in range(900):
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=2).read()
            break
        except OSError:
            assert server.poll() is None, (folder / "told.txt").read_text()
            time.sleep(0.1)
    yield address
    server.send_signal(signal.SIGINT)
    assert server.wait(30) in (0, 130), (folder / "told.txt").read_text()


@pytest.mark.slow
def test_the_walk_through_of_the_readme_works_as_printed(base):
    answers = []
    for line in commands():
        words = shlex.split(line.replace("http://127.0.0.1:8080", base))
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    decision, tracked, consented, account = answers
    assert decision["action"] in ("offer", "option", "silence") and decision["toHer"]
    assert tracked["success"] and consented["success"]
    assert account["consent"]["purchases"] == []
    assert any(event["name"] == "Product Added to Wishlist" for event in account["events"])
    assert account["broken_at" if "broken_at" in account else "brokenAt"] is None
    assert {entry["kind"] for entry in account["ledger"]} >= {"granted", "used", "withdrawn"}


@pytest.mark.slow
def test_the_demo_can_be_tried_at_any_hour(base):
    today = time.time() // 86_400 * 86_400
    for name, hour in (("household-2", 3), ("household-3", 12), ("household-4", 22)):
        moment = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(today + hour * 3_600))
        body = json.dumps({"userId": name, "channel": "app", "moment": moment}).encode()
        headers = {"Authorization": "Bearer rg_serve_demo"}
        asked = urllib.request.Request(f"{base}/v1/decisions", body, headers)
        assert json.load(urllib.request.urlopen(asked, timeout=60))["reason"] != "quiet"
