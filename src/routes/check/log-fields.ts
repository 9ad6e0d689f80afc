import { cleanText } from '../../core/clean-text.ts'
import type { Identity } from '../../core/identity.ts'
import { requestIdOf, traceOf } from '../../http/request.ts'
import { userDigest } from '../../telemetry/log.ts'
import type { CheckedRequest } from './checked-request.ts'

const MAX_PATH_CHARS = 200

/** Returns the fields of a log line about what a known user asked for, without anything that tells who it is. */
export function askedBy({ issuer, subject }: Identity, { raw, request }: CheckedRequest) {
  return {
    user: userDigest(issuer, subject),
    host: request.site.host,
    path: cleanPath(request.path),
    request_id: requestIdOf(raw),
    ...traceOf(raw),
  }
}

/** Matches an `@`, also the full-width one, encoded any number of times. */
const ENCODED_AT = /%(?:25)*40|%(?:25)*ef%(?:25)*bc%(?:25)*a0/gi

/** Returns a path for the log, without what may be an e-mail address or a token in a segment. */
function cleanPath(path: string): string {
  const segments = path.slice(0, MAX_PATH_CHARS).replaceAll(ENCODED_AT, '@').split('/')
  return segments.map((segment) => cleanText(segment)).join('/')
}
