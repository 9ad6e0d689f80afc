import { readFileSync } from 'node:fs'
import { Hono } from 'hono'
import { parseAst } from 'rolldown/parseAst'
import { describe, expect, test } from 'vitest'
import type { NodeEnv } from '../../src/http/request.ts'
import { createClientScript } from '../../src/routes/events/client-script.ts'
import { runClientScript } from '../support/run-client-script.ts'

const app = new Hono<NodeEnv>().get('/client.js', createClientScript())
const plainAnswer = await app.request('/client.js')
const script = await plainAnswer.text()
const tag = plainAnswer.headers.get('etag') ?? ''
const version = tag.replaceAll('"', '')

const source = readFileSync('src/routes/events/browser/page-client.js', 'utf8')

/** The parts of a program without their places in its text. */
const partsOf = (text: string): unknown =>
  JSON.parse(JSON.stringify(parseAst(text)), (key, value: unknown) =>
    key === 'start' || key === 'end' ? undefined : value,
  )

const SHORTLY = 'public, max-age=300, must-revalidate'
const FOREVER = 'public, max-age=31536000, immutable'

describe('the address of client.js', () => {
  test('gives a script of less than 4 KiB that any page may load, about nobody', () => {
    expect(Buffer.byteLength(script)).toBeLessThan(4096)
    expect(Object.fromEntries(plainAnswer.headers)).toEqual({
      'access-control-allow-origin': '*',
      'cache-control': SHORTLY,
      'content-type': 'text/javascript; charset=utf-8',
      'cross-origin-resource-policy': 'cross-origin',
      etag: tag,
      'x-content-type-options': 'nosniff',
    })
  })

  test('gives the script that was written, in spite of what is left out', () => {
    expect(partsOf(script)).toEqual(partsOf(source))
  })

  test.for<readonly [string, Readonly<Record<string, string>>, number, string]>([
    ['', {}, 200, SHORTLY],
    ['?v=another', {}, 200, SHORTLY],
    [`?v=${version}`, {}, 200, FOREVER],
    ['', { 'If-None-Match': tag }, 304, SHORTLY],
    ['', { 'If-None-Match': `"other", W/${tag}` }, 304, SHORTLY],
    [`?v=${version}`, { 'If-None-Match': tag }, 304, FOREVER],
    ['', { 'If-None-Match': '"other"' }, 200, SHORTLY],
    ['', { Cookie: 'vestibule=whatever' }, 200, SHORTLY],
  ])('client.js%s with %j is %i and kept so: %s', async ([query, headers, status, kept]) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await app.request(`/client.js${query}`, { method, headers })
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([status, kept])
      expect(answer.headers.get('etag')).toBe(tag)
      expect(await answer.text()).toBe(status === 200 && method === 'GET' ? script : '')
    }
  })
})

const NOTICE = 'event: notice\ndata: 1\n\n'
const TOLD = [['notice', 1]]
const bytes = Buffer.from('event: notice\ndata: "é€😀"\n\n')

describe('what a page is told', () => {
  test.for<readonly [string, readonly (string | Uint8Array)[], readonly unknown[]]>([
    ['an event', [NOTICE], TOLD],
    ['chunks of one byte', [...bytes].map((byte) => Uint8Array.of(byte)), [['notice', 'é€😀']]],
    ['ends of lines that chunks divide', [...NOTICE.replaceAll('\n', '\r\n')], TOLD],
    ['carriage returns alone', [NOTICE.replaceAll('\n', '\r'), ':\n'], TOLD],
    ['a byte order mark', [`\uFEFF${NOTICE}`], TOLD],
    ['comments and unknown fields', [`: hello\nother: 1\nother\n${NOTICE}`], TOLD],
    ['no space after the colon', [NOTICE.replaceAll(': ', ':')], TOLD],
    ['data in several lines', ['event: notice\ndata: [1,\ndata: 2]\n\n'], [['notice', [1, 2]]]],
    ['separators of Unicode', ['event: notice\ndata: "\u2028"\n\n'], [['notice', '\u2028']]],
    ['nothing without a name', ['data: 1\n\n', NOTICE], TOLD],
    ['nothing that is cut off', [NOTICE, NOTICE.slice(0, -1)], TOLD],
    [
      'each broadcast once',
      [`id: 9-2\n\nid: 9-2\n${NOTICE}id: 9-10\n${NOTICE}id: 9-9\n${NOTICE}`],
      TOLD,
    ],
    [
      'an end',
      ['event: session-ended\ndata: {"reason":"operator"}\n\n'],
      [['session-ended', { reason: 'operator' }], 'reloaded'],
    ],
  ])('%s', async ([, chunks, told]) => {
    expect((await runClientScript(script, [{ chunks }])).told).toEqual(told)
  })
})

