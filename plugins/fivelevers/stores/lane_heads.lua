-- ARGV: ids (32 characters each). Their heads, joined; zeros for one that is gone.
local heads = {}
for from = 1, #ARGV[1], 32 do
  local request = read(ARGV[1]:sub(from, from + 31))
  heads[#heads + 1] = request and request.raw or string.rep('\0', HEAD_BYTES)
end
return table.concat(heads)
