-- ARGV: 'live' or 'untold', how many at most, lease in seconds. The caller has those that it gets until the lease is
-- over. Returns their ids.
local list, most, lease_s = lane .. ARGV[1], ARGV[2], ARGV[3]
local mine = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', list, '-inf', at(now), 'LIMIT', 0, most)) do
  local request = read(id)
  if request and (ARGV[1] == 'untold') == (ENDED[request.state] or false) then
    redis.call('ZADD', list, at(now + lease_s), id)
    mine[#mine + 1] = id
  else
    redis.call('ZREM', list, id)
  end
end
return mine
