import type { IncomingMessage } from 'node:http'

const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

/** Whether the body is that of a form, whatever parameters its type has (RFC 9110 section 8.3.1). */
export function isForm({ headers }: IncomingMessage): boolean {
  return FORM.test(headers['content-type'] ?? '')
}
