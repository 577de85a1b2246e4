-- Deletes a value, if it is still the one that the caller has seen.
-- KEYS: value
-- ARGV: as seen

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return 0
end
return redis.call('DEL', KEYS[1])
