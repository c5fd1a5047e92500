#!/bin/sh
# Hands a request in, goes away, and comes back for its answer. Needs curl.
#
#   FIVELEVERS_URL=http://127.0.0.1:10000 FIVELEVERS_API_KEY=sk-... examples/clients/respond_async.sh ticket-pipeline
#
# Idempotency-Key: who sends this again gets the same request, and not a second one.
set -eu
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
body=$(curl -sS -D "$headers" "$FIVELEVERS_URL/v1/chat/completions" \
  -H "Authorization: Bearer $FIVELEVERS_API_KEY" -H 'Content-Type: application/json' \
  -H 'Prefer: respond-async' -H 'x-fivelevers-deadline: 4h' -H "Idempotency-Key: ${IDEMPOTENCY_KEY:-$$-$(date +%s)}" \
  -d "{\"model\": \"$1\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 * 23 + 4?\"}]}")
place=$(tr -d '\r' < "$headers" | sed -n 's/^location: //Ip')
if [ -z "$place" ]; then  # it was answered live; x-fivelevers-lane says why
  sed -n '/^x-fivelevers-lane/Ip' "$headers" >&2
  printf '%s\n' "$body"
  exit 0
fi
while :; do
  status=$(curl -sS -o "$headers" -w '%{http_code}' -H "Authorization: Bearer $FIVELEVERS_API_KEY" "$FIVELEVERS_URL$place/result")
  [ "$status" = 202 ] || break
  sleep "${POLL_S:-60}"
done
cat "$headers"
echo
[ "$status" = 200 ]
