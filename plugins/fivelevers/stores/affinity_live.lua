-- KEYS: of each managed deployment its live steps by when they expire. ARGV[1]: the path, 12 bytes a step.
-- Returns for each how many steps of the path live there. A step lives at least as long as those behind it.
local path = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local found = {}
for at, key in ipairs(KEYS) do
  local low, high = 0, #path / 12
  while low < high do
    local middle = math.ceil((low + high) / 2)
    local until_s = redis.call('ZSCORE', key, string.sub(path, 12 * middle - 11, 12 * middle))
    if until_s and tonumber(until_s) > now then low = middle else high = middle - 1 end
  end
  found[at] = low
end
return found
