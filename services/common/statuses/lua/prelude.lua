-- Put before every script, so that each transition is one atomic call. The rules are those of transitions.py.
-- A job is a hash with the fields of StatusRecord (row.py) and seven of our own: key_name (its idempotency key), party
-- (the set of live jobs it counts in), exhausted (the lease was given without an attempt left), ended_by (the token
-- that finished it), lane (as brokers/lanes.py names it), queued_at (when its message was published last, in seconds)
-- and again (it was published more than once).
local JOB, LIVE, EPOCH = KEYS[1], KEYS[2], KEYS[3]
local ID, LIVE_MS, ENDED_MS = ARGV[1], ARGV[2], ARGV[3]

local function get(field)
  return redis.call('HGET', JOB, field)
end

-- The server's clock, in seconds: leases of all workers are measured by one clock.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function text(seconds)
  return string.format('%.6f', seconds)
end

local function terminal(state)
  return state ~= 'queued' and state ~= 'running'
end

-- When this store was first used, in whole milliseconds like the time inside an id.
local function epoch()
  redis.call('SET', EPOCH, text(math.floor(now() * 1000) / 1000), 'NX', 'PX', LIVE_MS)
  return redis.call('GET', EPOCH)
end

-- A record of an earlier version has no field with its lane. A damaged one may have none at all.
local function lane()
  local name = get('lane')
  if not name then
    local known, message = pcall(cjson.decode, get('message') or '')
    if not known or type(message) ~= 'table' or type(message.model) ~= 'string' then
      return nil
    end
    name = message.model .. (get('bulk') == '1' and '_bulk' or '')
    redis.call('HSET', JOB, 'lane', name)
  end
  return name
end

local function queued_at()
  return get('queued_at') or get('created_at') or '0'
end

-- Its lane has the job either among the waiting ones, in the order of their messages, or among the leased ones.
local function keep_in_lane()
  local name = lane()
  if not name then
    return
  end
  local index, score, other = 'studio:waiting:' .. name, queued_at(), 'studio:leased:' .. name
  if get('state') == 'running' then
    index, score, other = other, get('lease_expires_at'), index
  end
  redis.call('ZREM', other, ID)
  redis.call('ZADD', index, score, ID)
  redis.call('PEXPIRE', index, LIVE_MS)
  redis.call('SADD', 'studio:lanes', name)
  redis.call('PEXPIRE', 'studio:lanes', LIVE_MS)
end

local function leave_lane()
  local name = lane()
  if name then
    redis.call('ZREM', 'studio:waiting:' .. name, ID)
    redis.call('ZREM', 'studio:leased:' .. name, ID)
  end
end

-- A live record goes away only when everybody has forgotten it: every write gives it its whole time again.
local function keep_live()
  redis.call('PEXPIRE', JOB, LIVE_MS)
  redis.call('ZADD', LIVE, 0, ID)
  redis.call('PEXPIRE', LIVE, LIVE_MS)
  keep_in_lane()
end

-- An index lists every job of one owner, also those that are over. Whose record has gone leaves it here, a few of the
-- oldest at a time, and after the index was read: without that, one that nobody reads would only grow.
local function add_to_owners(index, prefix)
  redis.call('ZADD', index, 0, ID)
  redis.call('PEXPIRE', index, LIVE_MS)
  for _, id in ipairs(redis.call('ZRANGE', index, 0, 9)) do
    if redis.call('EXISTS', prefix .. id) == 1 then
      break
    end
    redis.call('ZREM', index, id)
  end
end

-- Records may go without being finished, so before somebody is refused those are taken out.
local function count_live(party, prefix, most)
  local live = redis.call('SCARD', party)
  if not most or live < most then
    return live
  end
  for _, id in ipairs(redis.call('SMEMBERS', party)) do
    if redis.call('EXISTS', prefix .. id) == 0 then
      redis.call('SREM', party, id)
    end
  end
  return redis.call('SCARD', party)
end

-- A server that is full takes a script whose first write needs no memory. So jobs under way end, and free some.
local function write_though_full()
  redis.call('PEXPIRE', JOB, LIVE_MS)
end

local function leave_party()
  local party = get('party')
  if party then
    redis.call('SREM', party, ID)
  end
end

local function release_lease()
  redis.call('HDEL', JOB, 'progress', 'exhausted', 'lease_token', 'lease_message_id', 'lease_expires_at')
end

-- One more event of the job's timeline, at most as many as MOST_EVENTS of transitions.py.
local function note(what)
  local events = get('timeline') or '[]'
  local _, count = string.gsub(events, '"what"', '')
  if count < 60 then
    local attempt = get('attempt') or '0'
    local event = '{"what":"' .. what .. '","at":' .. text(now()) .. ',"attempt":' .. attempt .. '}'
    local before = count == 0 and '[' or string.sub(events, 1, -2) .. ','
    redis.call('HSET', JOB, 'timeline', before .. event .. ']')
  end
end

local function publish()
  if get('published') ~= '1' then
    note('published')
    redis.call('HSET', JOB, 'published', '1')
  end
end

local function finish(state)
  note(state)
  release_lease()
  leave_party()
  leave_lane()
  redis.call('HDEL', JOB, 'bulk')
  redis.call('HSET', JOB, 'state', state, 'finished_at', text(now()))
  redis.call('PEXPIRE', JOB, ENDED_MS)
  redis.call('ZREM', LIVE, ID)
  redis.call('PUBLISH', 'studio:ended', ID)
end

local function held()
  return get('cancel_requested') == '1' and 'CANCEL' or 'HELD'
end

local function runs_under(token)
  return token ~= '' and get('state') == 'running' and get('lease_token') == token
end

-- Forget the idempotency key, unless another job has it by now.
local function free_key()
  local key = get('key_name')
  if key and redis.call('GET', key) == ID then
    redis.call('DEL', key)
  end
end

-- The message of a job that is there is in its queue.
local function confirm()
  if get('published') == '1' then
    redis.call('HSET', JOB, 'again', '1')
  end
  publish()
  if not terminal(get('state')) then
    redis.call('HSET', JOB, 'queued_at', text(now()))
    keep_live()
  end
end
