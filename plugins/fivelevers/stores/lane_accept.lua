-- ARGV: id, record, due at, group as JSON, flush rows, tenant, key of idempotency or '', '1' to attach to the same
-- request in flight, accepted at, seconds that lists and keys live.
-- Returns the id of the request that stands, and 'created', 'known', 'other-body' or 'in-flight'.
local id, record, due_at, group, flush_rows = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local tenant, key, attach, accepted_at, lives_s = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local fingerprint = record:sub(32, 47)

if redis.call('EXISTS', lane .. 'r:' .. id) == 1 then return {id, 'created'} end  -- this call, sent again

if key ~= '' then
  local known = redis.call('GET', lane .. 'i:' .. key)
  local standing = known and read(known:sub(1, 32))
  if standing then
    if known:sub(33) ~= fingerprint then return {known:sub(1, 32), 'other-body'} end
    return {known:sub(1, 32), (attach == '1' or ENDED[standing.state]) and 'known' or 'in-flight'}
  end
  redis.call('SET', lane .. 'i:' .. key, id .. fingerprint, 'EX', lives_s)
elseif fingerprint ~= NO_FINGERPRINT then
  local known = attach == '1' and redis.call('HGET', lane .. 'asked', fingerprint)
  local standing = known and read(known)
  if standing and not ENDED[standing.state] then return {known, 'known'} end
  redis.call('HSET', lane .. 'asked', fingerprint, id)
end

redis.call('SET', lane .. 'r:' .. id, record)
local request = read(id)
redis.call('SADD', lane .. 'groups', request.group)
redis.call('HSET', lane .. 'g:' .. request.group, 'group', group, 'flush_rows', flush_rows)
redis.call('HINCRBY', lane .. 'g:' .. request.group, 'accepted', 1)
queue(id, request, due_at)

-- A tenant's list loses as many of its oldest that are gone as it gains, and then some.
local list = lane .. 't:' .. tenant
redis.call('ZADD', list, accepted_at, id)
for _, oldest in ipairs(redis.call('ZRANGE', list, 0, 1)) do
  if redis.call('EXISTS', lane .. 'r:' .. oldest) == 0 then redis.call('ZREM', list, oldest) end
end
if redis.call('TTL', list) < tonumber(lives_s) then redis.call('EXPIRE', list, lives_s) end
return {id, 'created'}
