import { ErrorReply, SocketClosedUnexpectedlyError } from 'redis'
import { describe, expect, test } from 'vitest'
import { AuthError, OutageError } from '../../src/errors.ts'
import {
  BreakerOpenError,
  DeadlineError,
  failureOf,
  type RedisFailure,
  ServerLostError,
  TopologyError,
  unusableReply,
} from '../../src/redis/failure.ts'
import { unavailable } from '../../src/redis/unavailable.ts'
import { words } from '../support/words.ts'

const IN_SCRIPT = 'script: 3dc1, on @user_script:3.'
const IN_OLD_SCRIPT = 'ERR Error running script (call to f_3dc1): @user_script:3: @user_script: 3: '
const DENIED_IN_SCRIPT = "ERR The user executing the script can't"

test.for<[RedisFailure, string]>([
  ['auth', 'NOAUTH Authentication required.'],
  ['auth', 'NOAUTH HELLO must be called with the client already authenticated'],
  ['clients', 'ERR max number of clients + cluster connections reached'],
  ['cluster', "CROSSSLOT Keys in request don't hash to the same slot"],
  ['replication', "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'."],
  ['protected', 'DENIED Redis is running in protected mode because protected mode is enabled'],
  ['database', 'ERR DB index is out of range'],
  ['auth', 'ERR Client sent AUTH, but no password is set'],
  ['auth', "ERR wrong number of arguments for 'auth' command"],
  ['unsupported', "ERR unknown command 'EVAL', with args beginning with: 'return 1'"],
  ['unsupported', `${IN_OLD_SCRIPT}Unknown Redis command called from script`],
  ['other', 'ERR value is not an integer or out of range'],
  ['other', ''],
  ['other', 'oom in small letters'],
  ['other', 'OOMPH is another word'],
  // Inside a script, Redis 7 keeps the code in front.
  ['full', `OOM command not allowed when used memory > 'maxmemory'. ${IN_SCRIPT}`],
  ['readonly', `READONLY You can't write against a read only replica. ${IN_SCRIPT}`],
  ['data', `WRONGTYPE Operation against a key holding the wrong kind of value ${IN_SCRIPT}`],
  ['misconf', `MISCONF Errors writing to the AOF file: No space left ${IN_SCRIPT}`],
  // Inside a script, Redis 6 puts it behind a dash.
  ['full', `${IN_OLD_SCRIPT}-OOM command not allowed when used memory > 'maxmemory'.`],
  ['readonly', `${IN_OLD_SCRIPT}-READONLY You can't write against a read only replica.`],
  ['data', 'ERR Error running script (call to f_3dc1): @user_script:2: -WRONGTYPE Operation'],
  // Inside a script, Redis 7.0 gives these no code.
  ['permission', `${DENIED_IN_SCRIPT} run this command or subcommand ${IN_SCRIPT}`],
  ['permission', `${DENIED_IN_SCRIPT} access at least one of the keys mentioned ${IN_SCRIPT}`],
  ['permission', `${DENIED_IN_SCRIPT} publish to the channel mentioned ${IN_SCRIPT}`],
  ['other', 'ERR Error compiling script (new function): user_script:1: unexpected symbol'],
])('%s is the failure of the reply "%s"', ([failure, text]) => {
  expect(failureOf(new ErrorReply(text))).toBe(failure)
})

const withCode = (code: string) => Object.assign(new Error('x'), { code })

const asRows = (failure: RedisFailure) => (code: string) => [failure, code, withCode(code)] as const
test.for<readonly [RedisFailure, string, unknown]>([
  ...words`
    CERT_HAS_EXPIRED CERT_NOT_YET_VALID DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN EPROTO
    UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT_LOCALLY ERR_TLS_CERT_ALTNAME_INVALID
    ERR_SSL_WRONG_VERSION_NUMBER ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED ERR_OSSL_PEM_NO_START_LINE
  `.map(asRows('tls')),
  ...words`ECONNREFUSED ECONNRESET EPIPE ENOTFOUND EAI_AGAIN ETIMEDOUT ENOENT`.map(
    asRows('connection'),
  ),
  ['connection', 'an error without a code', new Error('OOM in the text of another error')],
  ['connection', 'an error of Node.js', Object.assign(new TypeError('x'), { code: 'ERR_X' })],
  ['other', 'a fault of the code', new TypeError('x is undefined')],
  ['other', 'a reply that a port refused', unusableReply('no list')],
  ['other', 'a string', 'READONLY'],
  ['other', 'undefined', undefined],
  ['connection', 'a server lost by a close', new ServerLostError(new Error('closed'))],
])('%s is the failure of %s', ([failure, , cause]) => {
  expect(failureOf(cause)).toBe(failure)
})

test('an error of ours passes unchanged', () => {
  const error = unusableReply('no list')
  expect(unavailable(error)).toBe(error)
})

describe('a store error', () => {
  test.for<[string, unknown, RedisFailure, boolean]>([
    ['no answer in time', new DeadlineError(), 'deadline', true],
    ['an open breaker', new BreakerOpenError(), 'breaker', true],
    ['a lost socket', new SocketClosedUnexpectedlyError(), 'connection', true],
    ['a certificate', withCode('CERT_HAS_EXPIRED'), 'tls', true],
    ['a lost server', new ServerLostError(new DeadlineError()), 'deadline', true],
    ['no primary', new TopologyError('sentinel', 'no primary'), 'sentinel', true],
    ['a wrong password', new ErrorReply('WRONGPASS invalid'), 'auth', true],
    ['a script that goes on', new ErrorReply('BUSY Redis is busy'), 'busy', true],
    ['too many clients', new ErrorReply('ERR max number of clients reached'), 'clients', true],
    ['a slot without a server', new ErrorReply('CLUSTERDOWN no'), 'cluster', true],
    ['a full memory', new ErrorReply('OOM command not allowed'), 'full', true],
    ['a start', new ErrorReply('LOADING Redis is loading'), 'loading', true],
    ['a full disk', new ErrorReply('MISCONF no space'), 'misconf', true],
    ['a replica', new ErrorReply('READONLY no writes'), 'readonly', true],
    ['too few replicas', new ErrorReply('NOREPLICAS no'), 'replication', true],
    ['a fault of the code', new RangeError('too long'), 'other', false],
    ['a value of another kind', new ErrorReply('WRONGTYPE no'), 'data', false],
    ['a right that is missing', new ErrorReply('NOPERM no'), 'permission', false],
    ['a command that is wrong', new ErrorReply('ERR syntax error'), 'other', false],
  ])('caused by %s', ([, cause, failure, isOutage]) => {
    const error = unavailable(cause)
    const told = { code: 'store_unavailable', message: `Redis: ${failure}`, isPublic: false }
    expect(error).toMatchObject(told)
    expect([error instanceof AuthError, error instanceof OutageError]).toEqual([true, isOutage])
    expect(error.cause).toBe(cause)
  })
})
