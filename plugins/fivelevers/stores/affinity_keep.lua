-- KEYS[1]: a managed deployment's live steps by when they expire.
-- ARGV: the path (12 bytes a step), how long it lives from now on in seconds, and how many steps are kept at most.
local path, ttl_s, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local until_s = string.format('%.6f', now + ttl_s)
for at = 1, #path, 12 do
  redis.call('ZADD', KEYS[1], 'GT', until_s, string.sub(path, at, at + 11))
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -limit - 1)
if redis.call('TTL', KEYS[1]) < ttl_s then redis.call('EXPIRE', KEYS[1], math.ceil(ttl_s)) end
