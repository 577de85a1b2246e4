-- Returns the age of each call in the ledger of a grant, oldest first, in microseconds.
-- KEYS: calls, the longest window

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local longest = tonumber(redis.call('GET', KEYS[2])) or 3600000000
local reply = {}
local calls = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #calls, 2 do
	local age = math.max(0, now - tonumber(calls[i]))
	if age < longest then
		reply[#reply + 1] = age
	end
end
return reply
