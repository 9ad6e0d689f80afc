import type { Sites } from '../../core/site.ts'
import type { Streams } from '../../events/streams.ts'
import type { Addresses } from '../../http/addresses.ts'
import { plain } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import type { NodeContext } from '../../http/request.ts'
import type { Sessions } from '../../session/sessions.ts'

export interface EventsOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly protectedSites: Sites
  readonly sessions: Pick<Sessions, 'find'>
  readonly realmOf: (host: string) => string
  readonly streams: Streams
}

/** Serves `BASE_PATH/events`: the stream of events about a session (`GET`), and its preflight (`OPTIONS`). */
export function createEvents(_options: EventsOptions) {
  return {
    events: async (_c: NodeContext): Promise<Response> => plain(404),
    eventsPreflight: (_c: NodeContext): Response => plain(404),
  }
}
