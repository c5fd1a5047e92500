-- KEYS: question, lease. ARGV: prefix of answers, lease in ms (0: none is wanted).
-- Returns {state, id, own, answer}; state: found, first (the lease is the caller's), taken (somebody else's), none.
local known = redis.call('HMGET', KEYS[1], 'answer', 'own')
if known[1] then
  local answer = redis.call('GET', ARGV[1] .. known[1])
  if answer then return {'found', known[1], known[2], answer} end
  redis.call('DEL', KEYS[1])
end
if tonumber(ARGV[2]) > 0 and redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then return {'first'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'taken'} end
return {'none'}
