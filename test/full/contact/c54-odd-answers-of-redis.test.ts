import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SERVER_KEY } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { type Reply, speakWell, startSpokenRedis } from '../../support/spoken-redis.ts'
import { startVestibule } from '../../support/vestibule.ts'

const unhandled: unknown[] = []
const note = (reason: unknown) => void unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(() => void process.off('unhandledRejection', note))

const random = (bytes: number) => randomBytes(bytes).toString('base64url')
const cookie = () => `${SESSION_COOKIE}=v1.${random(32)}.${random(32)}`
const GREETING = /^(?:HELLO|SUBSCRIBE|UNSUBSCRIBE)$/i
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`

/** Answers to every command but those that open a connection; what the process makes of each is a 503 with a line. */
const odd: readonly (readonly [what: string, answer: string])[] = [
  ['a number', ':42\r\n'],
  ['a number beyond all bounds', `(${'9'.repeat(400)}\r\n`],
  ['a fraction', ',inf\r\n'],
  ['a truth value', '#t\r\n'],
  ['an empty list', '*0\r\n'],
  ['a list of lists', `*2\r\n*1\r\n:1\r\n*1\r\n${bulk('x')}`],
  ['a list 5,000 deep', `${'*1\r\n'.repeat(5000)}:1\r\n`],
  ['a map', `%1\r\n+a\r\n+b\r\n`],
  ['a set', '~1\r\n+a\r\n'],
  ['an error without a text', '-\r\n'],
  ['an error of 100,000 characters', `-ERR ${'x'.repeat(100_000)}\r\n`],
  ['an error with line ends of JSON', '-ERR {"event":"sign_in"}\\n\r\n'],
  ['two answers to one command', ':1\r\n:2\r\n'],
  ['bytes that are no answer', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['a binary zero', '\0\0\0\0'],
  ['a length that is no number', '$x\r\n\r\n'],
  ['half an answer', '$1000\r\nabc'],
  ['a text of two gigabytes that never ends', `$2147483647\r\n${'x'.repeat(1000)}`],
  ['a list of two thousand million that never ends', '*2147483647\r\n'],
]

/** Bytes that this installation has not sealed are no session; they change no cookie (A91). */
const unsealed: readonly (readonly [what: string, answer: string])[] = [
  ['a text that is no record', bulk('nonsense')],
  ['an empty text', bulk('')],
  ['a length without a text', '$-7\r\n'],
]

async function ask(answer: string) {
  const started = new AsyncDisposableStack()
  const reply: Reply = (command, connection) =>
    GREETING.test(command[0] ?? '') ? speakWell(command, connection) : answer
  const redis = started.use(await startSpokenRedis(reply))
  const vestibule = await startVestibule({
    SESSION_ENCRYPTION_KEY: SERVER_KEY,
    REDIS_ENABLED: 'true',
    REDIS_ADDRESS: `127.0.0.1:${redis.port}`,
    REDIS_READ_TIMEOUT: '1',
    REDIS_WRITE_TIMEOUT: '1',
  })
  started.use(vestibule)
  const checked = await vestibule.check({}, { Cookie: cookie() })
  expect(checked.setCookies).toEqual([])
  const health = await vestibule.internal('/health?strict=1')
  expect(health.status).toBe(503)
  expect(JSON.parse(health.body)).toMatchObject({ status: 'degraded' })
  expect((await vestibule.internal('/livez')).status).toBe(200)
  expect(vestibule.output().length).toBeLessThan(200_000)
  expect(unhandled).toEqual([])
  return { checked, vestibule, [Symbol.asyncDispose]: () => started.disposeAsync() }
}

test.for(odd)('%s from Redis ends in a 503 whose line names Redis', async ([, answer]) => {
  await using asked = await ask(answer)
  expect(asked.checked.status).toBe(503)
  const refused = asked.vestibule.log().findLast(({ event }) => event === 'refused')
  expect(refused).toMatchObject({ code: 'store_unavailable', status: 503 })
  expect(String(refused?.['reason'])).toMatch(/^Redis: \w+/)
})

test.for(unsealed)('%s from Redis ends in a new sign-in', async ([, answer]) => {
  await using asked = await ask(answer)
  expect(asked.checked.status).toBe(302)
})