const READY = { chunks: ['retry: 700\nid: 5-0\n\n'] }
const SESSIONS = ['one', 'one', 'another'].map((name) => ({
  chunks: [`id: 5-0\nsession: ${name}\n\n${name === 'another' ? NOTICE : ''}`],
}))
const away = { status: 503, headers: { 'Retry-After': '7' } }

describe('when the script asks again', () => {
  test.for<
    readonly [string, Parameters<typeof runClientScript>[1], readonly (readonly [number, number])[]]
  >([
    [
      'as the stream has said',
      [READY, { chunks: [NOTICE] }],
      [
        [700, 700],
        [700, 700],
      ],
    ],
    [
      'not before Retry-After',
      [READY, away],
      [
        [700, 700],
        [7000, 8400],
      ],
    ],
    [
      'later and later without an answer',
      Array<undefined>(7).fill(undefined),
      [
        [3000, 6000],
        [6000, 12_000],
        [12_000, 24_000],
        [24_000, 48_000],
        [30_000, 60_000],
        [30_000, 60_000],
        [30_000, 60_000],
      ],
    ],
    ['not by itself without a session', [{ status: 401 }], [[2e9, 2e9]]],
    [
      'not as fast as a wrong answer would have it',
      [{ status: 503, headers: { 'Retry-After': '9'.repeat(12) } }],
      [[2e9, 2e9]],
    ],
    [
      'in spite of an answer that is no stream',
      [{ chunks: [NOTICE], headers: { 'Content-Type': 'text/html' } }],
      [[3000, 6000]],
    ],
  ])('%s', async ([, answers, pauses]) => {
    const { pausesMs, asked } = await runClientScript(script, answers)
    expect(pausesMs).toHaveLength(pauses.length)
    for (const [at, [leastMs, mostMs]] of pauses.entries()) {
      expect(pausesMs[at]).toBeGreaterThanOrEqual(leastMs)
      expect(pausesMs[at]).toBeLessThanOrEqual(mostMs)
    }
    const reached = answers[0] === READY ? '5-0' : ''
    for (const lastEventId of asked.slice(1)) expect(lastEventId).toBe(reached)
  })

  test.for<readonly [string, readonly number[], readonly string[]]>([
    ['signed-out', [3000], []],
    ['replaced', [3000], []],
    ['signed-out-elsewhere', [], ['reloaded']],
    ['operator', [], ['reloaded']],
  ])('the page is loaded again after %s', async ([reason, pauses, reloaded]) => {
    const ended = `event: session-ended\ndata: {"reason":"${reason}"}\n\n`
    const { told, pausesMs } = await runClientScript(script, [{ chunks: [`id: 1-0\n\n${ended}`] }])
    expect([told, pausesMs]).toEqual([[['session-ended', { reason }], ...reloaded], pauses])
  })

  test('another session than that of the page replaces it, and nothing of it is told', async () => {
    const { told, asked } = await runClientScript(script, SESSIONS)
    expect([told, asked.length]).toEqual([
      [['session-ended', { reason: 'replaced' }], 'reloaded'],
      3,
    ])
  })

  test.for<readonly [string | undefined, string]>([
    ['{"reason":"provider"}', 'provider'],
    ['{}', 'expired'],
    ['no JSON', 'expired'],
  ])('a session that is gone by then has ended: %s', async ([body, reason]) => {
    const { told } = await runClientScript(script, [READY, { status: 401, chunks: [body ?? ''] }])
    expect(told).toEqual([['session-ended', { reason }], 'reloaded'])
  })
})
