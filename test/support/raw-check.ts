import { expect } from 'vitest'
import type { RunningVestibule } from './vestibule.ts'
import { raw } from './visitor.ts'
import { FORWARDED } from './wire-requests.ts'

export interface RawAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/**
 * Asks the check and then `/livez` over one connection and returns the first answer. Anything of the first that
 * reached beyond its own bounds would be read as the second.
 */
export const rawCheck = async (
  { internalPort }: RunningVestibule,
  cookie: string,
  headers: readonly string[] = [],
): Promise<RawAnswer> => {
  const lines = [
    'GET /auth HTTP/1.1',
    'Host: vestibule',
    ...Object.entries(FORWARDED).map(([name, value]) => `${name}: ${value}`),
    ...(cookie ? [`Cookie: ${cookie}`] : []),
    ...headers,
    '',
    'GET /livez HTTP/1.1',
    'Host: vestibule',
    'Connection: close',
    '',
    '',
  ]
  const text = await raw(internalPort, lines.join('\r\n'), 2_000)
  const { answer, rest } = readAnswer(text)
  const second = readAnswer(rest)
  expect(second.answer.status).toBe(200)
  expect(second.rest).toBe('')
  return answer
}

export const rawValues = ({ headers }: RawAnswer, name: string): readonly string[] =>
  headers
    .filter(([each]) => each.toLowerCase() === name.toLowerCase())
    .map(([, value]) => Buffer.from(value, 'latin1').toString('utf8'))

const readAnswer = (text: string): { answer: RawAnswer; rest: string } => {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  expect(statusLine).toMatch(/^HTTP\/1\.1 \d{3} /)
  const headers = lines.map((line) => {
    expect(line).toMatch(/^[A-Za-z0-9-]+: [^\0-\x08\x0a-\x1f\x7f]*$/)
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 2)] as const
  })
  const find = (name: string) => headers.find(([each]) => each.toLowerCase() === name)?.[1]
  const length = Number(find('content-length') ?? 0)
  expect(find('transfer-encoding')).toBeUndefined()
  const body = text.slice(end + 4, end + 4 + length)
  return {
    answer: { status: Number(statusLine.split(' ')[1]), headers, body },
    rest: text.slice(end + 4 + length),
  }
}
