import type { EpochMs } from '../../core/epoch-ms.ts'
import { displayName } from '../../core/identity.ts'
import { isPrefetch } from '../../core/request-class.ts'
import { scanHeaders } from '../../core/sent-headers.ts'
import type { Site } from '../../core/site.ts'
import { storeFailureAs } from '../../errors.ts'
import { json, plain } from '../../http/answers.ts'
import { type SessionLinks, sessionsPage } from '../../http/pages/sessions-page.ts'
import { type NodeContext, requestIdOf } from '../../http/request.ts'
import type { OwnSession, OwnSessionList } from '../../session/own-sessions.ts'
import type { Sessions } from '../../session/sessions.ts'
import { createLogoutIntent, type LogoutIntentOptions } from '../sign-out/logout-intent.ts'
import { browserWords } from './browser-words.ts'
import { type Caller, type CallerOptions, createCallerFinder, VARY, wantsPage } from './caller.ts'
import { createEndOwnSessions, type EndOwnSessionsOptions } from './end-own-sessions.ts'
import { createNotices } from './notices.ts'

export interface OwnSessionsOptions
  extends CallerOptions,
    LogoutIntentOptions,
    Pick<EndOwnSessionsOptions, 'log' | 'metrics' | 'signOutHere'> {
  readonly sessions: Pick<Sessions, 'find' | 'own'>
  readonly now: () => EpochMs
}

/** Bounds the page; SESSIONS_PER_USER may be 10,000. */
const MAX_LISTED = 200
/** Tells a person that the store is away, and that this is not "no session". */
const unseen = storeFailureAs(
  'Your sessions cannot be shown right now. This is not your fault, and none of them has ended by it.',
)

/** Serves `BASE_PATH/sessions`, where people see and end their own sessions, as a page without scripts or as JSON. */
export function createOwnSessions(options: OwnSessionsOptions) {
  const { addresses, sessions, now } = options
  const findCaller = createCallerFinder(options)
  const intent = createLogoutIntent(options)
  const notices = createNotices(options.ring, now)

  function linksOf(site: Site, { credential }: Caller): SessionLinks {
    return {
      sessions: addresses.sessions(site),
      logout: addresses.logout(site),
      landing: addresses.landing(site),
      token: intent.confirmToken(credential),
    }
  }

  /** Shows the list, and asks before all others end where that was wanted. */
  async function showPage(c: NodeContext, caller: Caller, isAsking: boolean): Promise<Response> {
    const site = c.get('site')
    const parts = await pageParts(c, caller)
    const content = sessionsPage({ ...parts, isAsking, links: linksOf(site, caller), now: now() })
    // Chromium asks for every origin of the later redirects in `form-action`.
    const formTargets = [addresses.home(site).origin].filter((origin) => origin !== site.origin)
    const page = { ...content, formTargets }
    return options.writePage(200, page, requestIdOf(c.env.incoming), VARY)
  }

  async function pageParts(c: NodeContext, caller: Caller) {
    const { sessions: listed, more } = await list(caller)
    const ended = notices.open(c.req.query('notice') ?? '', caller.digest)
    return {
      sessions: listed.map((each) => ({
        ...each,
        id: each.digest,
        isCurrent: each.digest === caller.digest,
        browser: browserWords(each.userAgent),
        expiresAt: each.endsAt,
      })),
      more,
      signedInAs: displayName(caller.session.identity),
      ...(ended !== undefined && { ended }),
    }
  }

  function list(caller: Caller): Promise<OwnSessionList> {
    return sessions.own.list(caller, MAX_LISTED).catch(unseen)
  }

  return {
    async ownSessions(c: NodeContext): Promise<Response> {
      // A browser shows what it has prefetched, and a prefetch does not tell a page from a script.
      if (isPrefetch(scanHeaders(c.env.incoming.rawHeaders))) return plain(503)
      const caller = await findCaller(c).catch(unseen)
      if (caller instanceof Response) return caller
      if (wantsPage(c)) return showPage(c, caller, false)
      const listed = (await list(caller)).sessions.map((each) => describe(each, caller))
      return json(200, { sessions: listed }, requestIdOf(c.env.incoming), VARY)
    },
    endOwnSessions: createEndOwnSessions({ ...options, findCaller, intent, notices, showPage }),
  }
}

function describe(session: OwnSession, caller: Caller) {
  const { digest, createdAt, lastSeenAt, endsAt, address = null, userAgent } = session
  return {
    id: digest,
    current: digest === caller.digest,
    created_at: new Date(createdAt).toISOString(),
    ...(lastSeenAt !== undefined && { last_seen_at: new Date(lastSeenAt).toISOString() }),
    expires_at: new Date(endsAt).toISOString(),
    address,
    browser: browserWords(userAgent),
  }
}
