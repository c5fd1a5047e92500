-- KEYS: question, lease. ARGV: prefix of answers, answer's id, its bytes ('' where it is stored already), when it
-- expires (seconds), id and bytes of what was given to this very question ('' where that is the answer itself), then
-- the question's fields. Returns the id of the answer that the question points to; '' where
-- the answer that it should point to is gone. The lease ends, whatever comes of it, and last: Redis refuses to be
-- overfilled by a script's first write alone.
local function stored()
  local known = redis.call('HGET', KEYS[1], 'answer')
  if known and redis.call('EXISTS', ARGV[1] .. known) == 1 then return known end
  local answer = ARGV[1] .. ARGV[2]
  local until_s = ARGV[4]
  if ARGV[3] ~= '' then
    local written = redis.pcall('SET', answer, ARGV[3], 'EXAT', until_s)
    if written.err then return written end
  else
    local left = redis.call('EXPIRETIME', answer)
    if left == -2 then return '' end
    if left > 0 then until_s = left end
  end
  redis.call('DEL', KEYS[1])
  if ARGV[5] ~= '' then
    local given = redis.pcall('SET', ARGV[1] .. ARGV[5], ARGV[6], 'EXAT', until_s)
    if given.err then return given end
    redis.call('HSET', KEYS[1], 'given', ARGV[5])
  end
  local pointed = redis.pcall('HSET', KEYS[1], 'answer', ARGV[2], unpack(ARGV, 7))
  if type(pointed) == 'table' then return pointed end
  redis.call('EXPIREAT', KEYS[1], until_s)
  return ARGV[2]
end
local result = stored()
redis.call('DEL', KEYS[2])
return result
