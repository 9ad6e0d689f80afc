import { fstatSync, writeFile } from 'node:fs'

/** Takes one chunk and calls back when it is written or lost; never blocks. */
export type WriteChunk = (chunk: string, done: (error?: Error | null) => void) => void

/** Destination for pino whose writes never block on the reader (finding C50). */
export interface LogOutput {
  write(line: string): void
  /** Calls back with the number of dropped lines as soon as a write succeeds again. */
  onDropped(listener: (count: number) => void): void
  droppedLines(): number
  /** Resolves when all lines are written, or after `withinMs`. */
  finish(withinMs: number): Promise<void>
  /** Removes and returns the lines that no write has taken yet. */
  takeWaiting(): string
}

/** Bounds what is kept while nobody reads; later lines are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024
const MAX_CHUNK_BYTES = 16 * 1024
const STANDARD_OUTPUT = 1

/**
 * Buffers lines and writes them one chunk at a time. Replaces pino's own destination, because a write of sonic-boom
 * blocks a libuv thread while nobody reads, and a process with such a thread cannot exit.
 */
export function createLogOutput(writeChunk: WriteChunk): LogOutput {
  const waiting: string[] = []
  let waitingBytes = 0
  let isWriting = false
  let dropped = 0
  let untold = 0
  /** Exempts the line that reports dropped lines from the bound, because their number would be lost with it. */
  let isTelling = false
  let tell: (count: number) => void = () => undefined
  const emptied = new Set<() => void>()

  function drop(count: number): void {
    dropped += count
    untold += count
  }

  function takeChunk(): readonly string[] {
    let bytes = 0
    const end = waiting.findIndex((line) => (bytes += Buffer.byteLength(line)) > MAX_CHUNK_BYTES)
    return waiting.splice(0, end === -1 ? waiting.length : Math.max(1, end))
  }

  function writeNext(): void {
    isWriting = waiting.length > 0
    if (!isWriting) {
      for (const resolve of emptied) resolve()
      emptied.clear()
      return
    }
    const lines = takeChunk()
    const chunk = lines.join('')
    writeChunk(chunk, (error) => {
      waitingBytes -= Buffer.byteLength(chunk)
      if (error) drop(lines.length)
      else if (untold > 0) {
        const count = untold
        untold = 0
        isTelling = true
        tell(count)
        isTelling = false
      }
      writeNext()
    })
  }

  return {
    write(line) {
      const bytes = Buffer.byteLength(line)
      if (!isTelling && waitingBytes + bytes > MAX_WAITING_BYTES) {
        drop(1)
        return
      }
      waiting.push(line)
      waitingBytes += bytes
      if (!isWriting) writeNext()
    },
    onDropped(listener) {
      tell = listener
    },
    droppedLines: () => dropped,
    async finish(withinMs) {
      if (!isWriting) return
      const { promise, resolve } = Promise.withResolvers<void>()
      emptied.add(resolve)
      const timer = setTimeout(resolve, withinMs)
      await promise
      clearTimeout(timer)
    },
    takeWaiting: () => waiting.splice(0).join(''),
  }
}

let standardOutput: LogOutput | undefined

/** Opens the standard output of this process, be it a file, a pipe, a socket or a terminal. */
export function openStandardOutput(): LogOutput {
  standardOutput ??= connectStandardOutput(process.stdout)
  return standardOutput
}

function connectStandardOutput(stdout: NodeJS.WriteStream & UnlockedTerminal): LogOutput {
  const isFile = fstatSync(STANDARD_OUTPUT).isFile()
  // Ignored, because the callback of each write gets the error; a full disk or a closed pipe changes no decision (fault
  // F43).
  stdout.on('error', () => undefined)
  // Node makes terminals blocking; writes to pipes and sockets accept only what fits the buffer.
  if (stdout.isTTY) stdout['_handle']?.setBlocking?.(false)
  // Opens standard error, to which Node writes its warnings, because that makes it non-blocking.
  process.stderr.on('error', () => undefined)
  const output = createLogOutput(
    isFile
      ? (chunk, done) => writeFile(STANDARD_OUTPUT, chunk, done)
      : (chunk, done) => stdout.write(chunk, done),
  )
  // Writes what fits into the pipe, because an exit after an uncaught exception waits for nothing.
  process.once('exit', () => stdout.write(output.takeWaiting()))
  return output
}

/** Stream of a terminal with its underlying handle, which has no public API. */
interface UnlockedTerminal {
  readonly _handle?: { setBlocking?(isBlocking: boolean): void }
}
