-- KEYS: question, lease. ARGV: prefix of answers, lease in ms (0: none is wanted), whose lease it is.
-- `given` is what was answered to this very question, where another answer says the same.
-- Returns {state, id, own, answer}; state: found, first (the lease is the caller's), taken (somebody else's), none.
local known = redis.call('HMGET', KEYS[1], 'answer', 'own', 'given')
if known[3] then
  local answer = redis.call('GET', ARGV[1] .. known[3])
  if answer then return {'found', known[3], '1', answer} end
end
if known[1] then
  local answer = redis.call('GET', ARGV[1] .. known[1])
  if answer then return {'found', known[1], known[2], answer} end
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'taken'} end
if tonumber(ARGV[2]) == 0 then return {'none'} end
-- Where Redis is full there is no lease: each goes on its own.
local leased = redis.pcall('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return {leased.ok and 'first' or 'none'}
