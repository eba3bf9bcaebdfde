"""What is done inside Redis, in one step each: numbering events, beginning epochs, counting nodes.

Keys, each behind the prefix:

    server             hash: run and generation, whether a restart loses nothing, the last beat
    room:ROOM          hash: epoch, offset, bytes in the log, the generation the epoch began in
    log:ROOM:EPOCH     stream: the events, each with its offset as ID. With the epoch in the key
                       nobody can read a new epoch's events by an old one's offset
    notices            stream: what all nodes are told; unlogged frames and renewed rooms
    wake:NODE          stream: makes that node's blocking read begin anew
    nodes              sorted set: when a node was last heard of, in milliseconds
    counts:NODE        hash: viewers by room
    intents:NODE       hash: by room, how many commits are under way there
    done:NAME          appends and renewals that must not be done (again)

Keys are made of others' contents, which Redis Cluster does not allow: it is not supported.
"""

import hashlib
from dataclasses import dataclass, field

ROOM_MS = 3_600_000
"""What nobody is in and nothing happens in is forgotten after this; see `MemoryBroker`."""

# INFO costs 2 µs inside of Redis. It is asked every time because nothing else tells a script that
# the server it runs in is another one than yesterday's, with the log as it was the day before.
_COMMON = """
local P, now = KEYS[1], redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local server = redis.call('HMGET', P .. ':server', 'run', 'generation', 'patience')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
"""
_SETTLED = """
if not server[1] or server[1] ~= run then return redis.error_reply('UNSETTLED look again') end
local generation = server[2]

local function log_of(room, epoch) return P .. ':log:' .. room .. ':' .. epoch end

local function begin(room, fresh, old)
  if old then redis.call('UNLINK', log_of(room, old)) end
  local key = P .. ':room:' .. room
  redis.call('HSET', key, 'epoch', fresh, 'offset', 0, 'bytes', 0, 'generation', generation)
  redis.call('PEXPIRE', key, ROOM_MS)
  return fresh, 0, 0
end

local function found(room)
  local known = redis.call(
    'HMGET', P .. ':room:' .. room, 'epoch', 'offset', 'bytes', 'generation'
  )
  return known[1], tonumber(known[2]), tonumber(known[3]), known[4] == generation
end

local function begun(room, fresh)
  local epoch, offset, bytes, is_of_now = found(room)
  if epoch and is_of_now then return epoch, offset, bytes end
  return begin(room, fresh, epoch)
end

local function renew(room, fresh)
  begin(room, fresh, (found(room)))
  redis.call('XADD', P .. ':notices', 'MAXLEN', '~', 1000, '*', 'k', 'renewed', 'r', room, 'f', '')
end

local function take_back(node, room, count)
  if count == 0 then return end
  local key = P .. ':intents:' .. node
  if redis.call('HINCRBY', key, room, -count) <= 0 then redis.call('HDEL', key, room) end
end
""".replace("ROOM_MS", str(ROOM_MS))


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


def _script(body: str) -> Script:
    return Script(_COMMON + _SETTLED + body.replace("ROOM_MS", str(ROOM_MS)))


SETTLE = Script(
    _COMMON
    + """
-- run as seen, 1 if it loses nothing, fresh generation; the generation, or false: look again
if run ~= ARGV[1] then return false end
local generation = server[2]
if server[1] ~= run then
  local keeps = redis.call('HGET', P .. ':server', 'keeps') == '1' and ARGV[2] == '1'
  if not generation or not keeps then generation = ARGV[3] end
end
redis.call('HSET', P .. ':server', 'run', run, 'generation', generation, 'keeps', ARGV[2])
return generation
"""
)
"""After a restart the epochs go on only if the last look before it and the first one after it
found that every answer had been on the disk before it was given. In any other case all rooms
begin new ones."""

APPEND = _script(
    """
-- room, fresh epoch, node, name, events in a log, bytes in a log, then type, at, data, sampled_by
-- of each event
local room, node = ARGV[1], ARGV[3]
local epoch, offset, bytes = begun(room, ARGV[2])
take_back(node, room, 1)
if redis.call('EXISTS', P .. ':done:' .. ARGV[4]) == 1 then return {epoch, offset} end
local key, log = P .. ':room:' .. room, log_of(room, epoch)
for i = 7, #ARGV, 4 do
  offset = offset + 1
  redis.call('XADD', log, offset .. '-0',
    't', ARGV[i], 'a', ARGV[i + 1], 'd', ARGV[i + 2], 's', ARGV[i + 3])
  bytes = bytes + #ARGV[i + 2]
end
local excess = redis.call('XLEN', log) - tonumber(ARGV[5])
while excess > 0 or bytes > tonumber(ARGV[6]) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not oldest then break end
  redis.call('XDEL', log, oldest[1])
  bytes = bytes - #oldest[2][6]
  excess = excess - 1
end
redis.call('HSET', key, 'offset', offset, 'bytes', bytes)
redis.call('PEXPIRE', key, ROOM_MS)
redis.call('PEXPIRE', log, ROOM_MS)
return {epoch, offset}
"""
)

RENEW = _script(
    """
-- room, fresh epoch, node, intents to take back, 1 if it is due whatever its names say, how many
-- names follow that are good for one renewal each; then names of appends not to be done any more
local room, names = ARGV[1], tonumber(ARGV[6])
local is_due = ARGV[5] == '1'
take_back(ARGV[3], room, tonumber(ARGV[4]))
for i = 7, #ARGV do
  local is_new = redis.call('SET', P .. ':done:' .. ARGV[i], 1, 'NX', 'PX', 86400000)
  if i < 7 + names and is_new then is_due = true end
end
if is_due then renew(room, ARGV[2]) end
local epoch, offset = begun(room, ARGV[2])
return {epoch, offset}
"""
)

