import { ErrorReply } from 'redis'
import { expect, test } from 'vitest'
import { describeFailure } from '../../src/redis/describe-failure.ts'
import { ServerLostError, TopologyError } from '../../src/redis/failure.ts'
import { NotConnectedError, ServerFailure } from '../../src/redis/server-failure.ts'
import { rows } from '../support/words.ts'

const at = (cause: unknown, isGreeting = false) =>
  new ServerFailure(
    { host: 'redis', port: 6379, namedBy: 'REDIS_ADDRESS', isTls: true, isGreeting },
    cause,
  )
const withCode = (code: string) => at(Object.assign(new Error('secret'), { code }))
const ECHO = "ERR odd words of the password 'secret'"

test.for<[string, RegExp]>([
  ...rows`EHOSTUNREACH EHOSTDOWN ENETUNREACH EADDRNOTAVAIL EACCES EPERM`(/no route to redis:6379/),
  ...rows`EAI_AGAIN`(/name server does not answer/),
  ...rows`ETIMEDOUT`(/does not take connections in time/),
  ...rows`ECONNRESET EPIPE EWHATEVER`(/closed the connection/),
  ...rows`CERT_NOT_YET_VALID`(/not valid yet/),
  ...rows`ERR_SSL_WRONG_VERSION_NUMBER`(/does not speak TLS/),
  ...rows`ERR_SSL_NO_PROTOCOLS_AVAILABLE EPROTO`(/agree on no TLS/),
  ...rows`ERR_OSSL_PEM_NO_START_LINE`(/holds no usable PEM/),
])('the code %s is named with the server and a sentence', ([code, sentence]) => {
  const report = describeFailure(withCode(code))
  expect(report).toMatchObject({ host: 'redis', port: 6379, cause: code })
  expect(report.reason).toMatch(sentence)
  expect(JSON.stringify(report)).not.toContain('secret')
})

test.for<[string, unknown, string]>([
  [
    'a command without a connection',
    new NotConnectedError(withCode('ENOTFOUND')),
    'no host of the name',
  ],
  ['a command before the first', new NotConnectedError(undefined), 'not connected yet'],
  [
    'a primary that is away',
    new ServerLostError(new NotConnectedError(withCode('EPIPE'))),
    'closed',
  ],
  ['a primary before the first', new ServerLostError(new NotConnectedError(undefined)), 'yet'],
  ['a server of a cluster', new ServerLostError(at(new ErrorReply('READONLY no'))), 'is a replica'],
  [
    'a fault of the settings',
    new TopologyError('sentinel', 'correct it', at(new Error('x'))),
    'correct it',
  ],
  [
    'a command that is unknown',
    at(new ErrorReply("ERR unknown command 'EVAL', with args")),
    'not know EVAL,',
  ],
  ['a command that is not named', at(new ErrorReply('NOPROTO no')), 'does not know HELLO'],
  ['an unknown error', at(new ErrorReply(ECHO)), 'unknown error: ERR odd words of the password'],
  ['an unknown error to the password', at(new ErrorReply(ECHO), true), 'with the error ERR: look'],
  ['a string', 'odd', 'unknown error: no text'],
])('the sentence of %s', ([, cause, sentence]) => {
  const { reason } = describeFailure(cause)
  expect(reason).toContain(sentence)
  expect(reason).not.toContain('secret')
})
