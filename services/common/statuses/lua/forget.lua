-- ARGV: 4 prefix of job keys, 5.. ids that a reader found without a record. JOB and ID are not used.
-- KEYS: 4 the index they are in.
for at = 5, #ARGV do
  if redis.call('EXISTS', ARGV[4] .. ARGV[at]) == 0 then
    redis.call('ZREM', KEYS[4], ARGV[at])
  end
end
