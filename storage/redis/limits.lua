-- Decides who may send now. The only clock is the server's own, in microseconds, so that all processes have the same.
-- Redis runs each call alone, so that no two of them get the last grant. All keys of a number have its id, and expire.
--
--   tick:granted:NUMBER   list         the instants of the newest grants, newest first, no more than the limit
--   tick:waiting:NUMBER   sorted set   customer -> since when it waits for the number: the queue
--   tick:fresh:NUMBER     sorted set   the same of customers who wrote just now: a queue of their own
--   tick:turns:NUMBER     string       by how many grants the fresh are ahead of the others
--   tick:expected:NUMBER  sorted set   customer -> until when its place in its queue is kept
--   tick:rate:NUMBER      hash         rate, at: the rate after Meta last asked for less, and when that was
--   tick:pair:NUMBER:CUSTOMER  string  the instant at which this customer's credit is whole again
--
-- The number may have so many grants in any second, in one burst or spread: a grant is free a second after the one that
-- lies as many grants back as the limit. Who finds none free is told when its turn comes and keeps its place until a
-- little after that, so nobody who comes in time is overtaken, and nobody who is gone is waited for. The two queues take
-- turns, the fresh one first, so that an answer to somebody who writes now is not behind all those to who wrote before.
-- Customers have 63 bits and never become Lua numbers. Written for Redis 6.2.

local operation, number, per_second = ARGV[1], ARGV[2], tonumber(ARGV[3])
local GRANTED, EXPECTED = 'tick:granted:' .. number, 'tick:expected:' .. number
local WAITING, FRESH, TURNS = 'tick:waiting:' .. number, 'tick:fresh:' .. number, 'tick:turns:' .. number
local RATE, PAIR = 'tick:rate:' .. number, 'tick:pair:' .. number .. ':'
local SECOND = 1000000
local LATE = SECOND
local ABANDONED_MS = 3600000
local STEP, FLOOR, STEP_EVERY, RECOVERY = 0.9, 0.75, SECOND / 10, 20 * SECOND

local now = read_clock('limits')

local function exact(instant)
  return string.format('%.0f', instant)
end

local function keep(key, value, until_at)
  redis.call('SET', key, value, 'PX', math.max(1, math.ceil((until_at - now) / 1000)))
end

-- What the number may have now, and how long ago its rate was last lowered.
local function rate()
  local lowered = redis.call('HMGET', RATE, 'rate', 'at')
  local was, since = tonumber(lowered[1]), tonumber(lowered[2])
  if not was then return per_second, math.huge end
  local risen = was + per_second * (1 - FLOOR) * math.max(0, now - since) / RECOVERY
  return math.max(per_second * FLOOR, math.min(per_second, risen)), now - since
end

local function leave(customer)
  redis.call('ZREM', WAITING, customer)
  redis.call('ZREM', FRESH, customer)
  redis.call('ZREM', EXPECTED, customer)
end

local operations = {}