LOOK = _script(
    """
-- fresh epoch, then room, epoch and offset as known to this node; epoch and offset of each
local places = {}
for i = 2, #ARGV, 3 do
  local room = ARGV[i]
  local epoch, offset = begun(room, ARGV[1])
  if epoch == ARGV[i + 1] and offset < tonumber(ARGV[i + 2]) then
    renew(room, ARGV[1])
    epoch, offset = ARGV[1], 0
  end
  redis.call('PEXPIRE', P .. ':room:' .. room, ROOM_MS)
  redis.call('PEXPIRE', log_of(room, epoch), ROOM_MS)
  places[#places + 1] = {epoch, offset}
end
return places
"""
)
"""A node that knows of more events than there are has seen some that were lost since."""

SINCE = _script(
    """
-- room, epoch, offset, at most so many events; false: not known
local epoch, last, _, is_of_now = found(ARGV[1])
local offset = tonumber(ARGV[3])
if not epoch or not is_of_now or epoch ~= ARGV[2] or offset < 0 or offset > last then
  return false
end
if offset == last then return {} end
local events = redis.call(
  'XRANGE', log_of(ARGV[1], epoch), '(' .. ARGV[3] .. '-0', '+', 'COUNT', ARGV[4]
)
if not events[1] or events[1][1] ~= (offset + 1) .. '-0' then return false end
return events
"""
)

BEAT = _script(
    """
-- node, fresh epoch, after how many milliseconds of silence a node is dead; how many were found
-- that left something behind: a worker is only heard of when it has something to say
local alive = tonumber(ARGV[3])
local seen = tonumber(redis.call('HGET', P .. ':server', 'beat') or 0)
local patience = tonumber(server[3] or 0)
-- Where nobody was heard of, it was Redis that was away: all nodes get time to come back.
if now - seen > alive / 2 then
  patience = now + alive
  redis.call('HSET', P .. ':server', 'patience', patience)
end
redis.call('HSET', P .. ':server', 'beat', now)
redis.call('ZADD', P .. ':nodes', now, ARGV[1])
if now < patience then return 0 end
local found_dead = 0
local dead = redis.call('ZRANGEBYSCORE', P .. ':nodes', '-inf', now - alive)
for _, node in ipairs(dead) do
  -- Whether these commits were done nobody can tell any more: viewers load what there is.
  for _, room in ipairs(redis.call('HKEYS', P .. ':intents:' .. node)) do
    renew(room, ARGV[2])
  end
  if redis.call('DEL', P .. ':intents:' .. node, P .. ':counts:' .. node) > 0 then
    found_dead = found_dead + 1
  end
  redis.call('ZREM', P .. ':nodes', node)
end
return found_dead
"""
)

PRESENCE = _script(
    """
-- node, milliseconds as above, then room and viewers there; viewers on all nodes in each of them
local mine = P .. ':counts:' .. ARGV[1]
redis.call('ZADD', P .. ':nodes', now, ARGV[1])
redis.call('DEL', mine)
local rooms, totals = {}, {}
for i = 3, #ARGV, 2 do
  redis.call('HSET', mine, ARGV[i], ARGV[i + 1])
  rooms[#rooms + 1] = ARGV[i]
  totals[#totals + 1] = 0
end
redis.call('PEXPIRE', mine, 60000)
if #rooms == 0 then return totals end
local since = now - tonumber(ARGV[2])
if now < tonumber(server[3] or 0) then since = '-inf' end
for _, node in ipairs(redis.call('ZRANGEBYSCORE', P .. ':nodes', since, '+inf')) do
  for i, room in ipairs(rooms) do
    local count = redis.call('HGET', P .. ':counts:' .. node, room)
    totals[i] = totals[i] + tonumber(count or 0)
  end
end
return totals
"""
)

INTEND = _script(
    """
-- node, rooms
redis.call('ZADD', P .. ':nodes', now, ARGV[1])
for i = 2, #ARGV do redis.call('HINCRBY', P .. ':intents:' .. ARGV[1], ARGV[i], 1) end
"""
)

FORGO = _script(
    """
-- node, rooms
for i = 2, #ARGV do take_back(ARGV[1], ARGV[i], 1) end
"""
)

RESTATE = _script(
    """
-- node, then room and intents there: these are all there are
local key = P .. ':intents:' .. ARGV[1]
redis.call('DEL', key)
for i = 2, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', P .. ':nodes', now, ARGV[1])
"""
)

LEAVE = _script(
    """
-- node; where it leaves commits open, the others find it dead
redis.call('DEL', P .. ':counts:' .. ARGV[1], P .. ':wake:' .. ARGV[1])
if redis.call('EXISTS', P .. ':intents:' .. ARGV[1]) == 0 then
  redis.call('ZREM', P .. ':nodes', ARGV[1])
end
"""
)

WAKE = _script(
    """
-- node
local key = P .. ':wake:' .. ARGV[1]
redis.call('XADD', key, 'MAXLEN', 1, '*', 'w', '')
redis.call('PEXPIRE', key, 60000)
"""
)

TELL = _script(
    """
-- room, frame
redis.call('XADD', P .. ':notices', 'MAXLEN', '~', 1000, '*',
  'k', 'told', 'r', ARGV[1], 'f', ARGV[2])
"""
)

NEWEST = _script(
    """
-- node; the ends of the notices and of what wakes it
local ends = {}
for i, key in ipairs({P .. ':notices', P .. ':wake:' .. ARGV[1]}) do
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  ends[i] = last and last[1] or '0-0'
end
return ends
"""
)
