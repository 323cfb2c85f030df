-- ARGV: 4 prefix of job keys, 5 the id to start behind, 6 how many. JOB and ID are not used.
-- Writes nothing, so that a server that takes no writes can still be read. Returns the records; the ids that have none;
-- and the id to go on behind, or nothing where the index ends.
-- KEYS: 4 index of an owner's jobs, whose newest come first; without it the live jobs, the oldest first.
local INDEX = KEYS[4] or LIVE
local found, gone, after, wanted = {}, {}, ARGV[5], tonumber(ARGV[6])

local function page()
  if KEYS[4] then
    local from = after == '' and '+' or '(' .. after
    return redis.call('ZREVRANGEBYLEX', INDEX, from, '-', 'LIMIT', 0, wanted - #found)
  end
  local from = after == '' and '-' or '(' .. after
  return redis.call('ZRANGEBYLEX', INDEX, from, '+', 'LIMIT', 0, wanted - #found)
end

local passed_over = 0

-- One call must not keep everybody waiting: what is left of a long row of forgotten ids is for the next.
while #found < wanted and passed_over < 1000 do
  local ids = page()
  if #ids == 0 then
    return { found, gone, '' }
  end
  for _, id in ipairs(ids) do
    local record = redis.pcall('HGETALL', ARGV[4] .. id)
    if record.err then
      if not string.find(record.err, 'WRONGTYPE') then
        return record
      end
      passed_over = passed_over + 1 -- what is no record keeps none from being found
    elseif #record == 0 then
      gone[#gone + 1] = id
      passed_over = passed_over + 1
    else
      found[#found + 1] = record
    end
    after = id
  end
end
return { found, gone, after }
