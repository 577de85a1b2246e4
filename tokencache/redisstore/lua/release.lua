-- Ends a lease, if it is still the caller's. Its generation is given out once more if no token
-- of it was stored.
-- KEYS: lease, record
-- ARGV: id, generation of the lease

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return 0
end
redis.call('DEL', KEYS[1])
local stored = redis.call('HMGET', KEYS[2], 'highest', 'generation')
local leased = tonumber(ARGV[2])
if tonumber(stored[1]) == leased and (tonumber(stored[2]) or 0) < leased then
	redis.call('HSET', KEYS[2], 'highest', string.format('%.0f', leased - 1))
end
return 1
