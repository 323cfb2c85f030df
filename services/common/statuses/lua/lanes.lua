-- ARGV: 4 prefix of job keys, 5 the most jobs read of a lane, 6 how many are read in any case, 7 how much later
-- another one was published that passed a job, 8 how long ago the lease of a silent job ran out (both in seconds), 9 the
-- id behind which live jobs are looked for that no lane has. JOB and ID are of no job at first.
-- Returns the lanes, each as its name, the ids of leased jobs, and pairs of a record and whether it was passed; and the
-- id up to which live jobs were looked for.
local PREFIX, MOST, FIRST, LATER = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local SILENT_SINCE = text(now() - ARGV[8])
local lanes, in_lanes = {}, 0

-- The record of a live job. The ids of others, and of what is no record, leave the lane.
local function read(name, id)
  local record = redis.pcall('HGETALL', PREFIX .. id)
  if record.err and not string.find(record.err, 'WRONGTYPE') then
    error(record.err)
  end
  if record.err or #record == 0 or terminal(redis.call('HGET', PREFIX .. id, 'state')) then
    redis.call('ZREM', 'studio:waiting:' .. name, id)
    redis.call('ZREM', 'studio:leased:' .. name, id)
    return nil
  end
  return record
end

for _, name in ipairs(redis.call('SMEMBERS', 'studio:lanes')) do
  local waiting, leased = 'studio:waiting:' .. name, 'studio:leased:' .. name
  local served = tonumber(redis.call('GET', 'studio:begun:' .. name) or '0') - LATER
  if served > now() then
    served = 0 -- noted before the clock was set back
  end
  local count = math.min(MOST, math.max(FIRST, redis.call('ZCOUNT', waiting, '-inf', served)))
  local jobs = {}
  local function add(ids)
    for _, id in ipairs(ids) do
      local record = read(name, id)
      if record then
        JOB = PREFIX .. id
        jobs[#jobs + 1] = { record, (tonumber(queued_at()) or 0) <= served and '1' or '0' }
      end
    end
  end
  add(redis.call('ZRANGEBYSCORE', leased, '-inf', SILENT_SINCE, 'LIMIT', 0, MOST))
  add(redis.call('ZRANGE', waiting, 0, count - 1))
  lanes[#lanes + 1] = { name, redis.call('ZRANGEBYSCORE', leased, '(' .. SILENT_SINCE, '+inf'), jobs }
  local size = redis.call('ZCARD', waiting) + redis.call('ZCARD', leased)
  in_lanes = in_lanes + size
  if size == 0 then
    redis.call('SREM', 'studio:lanes', name)
  end
end

-- An earlier version kept no lanes, and a key of a lane may get lost: live jobs come into their lanes a page at a time.
local after = ''
if redis.call('ZCARD', LIVE) ~= in_lanes then
  local ids = redis.call('ZRANGEBYLEX', LIVE, ARGV[9] == '' and '-' or '(' .. ARGV[9], '+', 'LIMIT', 0, MOST)
  for _, id in ipairs(ids) do
    JOB, ID, after = PREFIX .. id, id, id
    if redis.call('EXISTS', JOB) == 0 then
      redis.call('ZREM', LIVE, id)
    else
      pcall(keep_in_lane) -- a key that is no record keeps no other from its lane
    end
  end
end
return { lanes, after }
