-- KEYS[1]: the differences of a day. ARGV[1]: how many places it may hold; ARGV[2]: seconds that it is kept; then for
-- each place its name, times, tokens, picodollars and the character. A place that finds no room counts as none.
for at = 3, #ARGV, 5 do
  local name = ARGV[at]
  if redis.call('HEXISTS', KEYS[1], name .. ':times') == 1 or redis.call('HLEN', KEYS[1]) < 4 * tonumber(ARGV[1]) then
    redis.call('HINCRBY', KEYS[1], name .. ':times', ARGV[at + 1])
    redis.call('HINCRBY', KEYS[1], name .. ':tokens', ARGV[at + 2])
    redis.call('HINCRBY', KEYS[1], name .. ':pusd', ARGV[at + 3])
    redis.call('HSET', KEYS[1], name .. ':offset', ARGV[at + 4])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
