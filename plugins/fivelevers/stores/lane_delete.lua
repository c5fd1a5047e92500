-- ARGV: id. Cancels what has not ended; what is still to be told goes when it was. Returns whether there was something.
local id = ARGV[1]
local request = read(id)
if not request or request.told == 'x' then return 0 end
if not ENDED[request.state] then finish(id, request, 'C', '') end
if request.told == '+' then
  redis.call('DEL', lane .. 'r:' .. id)
else
  request.told = 'x'
  write(id, request)
end
return 1
