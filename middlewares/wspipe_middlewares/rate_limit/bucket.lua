-- Draws from one bucket, on the server's clock. The arithmetic is that of gcra.py, in microseconds.
--
-- KEYS[1]  the bucket: "time mark debt ...", one debt for each limit
-- ARGV     least, most, ahead, 1 for sparing, share, returned, mark of what is returned;
--          then scale, interval and tolerance of each limit
-- returns  count, wait, mark, debt ...

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local least, most, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local sparing, share = ARGV[4] == '1', tonumber(ARGV[5])
local returned, returned_mark = tonumber(ARGV[6]), tonumber(ARGV[7])

local state = {}
for field in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do
  state[#state + 1] = tonumber(field)
end
local last = state[1] or now
local elapsed = math.max(0, now - last)
local mark = state[2] or 0
local takes_back = returned > 0 and returned_mark == mark

local debts, possible, held, wait = {}, most, math.huge, 0
for i = 1, (#ARGV - 7) / 3 do
  local scale = tonumber(ARGV[3 * i + 5])
  local interval = tonumber(ARGV[3 * i + 6])
  local tolerance = tonumber(ARGV[3 * i + 7])
  local debt = math.max(0, (state[i + 2] or 0) - elapsed * scale)
  if takes_back then
    debt = math.max(0, debt - returned * interval)
  end
  possible = math.min(possible, math.floor((tolerance - debt + ahead * scale) / interval))
  held = math.min(held, math.floor((tolerance - debt) / interval))
  wait = math.max(wait, math.ceil((debt - tolerance + least * interval) / scale))
  debts[i] = debt
end
local count = 0
if possible >= least then
  count = possible
  if sparing then
    count = math.min(count, math.floor(held / 4))
  end
  if share > 0 and -held > share then
    count = math.min(count, math.floor(share * share / -held))
  end
  count = math.max(count, least)
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
    debts[i] = debts[i] + count * tonumber(ARGV[3 * i + 6])
    lasts = math.max(lasts, debts[i] / tonumber(ARGV[3 * i + 5]))
    fields[i + 2] = string.format('%.0f', debts[i])
  end
  -- A bucket that is full is as good as none.
  redis.call('SET', KEYS[1], table.concat(fields, ' '), 'PX', math.ceil(lasts / 1000) + 1)
end
return {count, wait, mark, unpack(debts)}
