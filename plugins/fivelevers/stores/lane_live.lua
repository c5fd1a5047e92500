-- ARGV: ids (32 characters each). Those that wait or are in a batch are asked live from now on; the first answer wins.
-- Returns how many.
local ids, moved = ARGV[1], 0
for from = 1, #ids, 32 do
  local id = ids:sub(from, from + 31)
  local request = read(id)
  if request and (request.state == 'Q' or request.state == 'P') then
    leave(id, request)
    request.state, moved = 'L', moved + 1
    write(id, request)
    redis.call('ZADD', lane .. 'live', at(now), id)
  end
end
return moved
