-- The states of a prompt's nodes that are there, each kept alive, in one round trip.
-- KEYS[1] prefix of the keys. ARGV: joined names of 8 bytes; seconds that a node lives on.
-- Answers joined pairs of a 2-byte index and the state, which has the same length for all nodes.
local found = {}
for at = 1, #ARGV[1], 8 do
  local state = redis.call('GETEX', KEYS[1] .. string.sub(ARGV[1], at, at + 7), 'EX', ARGV[2])
  if state then
    found[#found + 1] = struct.pack('<I2', (at - 1) / 8) .. state
  end
end
return table.concat(found)
