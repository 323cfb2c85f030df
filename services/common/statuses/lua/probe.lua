-- Does what a submit, a transition and an end do, of about the size of a submit: a server that would refuse one of them
-- refuses this. JOB and ID are not used.
-- ARGV: 4 how long it is kept in ms, 5 a text as long as a record. KEYS: 4 a record, 5 an index.
epoch()
redis.call('HSET', KEYS[4], 'message', ARGV[5])
redis.call('PEXPIRE', KEYS[4], ARGV[4])
redis.call('ZADD', KEYS[5], 0, KEYS[4])
redis.call('PEXPIRE', KEYS[5], ARGV[4])
redis.call('ZREM', KEYS[5], KEYS[4])
redis.call('PUBLISH', 'studio:probed', '')
return 'OK'
