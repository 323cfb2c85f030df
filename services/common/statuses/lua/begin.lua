-- ARGV: 4 token, 5 message id, 6 the lease's attempt, 7 expires_at, 8 lease in seconds, 9 most attempts,
-- 10 prefix of job keys, 11.. fields and values to make a missing record of, if it is to be made again.
-- KEYS: 4 index of the owner's jobs.
local TOKEN, MESSAGE_ID, MOST = ARGV[4], ARGV[5], tonumber(ARGV[9])

local function lease(attempt, event)
  redis.call('HSET', JOB, 'state', 'running', 'attempt', attempt,
    'lease_token', TOKEN, 'lease_message_id', MESSAGE_ID, 'lease_expires_at', text(now() + ARGV[8]))
  redis.call('HSETNX', JOB, 'started_at', text(now()))
  publish()
  note(event)
  keep_live()
end

local function exhaust(attempt)
  lease(attempt, 'exhausted')
  redis.call('HSET', JOB, 'exhausted', '1')
  return 'EXHAUSTED'
end

local state = get('state')
if not state then
  if #ARGV < 11 then
    return 'MISSING'
  end
  epoch()
  redis.call('HSET', JOB, unpack(ARGV, 11))
  add_to_owners(KEYS[4], ARGV[10])
  local attempt = tonumber(ARGV[6])
  if attempt > MOST then
    return exhaust(MOST)
  end
  lease(attempt, 'begun')
  return 'HELD'
end

if terminal(state) then
  return 'LOST'
end
local attempt = tonumber(get('attempt'))
if state == 'queued' and attempt == 0 and now() > tonumber(ARGV[7]) then
  finish('expired')
  return 'LOST'
end
if get('lease_token') == TOKEN then
  return get('exhausted') and 'EXHAUSTED' or held()
end
local expires_at = get('lease_expires_at')
if expires_at and tonumber(expires_at) > now() and get('lease_message_id') ~= MESSAGE_ID then
  return 'DUPLICATE'
end
if attempt >= MOST then
  return exhaust(attempt)
end
lease(attempt + 1, 'begun')
return held()
