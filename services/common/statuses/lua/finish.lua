-- ARGV: 4 token, 5 state, 6 artifacts, 7 error or nothing, 8 whether the idempotency key is forgotten, 9 warnings.
local TOKEN, STATE = ARGV[4], ARGV[5]
local state = get('state')
if not state then
  return 'MISSING'
end
-- Called again because the answer was lost on its way: it is still this call's doing.
if TOKEN ~= '' and get('ended_by') == TOKEN and state == STATE then
  return 'HELD'
end
-- Given up by one gateway, when another has accepted it and told its client so.
local accepted = ARGV[8] == '1' and get('published') == '1'
if not runs_under(TOKEN) and not (TOKEN == '' and state == 'queued' and not accepted) then
  return 'LOST'
end

write_though_full()
redis.call('HSET', JOB, 'ended_by', TOKEN)
if STATE == 'queued' then
  note('released')
  release_lease()
  redis.call('HSET', JOB, 'state', 'queued', 'attempt', math.max(tonumber(get('attempt')) - 1, 0))
  keep_live()
else
  finish(STATE)
  redis.call('HSET', JOB, 'artifacts', ARGV[6], 'warnings', ARGV[9])
  if ARGV[7] ~= '' then
    redis.call('HSET', JOB, 'error', ARGV[7])
  end
end
if ARGV[8] == '1' then
  free_key()
end
return 'HELD'
