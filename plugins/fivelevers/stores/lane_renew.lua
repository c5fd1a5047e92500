-- ARGV: batch, fence, lease in seconds. Returns whether it is still the caller's, for another lease.
if not holds(ARGV[1], ARGV[2]) or redis.call('HGET', lane .. 'b:' .. ARGV[1], 'state') == 'gone' then return 0 end
redis.call('ZADD', lane .. 'open', at(now + ARGV[3]), ARGV[1])
return 1
