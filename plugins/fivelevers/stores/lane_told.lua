-- ARGV: ids of ended requests that were told of: from now on they live for as long as they are kept.
for _, id in ipairs(ARGV) do
  redis.call('ZREM', lane .. 'untold', id)
  local request = read(id)
  if request and request.told == 'x' then
    if is_sent(request) then
      redis.call('EXPIRE', lane .. 'r:' .. id, SENT_KEPT_S)
    else
      redis.call('DEL', lane .. 'r:' .. id)
    end
  elseif request then
    request.told = '+'
    write(id, request)
    redis.call('EXPIRE', lane .. 'r:' .. id, math.max(request.keep_s, 1))
  end
end
