local key = get('key_name')
if key then
  redis.call('DEL', key)
end
redis.call('DEL', JOB)
redis.call('ZREM', LIVE, ID)
return 'OK'
