-- Write the states of nodes.
-- KEYS[1] prefix of the keys. ARGV: joined pairs of an 8-byte name and a state; length of a state; seconds to live.
local width = 8 + ARGV[2]
for at = 1, #ARGV[1], width do
  local name = string.sub(ARGV[1], at, at + 7)
  redis.call('SET', KEYS[1] .. name, string.sub(ARGV[1], at + 8, at + width - 1), 'EX', ARGV[3])
end
