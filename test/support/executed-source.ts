import { type Profiler, Session } from 'node:inspector/promises'

/** Matches the modules of this project and of its libraries, but not those of Vitest and Node, which tests use as well. */
const COUNTED = /\/src\/|\/node_modules\/(?!vitest|@vitest)/

/** Counter of the characters of source that are executed, each as often as it is executed. */
export interface ExecutionCounter extends Disposable {
  /** Resolves with what `run` resolves with, and the characters executed while it was under way. */
  count<Result>(
    run: () => Promise<Result>,
  ): Promise<{ readonly result: Result; readonly characters: number }>
}

/** Creates a measure of work that is the same in every run, unlike time. For processes without another measure of coverage. */
export async function createExecutionCounter(): Promise<ExecutionCounter> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return {
    async count(run) {
      await session.post('Profiler.takePreciseCoverage')
      const result = await run()
      const { result: scripts } = await session.post('Profiler.takePreciseCoverage')
      const counted = scripts.filter(({ url }) => COUNTED.test(url))
      const functions = counted.flatMap((each) => each.functions)
      return { result, characters: functions.reduce((sum, each) => sum + executed(each), 0) }
    },
    [Symbol.dispose]: () => {
      session.disconnect()
    },
  }
}

/** Adds up the ranges of a function, of which later ones lie within earlier ones and replace their count. */
function executed({ ranges }: Profiler.FunctionCoverage): number {
  const open: { readonly end: number; readonly count: number }[] = []
  let characters = 0
  for (const { startOffset, endOffset, count } of ranges) {
    while ((open.at(-1)?.end ?? Infinity) <= startOffset) open.pop()
    characters += (count - (open.at(-1)?.count ?? 0)) * (endOffset - startOffset)
    open.push({ end: endOffset, count })
  }
  return characters
}
