-- ARGV: 4 token, 5 progress, 6 lease in seconds.
if redis.call('EXISTS', JOB) == 0 then
  return 'MISSING'
end
if not runs_under(ARGV[4]) then
  return 'LOST'
end
write_though_full()
local phase = string.match(ARGV[5], '"phase":"(%a+)"')
local told = string.match(get('progress') or '', '"phase":"(%a+)"')
if phase ~= told or string.find(get('timeline') or '', '"begun"[^{]*$') then
  note(phase)
end
redis.call('HSET', JOB, 'progress', ARGV[5], 'lease_expires_at', text(now() + ARGV[6]))
keep_live()
return held()
