import { buffer } from 'node:stream/consumers'
import { openHttp2 } from '../http2-client.ts'
import type { ReceivedAnswer } from './received-answer.ts'
import type { SentHeader, SentRequest } from './world.ts'

const AT_ONCE = 8

/** Sends requests as streams of one connection over HTTP/2, several at a time. */
export async function createStreamClient(port: number) {
  const client = await openHttp2(port)
  async function send({ method, target, headers, body }: SentRequest): Promise<ReceivedAnswer> {
    const answer = await client.send({
      method,
      path: target,
      headers: headers.flat(),
      body: body && 'b'.repeat(body.bytes),
    })
    const text = (await buffer(answer)).toString('latin1')
    return { status: answer.statusCode, headers: pairsOf(answer.rawHeaders), body: text }
  }
  return {
    async ask(requests: readonly SentRequest[]): Promise<readonly ReceivedAnswer[]> {
      const answers: ReceivedAnswer[] = []
      while (answers.length < requests.length) {
        const some = requests.slice(answers.length, answers.length + AT_ONCE)
        answers.push(...(await Promise.all(some.map(send))))
      }
      return answers
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

function pairsOf(raw: readonly string[]): readonly SentHeader[] {
  const pairs = raw.flatMap((name, at) => (at % 2 ? [] : [[name, raw[at + 1] ?? ''] as const]))
  return pairs.filter(([name]) => !name.startsWith(':'))
}

/** Returns a request as HTTP/2 can send it: names in lower case, each cookie in a field of its own, no hop-by-hop header. */
export function overHttp2(sent: SentRequest): SentRequest {
  const { target, body, headers } = sent
  const fields = headers.flatMap(asFields)
  const hasHost = fields.some(([name]) => name === 'host')
  return {
    ...sent,
    version: '1.1',
    target: target.replace(/^https?:\/\/[^/]*/, ''),
    headers: hasHost ? fields : [['host', 'vestibule'], ...fields],
    ...(body && { body: { framing: 'length' as const, bytes: Math.min(body.bytes, 100) } }),
  }
}

function asFields([name, value]: SentHeader): readonly SentHeader[] {
  const lower = name.toLowerCase()
  const trimmed = value.replace(/^[ \t]+|[ \t]+$/g, '')
  if (lower === 'connection') return []
  if (lower === 'host') return [[lower, /^[\w.:[\]-]+$/.test(trimmed) ? trimmed : 'vestibule']]
  if (lower !== 'cookie') return [[lower, trimmed]]
  return trimmed.split(/[ \t]*;[ \t]*/).map((pair) => [lower, pair])
}
