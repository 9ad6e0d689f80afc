import { ErrorReply } from 'redis'
import { expect, test } from 'vitest'
import { locate } from '../../src/redis/cluster/topology.ts'
import { beginningOfReply, type ReplyError, readReplyError } from '../../src/redis/reply-errors.ts'

const moved = (slot: number, host: string, port: number): ReplyError => {
  return { kind: 'moved', failure: 'cluster', slot, address: { host, port } }
}
const other = (failure: ReplyError['failure']): ReplyError => ({ kind: 'other', failure })
const unknown = (command: string): ReplyError => {
  return { kind: 'unknown-command', failure: 'unsupported', command }
}
const ASK = { kind: 'ask', failure: 'cluster', address: { host: '10.0.0.1', port: 6381 } } as const
const CLUSTER_OFF = { kind: 'cluster-disabled', failure: 'other' } as const
const lacks = (missing: 'command' | 'key' | 'channel', command?: string): ReplyError => {
  return { kind: 'denied', failure: 'permission', missing, ...(command && { command }) }
}

test.for<[string, ReplyError]>([
  ['MOVED 3999 10.0.0.1:6381', moved(3999, '10.0.0.1', 6381)],
  ['MOVED 0 redis-1.redis:6379', moved(0, 'redis-1.redis', 6379)],
  ['MOVED 16383 2001:db8::7:6379', moved(16_383, '2001:db8::7', 6379)],
  ['MOVED 1 :6379', moved(1, '', 6379)],
  ['ASK 3999 10.0.0.1:6381', ASK],
  ['TRYAGAIN Multiple keys request', { kind: 'try-again', failure: 'cluster' }],
  ['CLUSTERDOWN Hash slot not served', other('cluster')],
  ['MOVED elsewhere', other('cluster')],
  ['ERR MOVED 1 10.0.0.1:6379', other('other')],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', other('data')],
  ['ERR syntax error', { kind: 'syntax-error', failure: 'other' }],
  ["ERR unknown command 'EVAL', with args beginning with: 'x'", unknown('EVAL')],
  ['ERR unknown command `hello`, with args beginning with: `3`,', unknown('HELLO')],
  ["ERR unsupported command 'scan'", unknown('SCAN')],
  ['ERR Command is not available: SCAN', { kind: 'unknown-command', failure: 'unsupported' }],
  ["ERR handle request, command 'MGET' is not allowed", unknown('MGET')],
  ['NOPROTO unsupported protocol version', unknown('HELLO')],
  ['ERR This instance has cluster support disabled', CLUSTER_OFF],
  ['ERR No such master with that name', { kind: 'unknown-primary', failure: 'other' }],
  ["NOPERM User app has no permissions to run the 'get' command", lacks('command', 'get')],
  [
    "NOPERM this user has no permissions to run the 'cluster|slots' command",
    lacks('command', 'cluster|slots'),
  ],
  ["ERR The user executing the script can't run this command or subcommand", lacks('command')],
  ['NOPERM No permissions to access a key', lacks('key')],
  ['NOPERM No permissions to access a channel', lacks('channel')],
])('the error reply "%s" is classified', ([text, reply]) => {
  expect(readReplyError(new ErrorReply(text))).toEqual(reply)
})

test('an error that is not an error reply is not classified', () => {
  expect(readReplyError(new Error('MOVED 1 10.0.0.1:6379'))).toBeUndefined()
})

test.for([
  ['redis-1', 'redis-1'],
  ['', 'asked'],
  ['?', 'asked'],
  [null, 'asked'],
] as const)('the reported host %j stands for %s', ([host, located]) => {
  const asked = { host: 'asked', port: 7000 }
  expect(locate({ host, port: 6379 }, asked)).toEqual({ host: located, port: 6379 })
})

test.for([
  [
    "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'a' 'secret'",
    'ERR unknown command',
  ],
  ['ERR odd secret1 words', 'ERR odd'],
  ['', ''],
])('of the error reply "%s" a log line holds "%s"', ([text, beginning]) => {
  expect(beginningOfReply(new ErrorReply(text))).toBe(beginning)
})
