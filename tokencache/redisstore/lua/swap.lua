-- Writes a value, if what is there is still what the caller has seen.
-- KEYS: value
-- ARGV: as seen ("" for none), new

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
	return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
