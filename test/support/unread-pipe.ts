import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FILLING = '.'

export const makeUnreadPipe = () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-pipe-'))
  const path = join(folder, 'log')
  execFileSync('mkfifo', [path])
  const end = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const repeat = (step: () => number): void => {
    try {
      for (let count = 1; count > 0; ) count = step()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
  return {
    path,
    fill: () => repeat(() => writeSync(end, FILLING)),
    /** Takes what is in it now, without what it was filled with. */
    read: () => {
      const parts: string[] = []
      const buffer = Buffer.alloc(64 * 1024)
      repeat(() => {
        const count = readSync(end, buffer)
        parts.push(buffer.toString('utf8', 0, count))
        return count
      })
      return parts.join('').replace(/^\.+/, '')
    },
    [Symbol.dispose]: () => {
      closeSync(end)
      rmSync(folder, { recursive: true })
    },
  }
}
