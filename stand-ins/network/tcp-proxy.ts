import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { steadyPort } from '../steady-port.ts'

/** A network between a client and a server, and what can happen to it. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** How many clients are connected. */
  readonly connections: () => number
  /** How many have been made so far. */
  readonly accepted: () => number
  /** From now on everything arrives this much later, in each direction. */
  readonly delay: (ms: number) => void
  /**
   * Forwards the next chunk of a client in which `match` is found, then takes both sides of that connection away: the
   * request is carried out, its answer is lost. Resolves once the server has read all of it.
   */
  readonly cutAfterRequest: (match?: string | RegExp) => Promise<void>
  /**
   * Keeps back what the server answers where a client next sends `match`; resolves when that has been forwarded, with
   * what lets the answers go.
   */
  readonly holdAnswers: (match: string | RegExp) => Promise<() => void>
  /**
   * Nothing arrives any more on connections on which a client has sent `match`, and on later ones from then on if
   * asked for, while all others go on; what it returns lets it flow again.
   */
  readonly muffle: (match: string | RegExp, which?: 'present' | 'present and later') => () => void
  /** Nothing arrives any more, not even the end of a connection; `flow` delivers it late, as TCP would. */
  readonly blackhole: () => void
  readonly flow: () => void
  /** Ends all connections, and refuses new ones until `accept`. */
  readonly refuse: () => Promise<void>
  readonly accept: () => Promise<void>
  /** Ends all connections; new ones are welcome. */
  readonly cut: () => void
  readonly close: () => Promise<void>
}

interface Trap {
  readonly match: string | RegExp
  readonly sprung: () => void
}

/** Between one client and the server. */
interface Line {
  /** The beginning of what the client has sent. */
  sent: string
  /** Until these are over, nothing arrives in that direction. */
  toTarget: Promise<void> | undefined
  toClient: Promise<void> | undefined
}

interface Muffler {
  readonly match: string | RegExp
  readonly until: Promise<void>
}

const REMEMBERED_CHARACTERS = 10_000

/** Stands before a port of 127.0.0.1. */
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

  /** One direction: what is passed to it happens in order, and late if need be. */
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
        // Destroying it with answers unread would reset the connection, and the server might lose the request.
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
