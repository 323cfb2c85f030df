return { redis.call('HGETALL', JOB), epoch() }
