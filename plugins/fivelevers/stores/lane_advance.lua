-- ARGV: batch, fence, the state that it is in, the state that it goes to, seconds until somebody looks again, seconds
-- that one that is gone is kept for show, then field, value ... Returns its fields; nothing where it is another's.
local batch, fence, from, to, in_s, shown_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = lane .. 'b:' .. batch
if not holds(batch, fence) or redis.call('HGET', key, 'state') ~= from then return {} end

if from ~= to then redis.call('HSET', key, 'state', to, 'at', at(now), 'tries', 0) end
if #ARGV > 6 then redis.call('HSET', key, unpack(ARGV, 7)) end
redis.call('ZADD', lane .. 'open', at(now + in_s), batch)

local over = to == 'terminal' or to == 'applied' or to == 'gone'
if over and redis.call('HDEL', key, 'counted') == 1 then
  local group = lane .. 'g:' .. redis.call('HGET', key, 'group')
  redis.call('HINCRBY', group, 'tokens_out', -redis.call('HGET', key, 'tokens'))
end
if to == 'gone' then
  redis.call('ZREM', lane .. 'open', batch)
  redis.call('DEL', lane .. 'm:' .. batch)
  redis.call('EXPIRE', key, shown_s)
  redis.call('ZREMRANGEBYSCORE', lane .. 'batches', '-inf', at(now - shown_s))
end
return fields(key)
