import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { startProcess } from '../../stand-ins/process.ts'
import { stillRunning } from '../../stand-ins/process-guard.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A process that has a program running which has another one running; and the ids of the three. */
const startFamily = async (): Promise<readonly [ChildProcess, number, number]> => {
  const code = `
    import { startProcess } from './stand-ins/process.ts'
    const { child, output } = startProcess('sh', ['-c', 'sleep 1000 & echo $!; wait'])
    const timer = setInterval(() => {
      if (!output().includes('\\n')) return
      clearInterval(timer)
      console.log(child.pid, output().trim())
    }, 5)`
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const [child = 0, grandchild = 0] = line.toString().split(' ').map(Number)
  return [parent, child, grandchild]
}

test.for(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('a family ends by %s', async (signal) => {
  const [parent, ...family] = await startFamily()
  expect(family.map(isThere)).toEqual([true, true])
  parent.kill(signal)
  await expect.poll(() => family.map(isThere)).toEqual([false, false])
})

test('what a program leaves behind ends with it', async () => {
  const running = startProcess('sh', ['-c', 'sleep 1000 & echo $!'])
  await running.exited
  await expect.poll(() => isThere(Number(running.output()))).toBe(false)
})

test('a service that does not come up is ended', async () => {
  const hangs = encodeURIComponent('await new Promise(() => setInterval(() => 0, 1000))')
  const settings = { NODE_OPTIONS: `--import data:text/javascript,${hangs}` }
  await expect(startVestibuleProcess(settings, 1000)).rejects.toThrow('did not start')
  expect(stillRunning()).toEqual([])
})
