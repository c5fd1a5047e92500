-- Stands before every script of the lane. KEYS[1]: what all keys begin with; they share one hash tag, so one slot.
-- A request is one string: a head of fixed width (lane_record.py has the same), the sealed request, the sealed result.
local lane = KEYS[1]
local HEAD_BYTES = 87
local ENDED = {D = true, F = true, R = true, C = true}
local REPORTS_KEPT = 10000
local SENT_KEPT_S = 3 * 86400  -- of what was deleted while a provider had it, for its row on the bill

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000

local function at(seconds) return string.format('%.3f', seconds) end

local function read(id)
  local raw = redis.call('GETRANGE', lane .. 'r:' .. id, 0, HEAD_BYTES - 1)
  if #raw < HEAD_BYTES then return nil end
  return {
    raw = raw, state = raw:sub(1, 1), attempts = tonumber(raw:sub(2, 2)), told = raw:sub(3, 3), group = raw:sub(4, 15),
    batch = raw:sub(16, 31), fingerprint = raw:sub(32, 47), bytes = struct.unpack('>I4', raw, 56),
    tokens = struct.unpack('>I4', raw, 60), keep_s = struct.unpack('>I4', raw, 72),
  }
end

local NO_BATCH, NO_FINGERPRINT = string.rep('-', 16), string.rep('\0', 16)

-- State, attempts, told, group and batch stand first, in this order.
local function write(id, request)
  local fields = request.state .. request.attempts .. request.told .. request.group .. request.batch
  redis.call('SETRANGE', lane .. 'r:' .. id, 0, fields)
end

local function queue(id, request, due_at)
  redis.call('ZADD', lane .. 'q:' .. request.group, due_at, id)
  redis.call('HINCRBY', lane .. 'g:' .. request.group, 'bytes', request.bytes)
  redis.call('HINCRBY', lane .. 'g:' .. request.group, 'tokens', request.tokens)
end

-- Out of the queue, of a batch's open requests, or of those that are being asked live.
local function leave(id, request)
  if request.state == 'Q' then
    redis.call('ZREM', lane .. 'q:' .. request.group, id)
    redis.call('HINCRBY', lane .. 'g:' .. request.group, 'bytes', -request.bytes)
    redis.call('HINCRBY', lane .. 'g:' .. request.group, 'tokens', -request.tokens)
  elseif request.state == 'L' then
    redis.call('ZREM', lane .. 'live', id)
  elseif redis.call('EXISTS', lane .. 'b:' .. request.batch) == 1 then
    redis.call('HINCRBY', lane .. 'b:' .. request.batch, 'left', -1)
  end
end

-- Whether a row of it may still come back, and be billed, although it has ended otherwise.
local AT_PROVIDER = {uploading = true, uploaded = true, creating = true, submitted = true, terminal = true}
local function is_sent(request)
  return AT_PROVIDER[redis.call('HGET', lane .. 'b:' .. request.batch, 'state')] == true
end

-- The end of a request. It stays until it was told of (lane_told.lua), and from then on for as long as it is kept.
local function finish(id, request, state, blob)
  leave(id, request)
  local key = lane .. 'r:' .. id
  request.state = state
  if #blob > 0 then
    local held = redis.call('GET', key)
    local sealed = struct.unpack('>I4', held, 84)
    redis.call('SET', key, held:sub(1, HEAD_BYTES + sealed) .. blob)
  end
  write(id, request)
  if redis.call('HGET', lane .. 'asked', request.fingerprint) == id then
    redis.call('HDEL', lane .. 'asked', request.fingerprint)
  end
  redis.call('ZADD', lane .. 'untold', at(now), id)
  redis.call('HINCRBY', lane .. 'g:' .. request.group, state, 1)
  redis.call('XADD', lane .. 'ended', 'MAXLEN', '~', REPORTS_KEPT, '*', 'id', id)
end

-- Whether a batch is still held by who says so: the fence goes up whenever somebody takes it over.
local function holds(batch, fence)
  return redis.call('HGET', lane .. 'b:' .. batch, 'fence') == fence
end

-- Of a batch, and the time that it is by this clock.
local function fields(key)
  local found = redis.call('HGETALL', key)
  found[#found + 1], found[#found + 2] = 'now', at(now)
  return found
end
