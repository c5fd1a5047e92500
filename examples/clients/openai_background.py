"""Responses in the background: an object that is polled. Nothing of it is fivelevers': OpenAI's SDK has it so.

    export FIVELEVERS_URL=http://127.0.0.1:10000 FIVELEVERS_API_KEY=sk-...
    python examples/clients/openai_background.py ticket-pipeline

`background` stands in the body, which Envoy's filter sees on the host `pipelines.*` alone: a header says it everywhere.
"""

import os
import sys
import time

import openai

POLL_S = float(os.environ.get("POLL_S", "60"))

client = openai.OpenAI(
    base_url=f"{os.environ['FIVELEVERS_URL']}/v1",
    api_key=os.environ["FIVELEVERS_API_KEY"],
    default_headers={"x-fivelevers-deadline": "4h", "prefer": "respond-async"},
)
response = client.responses.create(model=sys.argv[1], input="What is 17 * 23 + 4?", background=True)
while response.status in ("queued", "in_progress"):
    time.sleep(POLL_S)
    response = client.responses.retrieve(response.id)
print(response.id, response.status, "|", response.output_text)
