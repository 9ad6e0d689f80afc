import { fileURLToPath } from 'node:url'
import { ACCESS_TOKEN_HEADER, IDENTITY_HEADERS } from '../src/core/identity-headers.ts'
import { type RunningProcess, startProcess } from './process.ts'

export interface RunningVestibule extends AsyncDisposable {
  readonly publicUrl: string
  readonly internalUrl: string
  readonly checkUrl: string
  readonly process: RunningProcess
  readonly close: () => Promise<void>
}

/** Headers that a proxy must copy from the answer of the check, so that clients cannot forge them. */
export const authResponseHeaders: readonly string[] = [
  ...IDENTITY_HEADERS.map(({ name }) => name),
  ACCESS_TOKEN_HEADER,
  'Cookie',
]

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const READY_WITHIN_MS = 20_000

/**
 * Starts `node src/main.ts serve` with exactly this environment, on free loopback ports unless the environment
 * names ports.
 */
export const startVestibule = async (
  env: Readonly<Record<string, string>>,
): Promise<RunningVestibule> => {
  const running = startProcess(process.execPath, [MAIN, 'serve'], {
    env: { HOST: '127.0.0.1', PORT: '0', INTERNAL_PORT: '0', DRAIN_SECONDS: '0', ...env },
  })
  const close = async (): Promise<void> => void (await running.stop())
  try {
    const { port, internal_port } = await untilListening(running)
    const internalUrl = `http://127.0.0.1:${internal_port}`
    return {
      publicUrl: `http://127.0.0.1:${port}`,
      internalUrl,
      checkUrl: `${internalUrl}/auth`,
      process: running,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

interface Listening {
  readonly port: number
  readonly internal_port: number
}

const untilListening = async ({ child, exited, output }: RunningProcess): Promise<Listening> => {
  const found = Promise.withResolvers<Listening>()
  const fail = (reason: string) => found.reject(new Error(`Vestibule ${reason}:\n${output()}`))
  const timer = setTimeout(() => fail('did not start in time'), READY_WITHIN_MS)
  void exited.then((code) => fail(`ended with code ${code}`))
  child.stdout?.on('data', () => {
    const line = output()
      .split('\n')
      .find((each) => each.includes('"event":"listening"') && each.endsWith('}'))
    if (line) found.resolve(JSON.parse(line) as Listening)
  })
  return found.promise.finally(() => clearTimeout(timer))
}
