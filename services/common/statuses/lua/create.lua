-- ARGV: 4 prefix of job keys, 5 time of the idempotency key in ms, 6 the most live jobs of the party (or nothing),
-- 7 how many of them are not bulk, 8.. fields and values.
-- KEYS: 4 index of the owner's jobs, 5 the party's live jobs (or nothing), 6 idempotency key, if there is one.
local PARTY, KEY, MOST, AHEAD = KEYS[5], KEYS[6], tonumber(ARGV[6]), tonumber(ARGV[7])
epoch()
redis.call('PEXPIRE', EPOCH, LIVE_MS)

local fields = {}
for at = 8, #ARGV, 2 do
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
end
local live = PARTY ~= '' and count_live(PARTY, ARGV[4], MOST)
if live and MOST and live >= MOST then
  return 'TOO_MANY'
end
if KEY then
  redis.call('SET', KEY, ID, 'PX', ARGV[5])
  redis.call('HSET', JOB, 'key_name', KEY)
end
redis.call('HSET', JOB, 'queued_at', text(now()), unpack(ARGV, 8))
if live then
  redis.call('SADD', PARTY, ID)
  redis.call('PEXPIRE', PARTY, LIVE_MS)
  redis.call('HSET', JOB, 'party', PARTY, 'bulk', live >= AHEAD and '1' or '0')
end
add_to_owners(KEYS[4], ARGV[4])
if terminal(fields.state) then
  redis.call('PEXPIRE', JOB, ENDED_MS)
else
  keep_live()
end
return redis.call('HGETALL', JOB)
