import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { steadyPort } from '../steady-port.ts'

/** TCP proxy between a client and a server, with faults. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Returns the number of connected clients. */
  readonly connections: () => number
  /** Returns the number of connections accepted so far. */
  readonly accepted: () => number
  /** Delays everything by this time in each direction from now on. */
  readonly delay: (ms: number) => void
  /**
   * Forwards the next chunk of a client that contains `match`, then closes both sides of that connection: the
   * request is executed and its answer is lost. Resolves when the server has read all of it.
   */
  readonly cutAfterRequest: (match?: string | RegExp) => Promise<void>
  /**
   * Withholds the answers of the server after a client sent `match`. Resolves when that was forwarded, with a
   * function that releases the answers.
   */
  readonly holdAnswers: (match: string | RegExp) => Promise<() => void>
  /**
   * Silences connections on which a client has sent `match`, and later ones too if asked for; all others work.
   * Returns a function that ends the silence.
   */
  readonly muffle: (match: string | RegExp, which?: 'present' | 'present and later') => () => void
  /** Drops everything, the end of connections included; `flow` delivers it late, as TCP would. */
  readonly blackhole: () => void
  readonly flow: () => void
  /** Closes all connections and refuses new ones until `accept`. */
  readonly refuse: () => Promise<void>
  readonly accept: () => Promise<void>
  /** Closes all connections; new ones work. */
  readonly cut: () => void
  readonly close: () => Promise<void>
}

interface Trap {
  readonly match: string | RegExp
  readonly sprung: () => void
}

/** Connection of one client to the server. */
interface Line {
  /** Beginning of the bytes that the client has sent. */
  sent: string
  /** Blocks the direction until it settles. */
  toTarget: Promise<void> | undefined
  toClient: Promise<void> | undefined
}

interface Muffler {
  readonly match: string | RegExp
  readonly until: Promise<void>
}

const REMEMBERED_CHARACTERS = 10_000

/** Starts the proxy before a port of 127.0.0.1. */
export const startTcpProxy = async (targetPort: number): Promise<TcpProxy> => {
  const clients = new Set<Socket>()
  const sockets = new Set<Socket>()
  const traps = new Set<Trap>()
  const lines = new Set<Line>()
  const mufflers = new Set<Muffler>()
  const holds = new Set<{ match: string | RegExp; hold: (line: Line) => void }>()
  let delayMs = 0
  let accepted = 0
  let open = Promise.withResolvers<void>()
  let isBlackhole = false
  open.resolve()

  /** Creates one direction, which handles chunks in order and delays them as asked. */
  const createLane = (obstacle: () => Promise<void> | undefined) => {
    let last = Promise.resolve()
    const happen = async (
      before: Promise<void>,
      dueMs: number,
      act: () => unknown,
    ): Promise<void> => {
      await before
      if (dueMs > performance.now()) await wait(dueMs - performance.now())
      while (isBlackhole) await open.promise
      await obstacle()
      act()
    }
    return (act: () => unknown): void => {
      last = happen(last, performance.now() + delayMs, act)
    }
  }

  const server = createServer((client) => {
    accepted += 1
    const target = connect(targetPort, '127.0.0.1')
    const line: Line = { sent: '', toTarget: undefined, toClient: undefined }
    const toTarget = createLane(() => line.toTarget)
    const toClient = createLane(() => line.toClient)
    clients.add(client)
    lines.add(line)
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.setNoDelay(true).on('error', () => socket.destroy())
      socket.once('close', () => sockets.delete(socket))
    }
    let isTrapped = false
    const note = (chunk: Buffer | string): void => {
      if (line.sent.length < REMEMBERED_CHARACTERS) line.sent += chunk.toString('latin1')
      const muffler = [...mufflers].find(({ match }) => isFound(match, line.sent))
      if (muffler) line.toTarget = line.toClient = muffler.until
    }
    client.on('data', (chunk) => {
      note(chunk)
      toTarget(() => {
        const held = [...holds].find(({ match }) => isFound(match, chunk))
        held?.hold(line)
        const trap = [...traps].find(({ match }) => isFound(match, chunk))
        if (!trap) return void target.write(chunk)
        traps.delete(trap)
        isTrapped = true
        client.destroy()
        // Ends instead of destroying because unread answers would reset the connection and the server might lose
        // the request.
        target.once('close', trap.sprung).end(chunk)
      })
    })
    target.on('data', (chunk) => toClient(() => client.write(chunk)))
    client.once('close', () => {
      clients.delete(client)
      lines.delete(line)
      toTarget(() => isTrapped || target.destroySoon())
    })
    target.once('close', () => toClient(() => client.destroySoon()))
  })

  const port = await steadyPort()
  const accept = async (): Promise<void> => {
    if (server.listening) return
    const listening = Promise.withResolvers<void>()
    server.once('error', listening.reject).listen(port, '127.0.0.1', () => {
      server.off('error', listening.reject)
      listening.resolve()
    })
    await listening.promise
  }
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const refuse = async (): Promise<void> => {
    const closed = server.listening && new Promise((resolve) => server.close(resolve))
    cut()
    await closed
  }
  const flow = (): void => {
    isBlackhole = false
    open.resolve()
  }
  const close = async (): Promise<void> => {
    flow()
    await refuse()
  }

  await accept()
  return {
    port,
    connections: () => [...clients].filter((client) => !client.destroyed).length,
    accepted: () => accepted,
    delay: (ms) => {
      delayMs = ms
    },
    cutAfterRequest: async (match = '') => {
      const sprung = Promise.withResolvers<void>()
      traps.add({ match, sprung: sprung.resolve })
      await sprung.promise
    },
    holdAnswers: async (match) => {
      const [forwarded, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const held = {
        match,
        hold: (line: Line) => {
          holds.delete(held)
          line.toClient = released.promise
          forwarded.resolve()
        },
      }
      holds.add(held)
      await forwarded.promise
      return released.resolve
    },
    muffle: (match, which = 'present') => {
      const released = Promise.withResolvers<void>()
      const muffler = { match, until: released.promise }
      for (const line of lines) {
        if (isFound(match, line.sent)) line.toTarget = line.toClient = released.promise
      }
      if (which === 'present and later') mufflers.add(muffler)
      return () => {
        mufflers.delete(muffler)
        released.resolve()
      }
    },
    blackhole: () => {
      if (isBlackhole) return
      isBlackhole = true
      open = Promise.withResolvers()
    },
    flow,
    refuse,
    accept,
    cut,
    close,
    [Symbol.asyncDispose]: close,
  }
}

const isFound = (match: string | RegExp, chunk: Buffer | string): boolean => {
  const text = typeof chunk === 'string' ? chunk : chunk.toString('latin1')
  return typeof match === 'string' ? text.includes(match) : match.test(text)
}
