-- Moves a call to now, or strikes it out.
-- KEYS: calls, the longest window
-- ARGV: id, 1 = it counts

redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] == '1' then
	local time = redis.call('TIME')
	redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[1])
	local life = math.ceil((tonumber(redis.call('GET', KEYS[2])) or 3600000000) / 1000) + 1000
	redis.call('PEXPIRE', KEYS[1], life)
end
return 1
