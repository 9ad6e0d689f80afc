import { code } from '../code-span.ts'
import type { AppRoute } from '../installation.ts'
import { type Reading, tell } from './reading.ts'

/** Place to which oauth2-proxy sent requests that passed. */
export interface Upstream {
  readonly label: string
  readonly path: string
  readonly uri: string
  readonly isStatic: boolean
  /** Whether it needs more than a router and a service say. */
  readonly isSpecial: boolean
}

/** Reads the upstreams of options. */
export function upstreamsOf({ values }: Reading): readonly Upstream[] {
  return values.list('upstream').map((uri) => {
    const url = URL.parse(uri)
    return {
      label: values.label('upstream'),
      path: url?.pathname || '/',
      uri,
      isStatic: url?.protocol === 'static:',
      isSpecial: !/^https?:$/.test(url?.protocol ?? ''),
    }
  })
}

/** Returns a route of Traefik for each upstream that is an app. */
export function readUpstreams(
  reading: Reading,
  upstreams: readonly Upstream[],
): readonly AppRoute[] {
  tellTransport(reading)
  return upstreams.flatMap((upstream) => {
    const { label, path, uri, isStatic, isSpecial } = upstream
    const url = URL.parse(uri)
    if (isStatic) {
      reading.draft.note(
        'carried',
        label,
        'is not needed: Vestibule answers Traefik and serves no app',
      )
      return []
    }
    if (isSpecial || !url || `${url.username}${url.password}${url.search}` !== '') {
      reading.draft.note(
        'todo',
        label,
        `needs a router and a service of Traefik that you write, with the middleware \`protected\`: ${code(path)} was served from a place that is no plain address, or under another path`,
      )
      return []
    }
    reading.draft.note(
      'differs',
      label,
      `Vestibule passes no requests on: \`traefik/apps.yaml\` has a router for ${code(path)} and a service for ${code(url.origin)}; give the router your entry point and TLS`,
    )
    return [
      {
        path,
        isFolder: path.endsWith('/'),
        url: url.origin,
        passesHost: reading.values.isOn('pass-host-header', true),
      },
    ]
  })
}

function tellTransport(reading: Reading): void {
  tell(
    reading,
    'pass-host-header',
    'carried',
    'is `passHostHeader` of the service in `traefik/apps.yaml`',
  )
  tell(
    reading,
    'ssl-upstream-insecure-skip-verify',
    'todo',
    'is `insecureSkipVerify` of a `serversTransport` of Traefik, for the services that need it',
  )
  for (const name of [
    'flush-interval',
    'upstream-timeout',
    'disable-keep-alives',
    'proxy-websockets',
  ])
    tell(
      reading,
      name,
      'dropped',
      'is for Traefik now: see its `responseForwarding` and `serversTransport`',
    )
}
