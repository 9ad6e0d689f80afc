type Call<C> = (client: C) => Promise<unknown>
/** Runs a call at the server that has a key, or at any where there is no key. */
export type Route<C> = (key: string | undefined, call: Call<C>) => Promise<unknown>

/** Commands without a key, which any server can carry out. */
const KEYLESS: ReadonlySet<string> = new Set(['echo', 'info', 'ping', 'publish', 'sendCommand'])

/** Looks like the client of one server; each of its commands is routed by its first key. */
export function createRoutedClient<C extends object>(route: Route<C>): C {
  return new Proxy({} as C, {
    get(_, name) {
      // Asked for by `await`; a client is no promise.
      if (typeof name === 'symbol' || name === 'then') return undefined
      return (...args: unknown[]) =>
        route(KEYLESS.has(name) ? undefined : firstKeyOf(name, args), (client) => {
          const command = Reflect.get(client, name) as (...args: unknown[]) => Promise<unknown>
          return command.apply(client, args)
        })
    },
  })
}

function firstKeyOf(command: string, [first, call]: readonly unknown[]): string {
  const keys = command === 'eval' ? (call as { readonly keys: unknown }).keys : first
  return String(Array.isArray(keys) ? keys[0] : keys)
}
