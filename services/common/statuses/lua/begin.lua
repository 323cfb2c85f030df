-- ARGV: 4 token, 5 message id, 6 and 7 the lease that may be taken over (its token and end, or nothing),
-- 8 expires_at, 9 lease in seconds, 10 most attempts, 11 prefix of job keys, 12.. fields and values to make a missing
-- record of, if it is to be made again.
-- KEYS: 4 index of the owner's jobs.
local TOKEN, MESSAGE_ID, MOST = ARGV[4], ARGV[5], tonumber(ARGV[10])

-- Note that its lane was served up to this job. One that was published again was perhaps begun by its first message. A
-- time in the future was noted before the clock was set back.
local function pass()
  local name, at = lane(), tonumber(queued_at()) or 0
  local served = 'studio:begun:' .. (name or '')
  local before = tonumber(redis.call('GET', served) or '0')
  if name and not get('again') and at <= now() and (at > before or before > now()) then
    redis.call('SET', served, queued_at(), 'PX', LIVE_MS)
  end
end

local function lease(attempt, event)
  write_though_full()
  pass()
  redis.call('HSET', JOB, 'state', 'running', 'attempt', attempt,
    'lease_token', TOKEN, 'lease_message_id', MESSAGE_ID, 'lease_expires_at', text(now() + ARGV[9]))
  redis.call('HSETNX', JOB, 'started_at', text(now()))
  publish()
  note(event)
  keep_live()
end

local state = get('state')
if not state then
  if #ARGV < 12 then
    return 'MISSING'
  end
  epoch()
  redis.call('HSET', JOB, unpack(ARGV, 12))
  add_to_owners(KEYS[4], ARGV[11])
  lease(1, 'begun')
  return 'HELD'
end

if terminal(state) then
  return 'LOST'
end
local attempt = tonumber(get('attempt'))
if state == 'queued' and attempt == 0 and now() > tonumber(ARGV[8]) then
  finish('expired')
  return 'LOST'
end
if get('lease_token') == TOKEN then
  return get('exhausted') and 'EXHAUSTED' or held()
end
local holder, expires_at = get('lease_token'), tonumber(get('lease_expires_at') or 'nil')
if holder and expires_at and not (holder == ARGV[6] and expires_at == tonumber(ARGV[7])) then
  return expires_at > now() and get('lease_message_id') ~= MESSAGE_ID and 'DUPLICATE' or 'BUSY'
end
if attempt >= MOST then
  lease(attempt, 'exhausted')
  redis.call('HSET', JOB, 'exhausted', '1')
  return 'EXHAUSTED'
end
lease(attempt + 1, 'begun')
return held()
