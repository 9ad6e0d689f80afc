import { type Broadcast, isBroadcastName } from '../../core/broadcast.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import type { Sites } from '../../core/site.ts'
import { factsOf, invalidRequest, storeFailureAs } from '../../errors.ts'
import type { Broadcasts } from '../../events/broadcasts.ts'
import { json } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { isJson, notJson, operatorOf, readParameters } from './request.ts'

export interface AdminBroadcastOptions {
  readonly broadcasts: Pick<Broadcasts, 'send'>
  readonly protectedSites: Sites
  /** Issuer of the user that a broadcast names. */
  readonly issuer: string
  readonly log: Log
  readonly metrics: Pick<Metrics, 'broadcast'>
}

export interface AdminBroadcast {
  readonly broadcast: (c: NodeContext) => Promise<Response>
}

const MAX_DATA_BYTES = 4096
/** Bounds what each replica keeps of a broadcast; OpenID Connect allows a subject 255 characters. */
const MAX_USER_BYTES = 1024
const MEMBERS = ['event', 'data', 'user', 'host']
const unsent = storeFailureAs('the broadcast may not have been sent')

/** Serves `POST /admin/broadcast`. */
export function createAdminBroadcast(options: AdminBroadcastOptions): AdminBroadcast {
  const { broadcasts, protectedSites, issuer, log, metrics } = options

  function hostOf(given: unknown): string {
    const site = typeof given === 'string' ? protectedSites.find(given) : undefined
    if (site) return site.host
    throw invalidRequest('host must be one of the protected hosts; without it, all are meant.')
  }

  function readBroadcast(body: unknown): Broadcast {
    const { event, data, user, host } = readMembers(body)
    return {
      event: nameOf(event),
      data,
      ...(user !== undefined && { user: userOf(user) }),
      ...(host !== undefined && { host: hostOf(host) }),
    }
  }

  return {
    async broadcast(c) {
      readParameters(c, [])
      if (!isJson(c)) return notJson()
      const broadcast = readBroadcast(parseJson(await c.req.text()))
      const { event: name, user, host } = broadcast
      const about = {
        broadcast: name,
        ...(user !== undefined && { user: userDigest(issuer, user) }),
        ...(host !== undefined && { host }),
        bytes: bytesOf(broadcast.data),
        ...operatorOf(c),
      }
      const id = await broadcasts.send(broadcast).catch((cause: unknown) => {
        const fields = { event: 'broadcast_failed', ...factsOf(cause), ...about }
        log.error(fields, 'a broadcast could not be sent')
        return unsent(cause)
      })
      metrics.broadcast()
      log.info({ event: 'broadcast', id, ...about }, 'an event was sent to open pages')
      return json(202, { id }, about.request_id)
    },
  }
}

function readMembers(body: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(body)) throw invalidRequest('The body must be {"event","data","user","host"}.')
  if (Object.keys(body).some((name) => !MEMBERS.includes(name)))
    throw invalidRequest(`The known members of the body are: ${MEMBERS.join(', ')}.`)
  if (body['data'] === undefined)
    throw invalidRequest('data is missing; it may be any JSON value, also null.')
  if (bytesOf(body['data']) > MAX_DATA_BYTES)
    throw invalidRequest(`data is longer than ${MAX_DATA_BYTES} bytes as JSON.`)
  // Follows the length, because a replacer needs more of the stack for each level.
  JSON.stringify(body['data'], refuseInfinity)
  return body
}

function nameOf(given: unknown): string {
  if (typeof given === 'string' && isBroadcastName(given)) return given
  throw invalidRequest(
    'event must be a name of at most 32 letters a-z, digits and hyphens that begins with a letter, other than open, error, message and session-….',
  )
}

function userOf(given: unknown): string {
  const isSubject = typeof given === 'string' && given !== ''
  if (isSubject && Buffer.byteLength(given) <= MAX_USER_BYTES) return given
  throw invalidRequest(
    `user must be the subject of a user, of at most ${MAX_USER_BYTES} bytes; without it, all are meant.`,
  )
}

/** Returns the length that the data have in the stream. */
function bytesOf(data: unknown): number {
  return Buffer.byteLength(JSON.stringify(data))
}

/** Refuses a number such as 1e999, which would arrive as `null`. */
function refuseInfinity(_name: string, value: unknown): unknown {
  if (value !== Infinity && value !== -Infinity) return value
  throw invalidRequest('data has a number that is too large.')
}
