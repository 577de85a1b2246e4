-- Reads the ledger of a grant.
-- KEYS: calls, the longest window
-- Returns the time of the server, then the age of each call, oldest first, in microseconds.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local longest = tonumber(redis.call('GET', KEYS[2])) or 3600000000
local reply = {now}
local calls = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #calls, 2 do
	local age = math.max(0, now - tonumber(calls[i]))
	if age < longest then
		reply[#reply + 1] = age
	end
end
return reply
