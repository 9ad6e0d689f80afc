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
  unavailable,
} from '../../src/redis/failure.ts'

describe('what kind of failure a reply of Redis is', () => {
  test.for<[string, RedisFailure]>([
    ['NOAUTH Authentication required.', 'auth'],
    ['NOAUTH HELLO must be called with the client already authenticated', 'auth'],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'auth'],
    ["NOPERM User app has no permissions to run the 'get' command", 'permission'],
    ['NOPERM No permissions to access a key', 'permission'],
    ['NOPERM No permissions to access a channel', 'permission'],
    ['ERR max number of clients reached', 'clients'],
    ['ERR max number of clients + cluster connections reached', 'clients'],
    ['MOVED 3999 127.0.0.1:6381', 'cluster'],
    ['ASK 3999 127.0.0.1:6381', 'cluster'],
    ['CLUSTERDOWN Hash slot not served', 'cluster'],
    ["CROSSSLOT Keys in request don't hash to the same slot", 'cluster'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'cluster'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'data'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'full'],
    ['LOADING Redis is loading the dataset in memory', 'loading'],
    ['MISCONF Redis is configured to save RDB snapshots', 'misconf'],
    ["READONLY You can't write against a read only replica.", 'readonly'],
    [
      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
      'replication',
    ],
    ['NOREPLICAS Not enough good replicas to write.', 'replication'],
    ['BUSY Redis is busy running a script. You can only call SCRIPT KILL', 'busy'],
    ['ERR syntax error', 'other'],
    ["ERR unknown command 'EVAL', with args beginning with: ", 'other'],
    ['ERR value is not an integer or out of range', 'other'],
    ['', 'other'],
    ['oom in small letters', 'other'],
    ['OOMPH is another word', 'other'],
  ])('%s → %s', ([text, failure], { expect }) => {
    expect(failureOf(new ErrorReply(text))).toBe(failure)
  })

  test.for<[string, RedisFailure]>([
    // Redis 7: the error keeps its code.
    [
      "OOM command not allowed when used memory > 'maxmemory'. script: 3dc1, on @user_script:3.",
      'full',
    ],
    [
      "READONLY You can't write against a read only replica. script: 3dc1, on @user_script:2.",
      'readonly',
    ],
    [
      'WRONGTYPE Operation against a key holding the wrong kind of value script: 3dc1, on @user_script:2.',
      'data',
    ],
    [
      'MISCONF Errors writing to the AOF file: No space left script: 3dc1, on @user_script:2.',
      'misconf',
    ],
    // Redis 6: it comes behind a dash.
    [
      "ERR Error running script (call to f_3dc1): @user_script:3: @user_script: 3: -OOM command not allowed when used memory > 'maxmemory'.",
      'full',
    ],
    [
      "ERR Error running script (call to f_3dc1): @user_script:2: @user_script: 2: -READONLY You can't write against a read only replica.",
      'readonly',
    ],
    [
      'ERR Error running script (call to f_3dc1): @user_script:2: -WRONGTYPE Operation against a key holding the wrong kind of value',
      'data',
    ],
    // Redis 7.0 gives these no code.
    [
      "ERR The user executing the script can't run this command or subcommand script: 3dc1, on @user_script:2.",
      'permission',
    ],
    [
      "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: 3dc1, on @user_script:2.",
      'permission',
    ],
    [
      "ERR The user executing the script can't publish to the channel mentioned in the command script: 3dc1, on @user_script:4.",
      'permission',
    ],
    ['ERR Error compiling script (new function): user_script:1: unexpected symbol', 'other'],
  ])('from inside a script: %s → %s', ([text, failure], { expect }) => {
    expect(failureOf(new ErrorReply(text))).toBe(failure)
  })
})

const withCode = (code: string) => Object.assign(new Error('x'), { code })

describe('what kind of failure it is where Redis did not reply', () => {
  test.for([
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_OSSL_PEM_NO_START_LINE',
    'EPROTO',
  ])('%s is one of TLS', (code, { expect }) => {
    expect(failureOf(withCode(code))).toBe('tls')
  })

  test.for([
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ETIMEDOUT',
    'ENOENT',
  ])('%s is one of the connection', (code, { expect }) => {
    expect(failureOf(withCode(code))).toBe('connection')
  })

  test.for<[string, unknown]>([
    ['a socket that closed', new SocketClosedUnexpectedlyError()],
    ['an error without a code', new Error('OOM in the text of another error')],
    ['something that is no error', 'READONLY'],
    ['nothing', undefined],
  ])('%s is one of the connection', ([, cause], { expect }) => {
    expect(failureOf(cause)).toBe('connection')
  })

  test('an answer that did not come in time is a deadline', () => {
    expect(failureOf(new DeadlineError())).toBe('deadline')
  })

  test('what is amiss among several servers says itself what it is', () => {
    expect(failureOf(new TopologyError('sentinel', 'no such primary'))).toBe('sentinel')
    expect(failureOf(new ServerLostError(new DeadlineError()))).toBe('deadline')
    expect(failureOf(new ServerLostError(new Error('closed')))).toBe('connection')
  })
})

test('what a port throws has the class in its message and the cause beside it', () => {
  const cause = new ErrorReply('WRONGPASS invalid username-password pair')
  const error = unavailable(cause)
  expect(error).toBeInstanceOf(AuthError)
  expect(error).toMatchObject({
    code: 'store_unavailable',
    message: 'Redis: auth',
    isPublic: false,
  })
  expect(error.cause).toBe(cause)
})

describe('what may stand in for an answer', () => {
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
    ['a value of another kind', new ErrorReply('WRONGTYPE no'), 'data', false],
    ['a right that is missing', new ErrorReply('NOPERM no'), 'permission', false],
    ['a command that is wrong', new ErrorReply('ERR syntax error'), 'other', false],
  ])('%s', ([, cause, failure, isOutage], { expect }) => {
    const error = unavailable(cause)
    expect(error).toMatchObject({ code: 'store_unavailable', message: `Redis: ${failure}` })
    expect(error instanceof OutageError).toBe(isOutage)
    expect(error.cause).toBe(cause)
  })
})
