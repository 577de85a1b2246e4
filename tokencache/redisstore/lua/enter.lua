-- Enters a call into the ledger of a grant, if there is room. Time is that of the server, in
-- microseconds, so that all count by one clock.
-- KEYS: calls (sorted by time), the longest window that anybody counts by
-- ARGV: id, budget, window in microseconds
-- Returns 1 = entered or 0 = no room, then what calls.lua returns.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local budget, window = tonumber(ARGV[2]), tonumber(ARGV[3])
local longest = math.max(tonumber(redis.call('GET', KEYS[2])) or 0, window)
local life = math.ceil(longest / 1000) + 1000

redis.call('SET', KEYS[2], string.format('%.0f', longest), 'PX', life)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - longest))
local entered = 0
redis.call('ZREM', KEYS[1], ARGV[1]) -- the caller asks once more: the answer was lost
if redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now - window), '+inf') < budget then
	redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
	entered = 1
end
redis.call('PEXPIRE', KEYS[1], life)

local reply = {entered, now}
local calls = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #calls, 2 do
	reply[#reply + 1] = math.max(0, now - tonumber(calls[i]))
end
return reply
