import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { until } from './own-lag.ts'
import type { RunningRedis } from './redis.ts'

/** Time for commands that are on their way to Redis. */
const LAG_MS = 50
/** Prefix of the marks that show how far the lines have come. */
const MARK = 'mark-of-the-monitor-'

export async function startRedisMonitor({ host, port, cli }: RunningRedis) {
  const socket = connect(port, host)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write('MONITOR\r\n')
  await once(socket, 'data')
  return {
    /** Lines of MONITOR so far, byte for byte. */
    lines: async () => {
      await wait(LAG_MS)
      const mark = `${MARK}${randomUUID()}`
      await cli('ECHO', mark)
      await until('all lines', () => text.includes(mark))
      const lines = text.slice(0, text.indexOf(mark)).split('\r\n').slice(1, -1)
      return lines.filter((line) => !line.includes(MARK)).map(unescape)
    },
    [Symbol.dispose]: () => socket.destroy(),
  }
}

const ESCAPED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
}

function unescape(line: string): Buffer {
  const plain = line.replaceAll(
    /\\(?:x([0-9a-f]{2})|(.))/g,
    (_, hex?: string, letter: string = '') =>
      hex ? String.fromCharCode(Number.parseInt(hex, 16)) : (ESCAPED[letter] ?? letter),
  )
  return Buffer.from(plain, 'latin1')
}
