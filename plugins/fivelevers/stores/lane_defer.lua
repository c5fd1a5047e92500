-- ARGV: id of one that is asked live, seconds until the next try, 1 to count one. Returns how many there were.
local request = read(ARGV[1])
if not request or request.state ~= 'L' then return 0 end
request.attempts = math.min(request.attempts + ARGV[3], 9)
write(ARGV[1], request)
redis.call('ZADD', lane .. 'live', at(now + ARGV[2]), ARGV[1])
return request.attempts
