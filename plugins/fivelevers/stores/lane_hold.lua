-- ARGV: group, then field, value ...: what it may have at its provider, and from when on.
redis.call('HSET', lane .. 'g:' .. ARGV[1], unpack(ARGV, 2))
