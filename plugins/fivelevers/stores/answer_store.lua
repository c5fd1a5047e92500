-- KEYS: question, lease. ARGV: prefix of answers, answer's id, its bytes ('' where it is stored already), when it
-- expires (seconds), then the question's fields. Returns the id of the answer that the question points to; '' where
-- the answer that it should point to is gone.
redis.call('DEL', KEYS[2])
local known = redis.call('HGET', KEYS[1], 'answer')
if known and redis.call('EXISTS', ARGV[1] .. known) == 1 then return known end
local answer = ARGV[1] .. ARGV[2]
local until_s = ARGV[4]
if ARGV[3] ~= '' then
  redis.call('SET', answer, ARGV[3], 'EXAT', until_s)
else
  local left = redis.call('EXPIRETIME', answer)
  if left == -2 then return '' end
  if left > 0 then until_s = left end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'answer', ARGV[2], 'expires', until_s, unpack(ARGV, 5))
redis.call('EXPIREAT', KEYS[1], until_s)
return ARGV[2]
