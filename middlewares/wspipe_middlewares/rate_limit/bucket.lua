-- Draws from one bucket, on the server's clock. The arithmetic is that of gcra.py, in microseconds.
--
-- KEYS[1]  the bucket: "time mark debt ...", one debt for each limit
-- ARGV     least, most, ahead, returned, mark of what is returned;
--          then scale, interval and tolerance of each limit
-- returns  count, wait, mark, debt ...

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local least, most, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local returned, returned_mark = tonumber(ARGV[4]), tonumber(ARGV[5])

local state = {}
for field in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do
  state[#state + 1] = tonumber(field)
end
local last = state[1] or now
local elapsed = math.max(0, now - last)
local mark = state[2] or 0
local takes_back = returned > 0 and returned_mark == mark

local debts, count, wait = {}, most, 0
for i = 1, (#ARGV - 5) / 3 do
  local scale = tonumber(ARGV[3 * i + 3])
  local interval = tonumber(ARGV[3 * i + 4])
  local tolerance = tonumber(ARGV[3 * i + 5])
  local debt = math.max(0, (state[i + 2] or 0) - elapsed * scale)
  if takes_back then
    debt = math.max(0, debt - returned * interval)
  end
  count = math.min(count, math.floor((tolerance - debt + ahead * scale) / interval))
  wait = math.max(wait, math.ceil((debt - tolerance + least * interval) / scale))
  debts[i] = debt
end
if count < least then
  count = 0
end

local changes = count > 0 or takes_back
if changes then
  mark = math.max(now, mark + 1)
end
-- A clock that was set back is noted at once, or else time would stand still until it has caught up.
if changes or now < last then
  local lasts = 0
  local fields = {string.format('%.0f', now), string.format('%.0f', mark)}
  for i = 1, #debts do
    debts[i] = debts[i] + count * tonumber(ARGV[3 * i + 4])
    lasts = math.max(lasts, debts[i] / tonumber(ARGV[3 * i + 3]))
    fields[i + 2] = string.format('%.0f', debts[i])
  end
  -- A bucket that is full is as good as none.
  redis.call('SET', KEYS[1], table.concat(fields, ' '), 'PX', math.ceil(lasts / 1000) + 1)
end
return {count, wait, mark, unpack(debts)}
