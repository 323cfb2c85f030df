-- ARGV: 4 prefix of the owners' indexes.
local message = get('message')
if message then
  local known, owner = pcall(function() return cjson.decode(message).owner end)
  if known then
    redis.call('ZREM', ARGV[4] .. (type(owner) == 'string' and owner or ''), ID)
  end
end
free_key()
leave_party()
leave_lane()
redis.call('DEL', JOB)
redis.call('ZREM', LIVE, ID)
return 'OK'
