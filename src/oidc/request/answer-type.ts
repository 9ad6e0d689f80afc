import { isRecord } from '../../core/json.ts'
import { ProviderFault } from './provider-errors.ts'

/** Error code for an answer of an unexpected content type. */
export const WRONG_CONTENT_TYPE = 'ERR_PROVIDER_CONTENT_TYPE'

/** Body of an answer with its headers. */
export interface TypedBody {
  readonly headers: Headers
  readonly bytes: Uint8Array
  /** Body as JSON; `undefined` where it is none. */
  readonly value: unknown
}

/** Circumstances that decide which content types are accepted. */
export interface AnswerKind {
  readonly isSuccess: boolean
  /** Set for metadata and key sets. */
  readonly isPublicFile: boolean
}

const JSON_TYPE = 'application/json'
/** Media types of JSON, key sets (RFC 7517 section 8.5.2) among them. */
const ANY_JSON = /^(?:application\/(?:[a-z0-9.+-]+\+)?json|text\/json)$/
const JWT_TYPE = 'application/jwt'
const HTML_TYPE = /html/

/**
 * Gives JSON under any of its names the one that openid-client knows, and refuses any other successful answer as an error
 * page. Metadata and key sets count as JSON under every type but HTML, as file servers send them (finding C34);
 * tokens and claims do not.
 */
export function checkContentType({ headers, bytes, value }: TypedBody, answer: AnswerKind): void {
  const type = mediaTypeOf(headers)
  if (type === JWT_TYPE) return headers.set('Content-Type', JWT_TYPE)
  if (answer.isSuccess && bytes.length > 0) checkBody(value, type, answer.isPublicFile)
  else if (!ANY_JSON.test(type)) return
  headers.set('Content-Type', JSON_TYPE)
}

function checkBody(value: unknown, type: string, isPublicFile: boolean): void {
  if (ANY_JSON.test(type)) {
    if (value !== undefined) return
    throw new ProviderFault('the answer is not readable as JSON', WRONG_CONTENT_TYPE)
  }
  if (isPublicFile && !HTML_TYPE.test(type) && isRecord(value)) return
  throw new ProviderFault(`the answer is not JSON (${nameOf(type)})`, WRONG_CONTENT_TYPE)
}

function mediaTypeOf(headers: Headers): string {
  return (headers.get('Content-Type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function nameOf(type: string): string {
  if (type === '') return 'no content type'
  return /^[a-z0-9.+/-]{1,60}$/.test(type) ? type : 'unknown content type'
}
