-- KEYS: questions. ARGV: prefix of answers. Returns for each the id of the answer that it points to, '' where that is
-- gone (expired, deleted, evicted): then the question goes too, since it would take the place of one that can be served.
local found = {}
for at, key in ipairs(KEYS) do
  local answer = redis.call('HGET', key, 'answer')
  if answer and redis.call('EXISTS', ARGV[1] .. answer) == 1 then
    found[at] = answer
  else
    if answer then redis.call('DEL', key) end
    found[at] = ''
  end
end
return found
