"""The unmodified npm client of Segment; only in `make soak`, for it is fetched with npm."""

import os
import shutil
import socket
import subprocess
import threading
import time

import pytest
import uvicorn

from regulars.service.http import Connection

SEND = """
const { Analytics } = require("@segment/analytics-node")
const [host, key] = process.argv.slice(2)
const analytics = new Analytics({ writeKey: key, host, maxEventsInBatch: 3 })
analytics.on("error", (error) => { console.error(error); process.exitCode = 1 })
analytics.identify({ userId: "node-1", traits: { plan: "gold" } })
analytics.track({
  userId: "node-1", event: "Segment Consent Preference Updated",
  context: { consent: { categoryPreferences: { purchases: true } } },
})
analytics.track({
  userId: "node-1", event: "Order Completed",
  properties: { products: [{ product_id: "p0", price: 3, quantity: 2 }] },
})
analytics.closeAndFlush().then(() => console.log("sent"))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "soak", reason="runs in make soak")
def test_the_node_client_of_segment_is_understood(live, tmp_path):
    assert shutil.which("npm"), "npm is needed for this test of make soak"
    subprocess.run(["npm", "init", "-y"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(
        ["npm", "install", "@segment/analytics-node"], cwd=tmp_path, check=True, capture_output=True
    )
    (tmp_path / "send.js").write_text(SEND)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(live.service, port=port, log_level="error", http=Connection))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        done = subprocess.run(
            ["node", "send.js", f"http://127.0.0.1:{port}", live.keys["write"]],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0 and "sent" in done.stdout, done.stderr
        seats = live.call(lambda work: live.shop.seat(work, work.everybody(live.number)))
        assert len(seats.rows) == 1
        assert seats.record.bought[0, 0] == 1 and seats.record.spend_cents[0] == 600
    finally:
        server.should_exit = True
        thread.join(10)
