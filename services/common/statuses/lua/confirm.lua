-- Spares sending the whole record again; nothing where it is not there any more.
if redis.call('EXISTS', JOB) == 1 then
  confirm()
end
return redis.call('HGETALL', JOB)
