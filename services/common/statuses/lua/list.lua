-- ARGV: 4 prefix of job keys, 5 the id to start behind, 6 how many. JOB and ID are not used.
local found, after, wanted = {}, ARGV[5], tonumber(ARGV[6])
while #found < wanted do
  local from = after == '' and '-' or '(' .. after
  local ids = redis.call('ZRANGEBYLEX', LIVE, from, '+', 'LIMIT', 0, wanted - #found)
  if #ids == 0 then
    break
  end
  for _, id in ipairs(ids) do
    local record = redis.call('HGETALL', ARGV[4] .. id)
    if #record == 0 then
      redis.call('ZREM', LIVE, id)
    else
      found[#found + 1] = record
    end
    after = id
  end
end
return found
