-- KEYS[1]: a hash of places. ARGV: field, value, field, value ... Values begin with their stamp, and a later one wins.
for at = 1, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[at])
  if not known or known < ARGV[at + 1] then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
