"""The same with Anthropic's SDK: its time-out says for how long it waits.

export FIVELEVERS_URL=http://127.0.0.1:10000 FIVELEVERS_API_KEY=sk-...
python examples/clients/anthropic_patient.py coding-agent
"""

import os
import sys

import anthropic

HOURS_S = 4 * 3600

client = anthropic.Anthropic(
    base_url=os.environ["FIVELEVERS_URL"],
    api_key=os.environ["FIVELEVERS_API_KEY"],
    timeout=HOURS_S,
    default_headers={"x-fivelevers-deadline": "4h"},
)
raw = client.messages.with_raw_response.create(
    model=sys.argv[1], max_tokens=200, messages=[{"role": "user", "content": "What is 17 * 23 + 4?"}]
)
print(raw.headers["x-fivelevers-lane"], "|", "".join(part.text for part in raw.parse().content if part.type == "text"))
