-- ARGV: id, 'cancel' or 'take', seconds that who takes it may need to answer it.
-- Returns 'done', or why not: 'gone', 'ended', 'submitted'. Who takes it asks it live and hands in the answer.
local id, what, lease_s = ARGV[1], ARGV[2], ARGV[3]
local request = read(id)
if not request then return 'gone' end
if ENDED[request.state] then return 'ended' end
if what == 'cancel' then
  finish(id, request, 'C', '')
  return 'done'
end
if request.state == 'L' then return 'submitted' end
if request.state == 'P' and redis.call('HGET', lane .. 'b:' .. request.batch, 'state') ~= 'planned' then
  return 'submitted'
end
leave(id, request)
request.state, request.batch = 'L', NO_BATCH
write(id, request)
redis.call('ZADD', lane .. 'live', at(now + lease_s), id)
return 'done'
