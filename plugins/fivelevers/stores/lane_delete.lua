-- ARGV: id, and 1 where its row at the provider was metered. Cancels what has not ended. What is still to be told goes
-- when it was, and what a provider has when its row was metered. Returns whether there was something.
local id = ARGV[1]
local request = read(id)
if not request then return 0 end
if request.told == 'x' then
  local awaited = ARGV[2] ~= '1' and is_sent(request)
  if not awaited and not redis.call('ZSCORE', lane .. 'untold', id) then redis.call('DEL', lane .. 'r:' .. id) end
  return 0
end
if not ENDED[request.state] then finish(id, request, 'C', '') end
if request.told == '+' and not is_sent(request) then
  redis.call('DEL', lane .. 'r:' .. id)
else
  if request.told == '+' then redis.call('EXPIRE', lane .. 'r:' .. id, SENT_KEPT_S) end
  request.told = 'x'
  write(id, request)
end
return 1
