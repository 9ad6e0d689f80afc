import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { broadcast } from '../../src/commands/broadcast.ts'
import { type Listener, listen } from '../../src/listener/listen.ts'
import { runCommand } from '../support/command.ts'
import { useFolder } from '../support/configuration.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'
import { ADMIN_TOKEN, BROADCAST_ID, BROADCAST_TOKEN, startAdmin } from '../support/started-admin.ts'
import { words } from '../support/words.ts'

const SENT = `The event was sent to the open pages as ${BROADCAST_ID}.\n`

const folder = useFolder()
useMonotonicClock()
let started: ReturnType<typeof startAdmin>
let listener: Listener
beforeEach(async () => {
  started = startAdmin({ broadcastToken: BROADCAST_TOKEN })
  listener = await listen(started.app, { host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  await listener.close(0)
})

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runCommand(() => {
    const here = { BROADCAST_TOKEN, INTERNAL_PORT: `${listener.port}` }
    return broadcast({ ...here, ...env }, ...args)
  })
const failed = (message: string) => ({ code: 1, output: `vestibule: ${message}\n` })

test.for<readonly [args: readonly string[], sent: object]>([
  [['notice'], { event: 'notice', data: null }],
  [['notice', '{"text":"At ten – é"}'], { event: 'notice', data: { text: 'At ten – é' } }],
  [['notice', '--', '-5'], { event: 'notice', data: -5 }],
  [
    ['notice', ' "text" ', '--user=alice', '--host', 'APP.example.com'],
    { event: 'notice', data: 'text', user: 'alice', host: 'app.example.com' },
  ],
])('%j is sent', async ([args, sent]) => {
  expect(await run(args)).toEqual({ code: 0, output: SENT })
  expect(started.broadcasts).toEqual([sent])
})

test.for<readonly [given: string, code: number, sent: readonly object[]]>([
  ['{"text":"At ten"}\n', 0, [{ event: 'notice', data: { text: 'At ten' } }]],
  ['', 2, []],
  ['At ten', 2, []],
])('- reads the data from the standard input: %j', async ([given, code, sent]) => {
  const input = Readable.from([given]) as typeof process.stdin
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(input)
  expect((await run(['notice', '-', '--user=alice'])).code).toBe(code)
  expect(started.broadcasts).toEqual(sent.map((each) => ({ ...each, user: 'alice' })))
})

test('--json prints the answer', async () => {
  const { code, output } = await run(['notice', '--json'])
  expect([code, JSON.parse(output)]).toEqual([0, { id: BROADCAST_ID }])
})

test.for([
  [{ ADMIN_TOKEN }, 202],
  [{ BROADCAST_TOKEN: '', ADMIN_TOKEN }, 202],
  [{ BROADCAST_TOKEN: 'wrong', ADMIN_TOKEN }, 401],
] as const)('with %o the first token counts: %i', async ([env, status]) => {
  const expected = failed(`http://127.0.0.1:${listener.port} does not accept this BROADCAST_TOKEN`)
  expect(await run(['notice'], env)).toEqual(status === 202 ? { code: 0, output: SENT } : expected)
})

test('the token may be in a file, and the address in --url', async () => {
  const file = await folder.write(`${BROADCAST_TOKEN}\n`)
  const env = { BROADCAST_TOKEN: '', BROADCAST_TOKEN_FILE: file, INTERNAL_PORT: '' }
  const { code } = await run(['notice', `--url=http://127.0.0.1:${listener.port}`], env)
  expect(code).toBe(0)
})

const misused = [
  ...words`Notice session-ended open notice,{ notice,text notice,undefined notice,1,2 notice,`,
  ...words`notice,--user notice,--user= notice,--host= notice,--to=alice notice,--json=yes`,
  ...words`notice,1,--url,ftp://127.0.0.1/ notice,1,--url,http://127.0.0.1/,--ca,x notice,--key,x`,
  ...words`notice,-5 notice,--data,1 {},notice`,
].map((args) => args.split(','))
test.for([[], ...misused])('%j is a usage error that sends nothing', async (args) => {
  const { code, output } = await run(args)
  expect(code).toBe(2)
  expect(output).toMatch(/^usage: vestibule broadcast EVENT /)
  expect([started.broadcasts, started.lines]).toEqual([[], []])
})

test('what the service refuses is told in its words', async () => {
  const host = 'host must be one of the protected hosts; without it, all are meant.'
  expect(await run(['notice', '1', '--host=example.com'])).toEqual(failed(host))
  const long = JSON.stringify('a'.repeat(4096))
  expect(await run(['notice', long])).toEqual(failed('data is longer than 4096 bytes as JSON.'))
  const none =
    'set BROADCAST_TOKEN or BROADCAST_TOKEN_FILE or ADMIN_TOKEN or ADMIN_TOKEN_FILE to the token that the service has'
  expect(await run(['notice'], { BROADCAST_TOKEN: '' })).toEqual(failed(none))
  expect(started.broadcasts).toEqual([])
})

test.for<readonly [status: number, body: string, message: string]>([
  [503, '{"message":"it may not have been sent"}', 'Redis is away: it may not have been sent'],
  [
    404,
    'not found\n',
    'URL has no /admin: is that the internal listener, with BROADCAST_TOKEN set?',
  ],
  [202, '{"id":"\\u001b[2J"}', 'the answer is not understood: is that another version?'],
  [202, 'ok', 'the answer is not understood: is that another version?'],
  [413, '', 'URL answered 413'],
  [302, '', 'no answer from URL: it redirects elsewhere'],
])('an answer that is %i %j is no success', async ([status, body, message]) => {
  const asked: unknown[] = []
  const server = createServer((request, answer) => {
    void text(request).then((sent) => {
      const { method, url, headers } = request
      asked.push([method, url, headers['content-type'], headers['content-length'], sent])
      answer.writeHead(status, { Location: '/elsewhere' }).end(body)
    })
  })
  const other = await new Promise<string>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`)
    })
  })
  try {
    const result = await run(['notice', '"é"', '--url', other])
    expect(result).toEqual(failed(message.replace('URL', other)))
    const sent = '{"event":"notice","data":"é"}'
    const length = `${Buffer.byteLength(sent)}`
    expect(asked).toEqual([['POST', '/admin/broadcast', 'application/json', length, sent]])
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
