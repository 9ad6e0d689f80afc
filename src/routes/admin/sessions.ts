import type { EndReason } from '../../core/end-reason.ts'
import { factsOf, invalidRequest, OutageError, storeFailureAs } from '../../errors.ts'
import { json } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import type { ListedSession } from '../../session/list-sessions.ts'
import { userOwner } from '../../session/owners.ts'
import type { Sessions } from '../../session/sessions.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { operatorOf, readParameters, readSessionId } from './request.ts'

export interface AdminSessionsOptions {
  readonly sessions: Pick<
    Sessions,
    'list' | 'moment' | 'end' | 'endAllOf' | 'endAll' | 'deferEnd' | 'deferAllOf'
  >
  /** Issuer of a `user` parameter without `iss`. */
  readonly issuer: string
  readonly log: Log
  readonly metrics: Pick<Metrics, 'sessionsEndedByOperator'>
}

export interface AdminSessions {
  readonly listSessions: (c: NodeContext) => Promise<Response>
  readonly endSession: (c: NodeContext) => Promise<Response>
  readonly endSessions: (c: NodeContext) => Promise<Response>
}

const MAX_LISTED = 1000
const REASON: EndReason = 'operator'
const unfinished = storeFailureAs('some sessions may not have ended: repeat the request')

export function createAdminSessions(options: AdminSessionsOptions): AdminSessions {
  const { sessions, log, metrics } = options

  /** Returns the user of a request, or `undefined` where it names none. */
  function userOf({ user, iss }: { user?: string; iss?: string }) {
    if (user === undefined) {
      if (iss !== undefined) throw invalidRequest('The parameter iss needs the parameter user.')
      return undefined
    }
    const issuer = iss ?? options.issuer
    return { owner: userOwner(issuer, user), named: { user: userDigest(issuer, user) } }
  }

  /**
   * Ends sessions and logs one line whatever the outcome. Tokens are not revoked, because only the cookie decrypts them;
   * during a store outage the order is deferred and the operator still gets an error.
   */
  async function carryOut(
    c: NodeContext,
    whose: object,
    end: () => Promise<number>,
    defer: () => void,
  ) {
    const about = { ...whose, ...operatorOf(c) }
    const count = await end().catch((cause: unknown) => {
      const isDeferred = cause instanceof OutageError
      const fields = {
        event: 'sessions_not_ended',
        deferred: isDeferred,
        ...factsOf(cause),
        ...about,
      }
      log.error(fields, 'sessions could not be ended')
      if (isDeferred) defer()
      return unfinished(cause)
    })
    metrics.sessionsEndedByOperator(count)
    const fields = { event: 'sessions_ended', count, tokens_revoked: false, ...about }
    log.info(fields, 'an operator ended sessions; their tokens were not revoked at the provider')
    return { count, requestId: about.request_id }
  }

  return {
    async listSessions(c) {
      const user = userOf(readParameters(c, ['user', 'iss']))
      const found = await sessions.list(user?.owner.id, MAX_LISTED + 1)
      const listed = found.slice(0, MAX_LISTED).toSorted((a, b) => b.createdAt - a.createdAt)
      const about = { ...user?.named, count: listed.length, ...operatorOf(c) }
      log.info({ event: 'sessions_listed', ...about }, 'an operator listed sessions')
      const truncated = found.length > listed.length
      return json(200, { sessions: listed.map(describe), truncated }, about.request_id)
    },

    async endSession(c) {
      readParameters(c, [])
      const id = readSessionId(c)
      const { count, requestId } = await carryOut(
        c,
        { session: id },
        async () => Number(await sessions.end(id, REASON)),
        () => sessions.deferEnd(id, REASON),
      )
      return count > 0
        ? json(200, { ended: count }, requestId)
        : json(404, { error: 'not_found', message: 'There is no such session.' }, requestId)
    },

    async endSessions(c) {
      const { all, ...parameters } = readParameters(c, ['user', 'iss', 'all'])
      const user = userOf(parameters)
      const isClear = user ? all === undefined : all === 'true'
      if (!isClear) {
        throw invalidRequest('Name the sessions to end: user=<sub>, or all=true.')
      }
      const order = { asked: sessions.moment(), reason: REASON }
      const owner = user?.owner
      const { count, requestId } = await carryOut(
        c,
        user ? user.named : { all: true },
        () => (owner ? sessions.endAllOf(owner, order) : sessions.endAll(order)),
        () => sessions.deferAllOf(owner, order),
      )
      return json(200, { ended: count }, requestId)
    },
  }
}

/** Describes a session without anything that grants access. */
function describe(session: ListedSession) {
  return {
    id: session.digest,
    subject: session.subject,
    display_name: session.displayName,
    created: new Date(session.createdAt).toISOString(),
    ends: new Date(session.endsAt).toISOString(),
    address: session.address,
    user_agent: session.userAgent,
  }
}
