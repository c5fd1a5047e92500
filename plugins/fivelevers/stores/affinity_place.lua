-- Where does a prompt go? Chooses a replica and notes that it has it. The choice is that of affinity.py's `choose`.
-- KEYS: of each replica its steps by last use, and its queue (placed, done, at; used: tokens held).
-- ARGV: the path (12 bytes a step: 8 of hash, 4 of tokens), its tokens, seconds that unused keys stay, then of each
-- replica its KV capacity and its rate.
-- Returns: index from 0, steps held there, their last use, now, tokens placed, mark.
local path, tokens, keep_s = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000

local steps, sums = {}, {[0] = 0}
for at = 1, #path, 12 do
  local step = string.sub(path, at, at + 11)
  steps[#steps + 1] = step
  sums[#steps] = sums[#steps - 1] + struct.unpack('>I4', step, 9)
end

-- A step is held only while all before it are, so that halving finds the last one.
local function held_by(key)
  local low, high = 0, #steps
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if redis.call('ZSCORE', key, steps[middle]) then low = middle else high = middle - 1 end
  end
  return low
end

local best
for at = 1, #KEYS / 2 do
  local kv, rate = tonumber(ARGV[2 + 2 * at]), tonumber(ARGV[3 + 2 * at])
  local stored = redis.call('HMGET', KEYS[2 * at], 'placed', 'done', 'at', 'used')
  local it = {index = at, kv = kv, held = held_by(KEYS[2 * at - 1])}
  it.placed, it.done = tonumber(stored[1]) or 0, tonumber(stored[2]) or 0
  it.at, it.used = tonumber(stored[3]) or 0, tonumber(stored[4]) or 0
  it.ahead = it.placed - math.min(it.placed, it.done + rate * math.max(0, now - it.at))
  it.rest = tokens - sums[it.held]
  local evicted = math.min(it.rest, math.max(0, it.used + it.rest - kv))
  it.cost = (it.ahead + it.rest + evicted) / rate
  if not best or it.cost < best.cost or (it.cost == best.cost and it.placed < best.placed) then best = it end
end

local held, queue = KEYS[2 * best.index - 1], KEYS[2 * best.index]
local since = best.held > 0 and redis.call('ZSCORE', held, steps[best.held]) or '0'

if best.ahead <= 0 then
  best.done, best.at = best.placed, math.max(now, best.at)
end
best.placed = best.placed + best.rest

for at = 1, #steps do
  -- Deeper steps count as used a little earlier, as servers free the end of a sequence first.
  local added = redis.call('ZADD', held, string.format('%.6f', now - at * 0.000001), steps[at])
  if added == 1 then best.used = best.used + sums[at] - sums[at - 1] end
end
while best.used > best.kv do
  local oldest = redis.call('ZPOPMIN', held)[1]
  best.used = oldest and best.used - struct.unpack('>I4', oldest, 9) or 0
end

redis.call('HSET', queue, 'placed', string.format('%.3f', best.placed), 'done', string.format('%.3f', best.done),
  'at', string.format('%.6f', best.at), 'used', best.used)
redis.call('EXPIRE', held, keep_s)
redis.call('EXPIRE', queue, keep_s)
return {best.index - 1, best.held, since, string.format('%.6f', now), string.format('%.3f', best.rest),
  string.format('%.3f', best.placed)}
