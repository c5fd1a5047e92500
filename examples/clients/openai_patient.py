"""A pipeline that holds its connection: one call, one answer, at the batch price. Its time-out and a header say so.

export FIVELEVERS_URL=http://127.0.0.1:10000 FIVELEVERS_API_KEY=sk-...
python examples/clients/openai_patient.py ticket-pipeline
"""

import os
import sys

import openai

HOURS_S = 4 * 3600

client = openai.OpenAI(
    base_url=f"{os.environ['FIVELEVERS_URL']}/v1",
    api_key=os.environ["FIVELEVERS_API_KEY"],
    timeout=HOURS_S,  # a retry of the SDK's own finds the same request again
    default_headers={"x-fivelevers-deadline": "4h"},  # not needed where the route says `opt_in: route`
)
raw = client.chat.completions.with_raw_response.create(
    model=sys.argv[1], messages=[{"role": "user", "content": "What is 17 * 23 + 4?"}]
)
print(raw.headers["x-fivelevers-lane"], "|", raw.parse().choices[0].message.content)
