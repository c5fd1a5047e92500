-- ARGV: batch, fence ('' for a new one), who, group, lease in seconds, first deadline, ids (32 characters each).
-- Rows of one batch come in several calls, so that Redis never stops for long. A new batch is refused when most of its
-- rows have gone meanwhile: another worker was quicker.
-- Returns the rows taken, the fence and the batch's fields; nothing where it is refused, or the batch is another's by now.
local batch, fence, who, group, lease_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local deadline, ids = ARGV[6], ARGV[7]
local key = lane .. 'b:' .. batch

local waiting = {}
for from = 1, #ids, 32 do
  local id = ids:sub(from, from + 31)
  local request = read(id)
  if request and request.state == 'Q' then waiting[#waiting + 1] = {id, request} end
end

if fence == '' then
  if #waiting * 2 < #ids / 32 or #waiting == 0 then return {} end
  fence = '1'
  redis.call('HSET', key, 'state', 'planned', 'group', group, 'by', who, 'fence', fence, 'at', at(now), 'made_at', at(now),
    'rows', 0, 'left', 0, 'tokens', 0, 'tries', 0, 'rescue_at', deadline, 'counted', 1)
  redis.call('ZADD', lane .. 'batches', at(now), batch)
elseif not holds(batch, fence) or redis.call('HGET', key, 'state') ~= 'planned' then
  return {}
end

local taken, tokens = {}, 0
for _, pair in ipairs(waiting) do
  local id, request = pair[1], pair[2]
  leave(id, request)
  request.state, request.batch = 'P', batch
  write(id, request)
  taken[#taken + 1] = id
  tokens = tokens + request.tokens
end
redis.call('APPEND', lane .. 'm:' .. batch, table.concat(taken))
redis.call('HINCRBY', key, 'rows', #taken)
redis.call('HINCRBY', key, 'left', #taken)
redis.call('HINCRBY', key, 'tokens', tokens)
redis.call('HINCRBY', lane .. 'g:' .. group, 'tokens_out', tokens)
redis.call('ZADD', lane .. 'open', at(now + lease_s), batch)
return {#taken, fence, fields(key)}
