local state = get('state')
if state == 'queued' then
  write_though_full()
  finish('canceled')
  redis.call('HDEL', JOB, 'ended_by')
elseif state == 'running' then
  write_though_full()
  if get('cancel_requested') ~= '1' then
    note('canceling')
  end
  redis.call('HSET', JOB, 'cancel_requested', '1')
  keep_live()
end
return redis.call('HGETALL', JOB)
