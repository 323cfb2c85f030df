free_key()
redis.call('DEL', JOB)
redis.call('ZREM', LIVE, ID)
return 'OK'
