-- ARGV: 4 prefix of job keys, 5 time of the idempotency key in ms, 6.. fields and values.
-- KEYS: 4 index of the owner's jobs, 5 idempotency key, if there is one.
local KEY = KEYS[5]
epoch()
redis.call('PEXPIRE', EPOCH, LIVE_MS)

local fields = {}
for at = 6, #ARGV, 2 do
  fields[ARGV[at]] = ARGV[at + 1]
end

if redis.call('EXISTS', JOB) == 1 then
  if fields.published == '1' then
    confirm()
  end
  return redis.call('HGETALL', JOB)
end
if KEY then
  local known = redis.call('GET', KEY)
  if known and redis.call('EXISTS', ARGV[4] .. known) == 1 then
    return redis.call('HGETALL', ARGV[4] .. known)
  end
  redis.call('SET', KEY, ID, 'PX', ARGV[5])
  redis.call('HSET', JOB, 'key_name', KEY)
end
redis.call('HSET', JOB, unpack(ARGV, 6))
add_to_owners(KEYS[4], ARGV[4])
if terminal(fields.state) then
  redis.call('PEXPIRE', JOB, ENDED_MS)
else
  keep_live()
end
return redis.call('HGETALL', JOB)
