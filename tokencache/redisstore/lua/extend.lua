-- Gives a lease another life, if it is still the caller's.
-- KEYS: lease
-- ARGV: id, life in milliseconds

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
