-- KEYS: questions. ARGV: prefix of answers. Returns for each {answer's id, signature}, false where
-- its answer is gone (expired, deleted, evicted): then the question goes too, or it would keep the place of another one.
local found = {}
for at, key in ipairs(KEYS) do
  local fields = redis.call('HMGET', key, 'answer', 'signature')
  found[at] = false
  if fields[1] then
    if redis.call('EXISTS', ARGV[1] .. fields[1]) == 1 then found[at] = fields else redis.pcall('DEL', key) end
  end
end
return found
