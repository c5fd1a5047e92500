-- ARGV: group, when it is due, id of one that waits.
redis.call('ZADD', lane .. 'q:' .. ARGV[1], 'XX', ARGV[2], ARGV[3])
