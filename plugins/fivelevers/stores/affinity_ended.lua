-- A placed attempt is over. The queue is corrected as affinity.py's `Queue` says.
-- KEYS: the replica's steps by last use, and its queue.
-- ARGV: first_token, ended or failed; mark and tokens of the placement; seconds since the first token; the replica's
-- rate; steps that are not there after all (packed) unless used since the time that follows; and the last use up to
-- which everything is gone ('' for none).
local what, mark, work = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('HMGET', KEYS[2], 'placed', 'done', 'at', 'used')
if not stored[1] then return end
local placed, done, at, used = tonumber(stored[1]), tonumber(stored[2]), tonumber(stored[3]), tonumber(stored[4])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000

if what == 'first_token' then
  local seen = now - tonumber(ARGV[4])
  if seen >= at then done, at = math.min(mark, placed), seen end
elseif what == 'ended' then
  local known = math.min(mark, placed)
  if known > math.min(placed, done + tonumber(ARGV[5]) * math.max(0, now - at)) then done, at = known, now end
else
  placed = math.max(0, placed - work)
  done = math.min(done, placed)
  for from = 1, #ARGV[6], 12 do
    local step = string.sub(ARGV[6], from, from + 11)
    local used_at = redis.call('ZSCORE', KEYS[1], step)
    if used_at and tonumber(used_at) <= tonumber(ARGV[7]) then
      redis.call('ZREM', KEYS[1], step)
      used = used - struct.unpack('>I4', step, 9)
    end
  end
end

if ARGV[8] ~= '' then
  for _, step in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[8])) do
    used = used - struct.unpack('>I4', step, 9)
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[8])
end

redis.call('HSET', KEYS[2], 'placed', string.format('%.3f', placed), 'done', string.format('%.3f', done),
  'at', string.format('%.6f', at), 'used', math.max(0, used))
