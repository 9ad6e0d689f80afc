import { ErrorReply } from 'redis'
import { expect, test } from 'vitest'
import { redirectionOf } from '../../src/redis/cluster/redirection.ts'

const asked = { host: 'asked', port: 7000 }

test.for([
  ['MOVED 3999 10.0.0.1:6381', { kind: 'moved', slot: 3999, host: '10.0.0.1', port: 6381 }],
  ['MOVED 0 redis-1.redis:6379', { kind: 'moved', slot: 0, host: 'redis-1.redis', port: 6379 }],
  [
    'MOVED 16383 2001:db8::7:6379',
    { kind: 'moved', slot: 16_383, host: '2001:db8::7', port: 6379 },
  ],
  ['MOVED 1 :6379', { kind: 'moved', slot: 1, host: 'asked', port: 6379 }],
  ['ASK 3999 10.0.0.1:6381', { kind: 'ask', host: '10.0.0.1', port: 6381 }],
] as const)('%s says where to go', ([text, { host, port, ...said }], { expect }) => {
  expect(redirectionOf(new ErrorReply(text), asked)).toEqual({ ...said, address: { host, port } })
})

test('TRYAGAIN says to stay', () => {
  const text = 'TRYAGAIN Multiple keys request during rehashing of slot'
  expect(redirectionOf(new ErrorReply(text), asked)).toEqual({ kind: 'try-again' })
})

test.for([
  new ErrorReply('CLUSTERDOWN Hash slot not served'),
  new ErrorReply('MOVED elsewhere'),
  new ErrorReply('ERR MOVED 1 10.0.0.1:6379'),
  new Error('MOVED 1 10.0.0.1:6379'),
])('%s is no redirection', (cause, { expect }) => {
  expect(redirectionOf(cause, asked)).toBeUndefined()
})
