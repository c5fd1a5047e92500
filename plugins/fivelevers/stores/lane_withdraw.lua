-- ARGV: id, 'cancel' or 'take', seconds that who takes it may need to answer it.
-- Returns 'done', or what it is: 'gone', 'ended', 'submitted'. Who takes it asks it live and hands in the answer, a
-- submitted one too: no worker asks it then, and the first answer wins.
local id, what, lease_s = ARGV[1], ARGV[2], ARGV[3]
local request = read(id)
if not request then return 'gone' end
if ENDED[request.state] then return 'ended' end
if what == 'cancel' then
  finish(id, request, 'C', '')
  return 'done'
end
if request.state == 'L' then return 'submitted' end
local submitted = request.state == 'P' and redis.call('HGET', lane .. 'b:' .. request.batch, 'state') ~= 'planned'
leave(id, request)
request.state = 'L'
if not submitted then request.batch = NO_BATCH end
write(id, request)
redis.call('ZADD', lane .. 'live', at(now + lease_s), id)
return submitted and 'submitted' or 'done'