-- emission in microseconds, burst, "customer ...", a fresh one with '+' -> "wait ..." in microseconds, 0: it has been granted
function operations.take()
  local emission, burst = tonumber(ARGV[4]), tonumber(ARGV[5])
  local customers, keys, is_fresh = {}, {}, {}
  for customer, mark in string.gmatch(ARGV[6], '(%d+)(%+?)') do
    customers[#customers + 1], keys[#keys + 1] = customer, PAIR .. customer
    is_fresh[#customers] = mark == '+'
  end
  if #customers == 0 then return '' end
  local whole = {}
  for i, instant in ipairs(redis.call('MGET', unpack(keys))) do whole[customers[i]] = tonumber(instant) or nil end

  local size, span
  if per_second > 0 then
    local most = rate()
    size = math.max(1, math.floor(most))
    span = SECOND / math.min(1, most)  -- below one in a second it is one in several
    local gone = redis.call('ZRANGEBYSCORE', EXPECTED, '-inf', exact(now), 'LIMIT', 0, 1000)
    if #gone > 0 then
      for _, key in ipairs({WAITING, FRESH, EXPECTED}) do redis.call('ZREM', key, unpack(gone)) end
    end
  end

  local queued, grants, waits = {[WAITING] = 0, [FRESH] = 0}, {}, {}
  if size then
    for queue in pairs(queued) do queued[queue] = redis.call('ZCARD', queue) end
  end

  -- The queue in which a customer has a place already, and how many are before it there.
  local function find_place(customer)
    for _, queue in ipairs({FRESH, WAITING}) do
      local place = queued[queue] > 0 and redis.call('ZRANK', queue, customer)
      if place then return queue, place end
    end
  end

  -- By how many grants the fresh are ahead of the others, while both wait: what the one queue has had, the other gets.
  local ahead = queued[WAITING] > 0 and queued[FRESH] > 0 and tonumber(redis.call('GET', TURNS)) or 0

  -- How many are before the place in that queue, in both together.
  local function count_before(queue, place)
    if queue == FRESH then return place + math.min(queued[WAITING], math.max(0, place + ahead)) end
    return place + math.min(queued[FRESH], math.max(0, place + 1 - ahead))
  end

  -- How long until the number has a grant for whoever has so many before it in the queue.
  local function wait_behind(others)
    others = others + #grants
    local before = tonumber(redis.call('LINDEX', GRANTED, size - 1 - others % size))
    local free_at = before and math.max(now, before + span) or now
    return free_at - now + math.floor(others / size) * span
  end

  for i, customer in ipairs(customers) do
    local credit = math.max(whole[customer] or now, now)
    local wait = credit - (burst - 1) * emission - now
    local queue, place = find_place(customer)
    local leaves = place
    if wait <= 0 and size then
      queue = queue or (is_fresh[i] and FRESH or WAITING)
      wait = wait_behind(count_before(queue, place or queued[queue]))
      if wait > 0 then
        leaves = false
        if not place then queued[queue] = queued[queue] + redis.call('ZADD', queue, exact(now + i), customer) end
        redis.call('ZADD', EXPECTED, exact(now + wait + LATE), customer)
      else
        grants[#grants + 1] = exact(now)
        local other = queue == FRESH and WAITING or FRESH
        if queued[other] > 0 then ahead = math.max(-size, math.min(size, ahead + (queue == FRESH and 1 or -1))) end
      end
    end
    if leaves then  -- also who waits for the pair: it would hold a place that it can't use
      leave(customer)
      queued[queue] = queued[queue] - 1
    end
    if wait <= 0 then
      wait = 0
      whole[customer] = credit + emission
      keep(keys[i], exact(whole[customer]), whole[customer])
    end
    waits[i] = exact(math.ceil(wait))
  end
  if #grants > 0 then
    redis.call('LPUSH', GRANTED, unpack(grants))
    redis.call('LTRIM', GRANTED, 0, math.ceil(per_second) - 1)
    redis.call('PEXPIRE', GRANTED, math.ceil(span / 1000) + 1000)
  end
  if queued[WAITING] + queued[FRESH] > 0 then
    for _, key in ipairs({WAITING, FRESH, EXPECTED}) do redis.call('PEXPIRE', key, ABANDONED_MS) end
    redis.call('SET', TURNS, ahead, 'PX', ABANDONED_MS)
  end
  return table.concat(waits, ' ')
end

-- emission, burst, customer, wait in microseconds: Meta has seen more of this pair than we have, so its credit is used up
function operations.slow_pair()
  local emission, burst, customer, wait = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
  local whole = tonumber(redis.call('GET', PAIR .. customer)) or now
  whole = math.max(whole, now + wait + (burst - 1) * emission)
  keep(PAIR .. customer, exact(whole), whole)
  leave(customer)
end

-- Refusals come in crowds, and a crowd is one sign.
function operations.slow_number()
  local most, ago = rate()
  if per_second <= 0 or ago < STEP_EVERY then return end
  redis.call('HSET', RATE, 'rate', math.max(per_second * FLOOR, most * STEP), 'at', exact(now))
  redis.call('PEXPIRE', RATE, 2 * RECOVERY / 1000)
end

return operations[operation]()
