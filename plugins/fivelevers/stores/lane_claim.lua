-- ARGV: who, lease in seconds. The open batch that was to be looked at first, if it is time: it is the caller's until
-- the lease is over, and whoever had it before is locked out by the fence. Returns its id and fields, or nothing.
local due = redis.call('ZRANGEBYSCORE', lane .. 'open', '-inf', at(now), 'LIMIT', 0, 1)
local batch = due[1]
if not batch then return {} end
local key = lane .. 'b:' .. batch
if redis.call('EXISTS', key) == 0 then
  redis.call('ZREM', lane .. 'open', batch)
  return {}
end
redis.call('HINCRBY', key, 'fence', 1)
redis.call('HSET', key, 'by', ARGV[1])
redis.call('ZADD', lane .. 'open', at(now + ARGV[2]), batch)
return {batch, fields(key)}
