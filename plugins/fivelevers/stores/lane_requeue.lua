-- ARGV: batch, fence, attempts after which a row is asked live (-1: at once; '' : they do not count), due at, ids.
-- Takes rows that the batch still has back into the queue. Returns how many went there, how many are asked live, and
-- nothing where the batch is another's.
local batch, fence, most, due_at, ids = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
if not holds(batch, fence) then return {} end
local queued, live = 0, 0
for from = 1, #ids, 32 do
  local id = ids:sub(from, from + 31)
  local request = read(id)
  if request and request.state == 'P' and request.batch == batch then
    leave(id, request)
    if most and request.attempts >= most then
      request.state, live = 'L', live + 1
      redis.call('ZADD', lane .. 'live', at(now), id)
    else
      request.state, request.batch, queued = 'Q', NO_BATCH, queued + 1
      if most then request.attempts = request.attempts + 1 end
      queue(id, request, due_at)
    end
    write(id, request)
  end
end
return {queued, live}
