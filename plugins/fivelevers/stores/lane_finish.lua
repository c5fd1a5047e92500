-- ARGV: id, the state that it ends in, its sealed result, our batch that it came in or ''.
-- Returns 'done' (the first answer wins), 'again' (this result is there already), 'late' (another one is), 'gone'.
local id, state, blob, batch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local request = read(id)
if not request then return 'gone' end
if not ENDED[request.state] then
  finish(id, request, state, blob)
  return 'done'
end
if request.state == state and batch ~= '' and request.batch == batch then return 'again' end
local held = redis.call('GET', lane .. 'r:' .. id)
local sealed = struct.unpack('>I4', held, 84)
return held:sub(HEAD_BYTES + sealed + 1) == blob and 'again' or 'late'
