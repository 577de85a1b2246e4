-- Remembers that a grant was deleted, unless there is one, or a mark already.
-- KEYS: grant, deletion mark
-- ARGV: time

if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
	return 0
end
redis.call('SET', KEYS[2], ARGV[1])
return 1
