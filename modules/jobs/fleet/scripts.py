#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What changes jobs in Redis. Every change is one script, so that no two processes can both make it: whoever works on a
job holds the number of its attempt, and once another attempt has begun, nothing that the former one says counts.

Libraries: none here.
"""

#: seconds for which Redis keeps a job that has ended: time for every web process to fetch it, one that is being
#: restarted too
KEPT_SECONDS = 3600
#: seconds within which a job that is being submitted is accepted
SUBMITTING_SECONDS = 600

#: what the scripts have in common
COMMON = f'''
    local KEPT, SUBMITTING = {KEPT_SECONDS}, {SUBMITTING_SECONDS}
''' '''
    local id = ARGV[1]
    local job = 'tlp:job:' .. id
    local state = redis.call('hget', job, 'state')
    local function leave()
        redis.call('zrem', 'tlp:line', id)
        redis.call('zrem', 'tlp:client:' .. (redis.call('hget', job, 'client') or ''), id)
        redis.call('srem', 'tlp:running', id)
    end
    local function publish()
        redis.call('publish', 'tlp:changed', id)
    end
    local function news()
        local now = redis.call('time')
        redis.call('zadd', 'tlp:news', now[1] * 1000 + math.floor(now[2] / 1000), id)
        redis.call('zremrangebyscore', 'tlp:news', 0, (now[1] - 2 * KEPT) * 1000)
        publish()
    end
    local function finish(final, record)
        redis.call('hset', job, 'state', final, 'record', record)
        leave()
        redis.call('expire', job, KEPT)
        redis.call('expire', 'tlp:photo:' .. id, KEPT)
        redis.call('del', 'tlp:picture:' .. id)
        news()
    end
    local function enter()
        redis.call('persist', job)
        redis.call('persist', 'tlp:photo:' .. id)
        local client = redis.call('hget', job, 'client')
        local number = redis.call('hget', job, 'number')
        redis.call('zadd', 'tlp:line', number, id)
        if client ~= '' then redis.call('zadd', 'tlp:client:' .. client, number, id) end
    end
'''

SCRIPTS = {
    # id, record, queue, client, most, most of a client
    'submit':
    '''
        if redis.call('zcard', 'tlp:line') >= tonumber(ARGV[5]) then return 'full' end
        if ARGV[4] ~= '' and tonumber(ARGV[6]) > 0
            and redis.call('zcard', 'tlp:client:' .. ARGV[4]) >= tonumber(ARGV[6]) then return 'many' end
        if ARGV[2] == '' then return 'ok' end
        redis.call('hset', job, 'state', 'queued', 'record', ARGV[2], 'queue', ARGV[3], 'client', ARGV[4],
            'attempt', 0, 'number', redis.call('incr', 'tlp:number'))
        redis.call('expire', job, SUBMITTING)
        return 'ok'
    ''',
    'accept':
    '''
        if not state then return 0 end
        if state == 'queued' then enter() publish() end
        return 1
    ''',
    # id, number of attempts so far, record
    'begin':
    '''
        if state ~= 'queued' and state ~= 'running' then return 0 end
        if redis.call('hget', job, 'attempt') ~= ARGV[2] then return 0 end
        redis.call('persist', job)
        redis.call('persist', 'tlp:photo:' .. id)
        leave()
        redis.call('sadd', 'tlp:running', id)
        redis.call('hset', job, 'state', 'running', 'attempt', ARGV[2] + 1, 'record', ARGV[3])
        redis.call('hdel', job, 'progress')
        publish()
        return 1
    ''',
    # id, attempt, progress, preview
    'report':
    '''
        if state ~= 'running' or redis.call('hget', job, 'attempt') ~= ARGV[2] then return 0 end
        if ARGV[4] ~= '' then
            redis.call('set', 'tlp:picture:' .. id, ARGV[4], 'EX', KEPT)
            redis.call('hincrby', job, 'pictures', 1)
        end
        if ARGV[3] ~= '' then
            redis.call('hset', job, 'progress', ARGV[3])
            publish()
        end
        return redis.call('hexists', job, 'unwanted') == 0 and 1 or 0
    ''',
    # id, attempt, state, record
    'finish':
    '''
        if redis.call('hget', job, 'attempt') ~= ARGV[2] or state ~= 'running' then return 0 end
        redis.call('hset', job, 'files', ARGV[2])
        finish(ARGV[3], ARGV[4])
        return 1
    ''',
    # id, attempt, record
    'hand_back':
    '''
        if redis.call('hget', job, 'attempt') ~= ARGV[2] or state ~= 'running' then return 0 end
        redis.call('hset', job, 'state', 'queued', 'record', ARGV[3])
        redis.call('hdel', job, 'progress')
        leave()
        enter()
        publish()
        return 1
    ''',
    # id, record of a job that was cancelled or failed before it began, its state
    'cancel':
    '''
        if state == 'queued' then finish(ARGV[3], ARGV[2]) end
        if state == 'running' then redis.call('hset', job, 'unwanted', 1) end
        return 1
    ''',
    # id, record of a job that could not be read, as it is to be kept
    'give_up':
    '''
        if state == 'done' or state == 'cancelled' or state == 'failed' or state == 'removed' then return 0 end
        redis.call('hset', job, 'attempt', 0)
        redis.call('hdel', job, 'pictures')
        finish('failed', ARGV[2])
        return 1
    ''',
    'remove':
    '''
        leave()
        for _, number in ipairs({'files', 'attempt'}) do
            redis.call('del', 'tlp:files:' .. id .. ':' .. (redis.call('hget', job, number) or ''))
        end
        redis.call('del', job, 'tlp:photo:' .. id, 'tlp:picture:' .. id)
        redis.call('hset', job, 'state', 'removed')
        redis.call('expire', job, 2 * KEPT)
        news()
        return 1
    ''',
}
