import { setImmediate as turn } from 'node:timers/promises'
import { createContext, runInContext } from 'node:vm'

export interface ScriptedStream {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly chunks?: readonly (string | Uint8Array)[]
}

/**
 * Runs client.js without a browser, locks and channels, and lets all of its pauses pass at once. Its requests are
 * answered in this order, `undefined` by a fault of the network; after the last answer it is left in its pause.
 */
export async function runClientScript(
  script: string,
  answers: readonly (ScriptedStream | undefined)[],
) {
  const told: unknown[] = []
  const pausesMs: number[] = []
  const asked: string[] = []
  const isDone = Promise.withResolvers<void>()
  const events = new EventTarget()
  for (const name of ['notice', 'session-ended']) {
    events.addEventListener(`vestibule:${name}`, (event) =>
      told.push([name, (event as CustomEvent).detail]),
    )
  }
  const fetchNext = async (_url: string, { headers }: { headers: Record<string, string> }) => {
    asked.push(headers['Last-Event-ID'] ?? '')
    const answer = answers[asked.length - 1]
    if (!answer) throw new TypeError('Failed to fetch')
    const { status = 200, chunks = [] } = answer
    const type = status === 200 ? 'text/event-stream' : 'application/json'
    return new Response(streamOf(chunks), {
      status,
      headers: { 'Content-Type': type, ...answer.headers },
    })
  }
  const page = {
    document: {
      currentScript: { src: 'https://app.example.com/oauth2/client.js' },
      addEventListener: () => undefined,
    },
    navigator: {},
    location: {
      reload: () => {
        told.push('reloaded')
        isDone.resolve()
      },
    },
    addEventListener: () => undefined,
    dispatchEvent: (event: Event) => events.dispatchEvent(event),
    setTimeout: (then: () => void, ms: number) => {
      pausesMs.push(ms)
      if (asked.length === answers.length) isDone.resolve()
      else then()
    },
    setInterval: () => 0,
    clearInterval: () => undefined,
    fetch: fetchNext,
  }
  runInContext(
    script,
    createContext({ ...page, window: page, URL, AbortController, CustomEvent, TextDecoderStream }),
  )
  await isDone.promise
  await turn()
  return { told, pausesMs, asked }
}

function streamOf(chunks: readonly (string | Uint8Array)[]): ReadableStream {
  return ReadableStream.from(
    chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)),
  )
}
