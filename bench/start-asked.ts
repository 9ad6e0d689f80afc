import { fork } from 'node:child_process'
import { once } from 'node:events'

export interface AskedProcess extends Disposable {
  readonly pid: number
  readonly ask: (question: unknown) => Promise<unknown>
}

/** Starts a script that says when it is ready and answers one message at a time. */
export async function startAsked(
  script: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<AskedProcess> {
  const child = fork(script, args, { execArgv: [...nodeOptions] })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${script} ${args.join(' ')} ended with ${code}`)
  })
  failed.catch(() => undefined)
  const answer = async () => (await Promise.race([once(child, 'message'), failed]))[0] as unknown
  await answer()
  return {
    pid: child.pid ?? 0,
    ask: (question) => {
      child.send(question as string)
      return answer()
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}
