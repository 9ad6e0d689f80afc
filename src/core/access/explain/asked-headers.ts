import { type SentHeaders, scanHeaders } from '../../sent-headers.ts'
import type { AskedUrl, Question } from './question.ts'

/** Sender of a request: the navigation of a browser, or a script on a page. */
export type Sender = 'page' | 'script'

const OF_SENDER = {
  page: { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
  script: { Accept: '*/*', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
} as const satisfies Record<Sender, Readonly<Record<string, string>>>
const OF_PREFLIGHT = { Origin: 'null', 'Access-Control-Request-Method': 'GET' }

/** Returns the headers with which a proxy would ask the check. */
export function headersOf(
  { question, url }: { readonly question: Question; readonly url: AskedUrl },
  sender: Sender,
): SentHeaders {
  const { method = 'GET' } = question
  // Browsers let a script send OPTIONS as a preflight only.
  const isPreflight = sender === 'script' && method === 'OPTIONS'
  const forwarded = {
    'X-Forwarded-Method': method,
    'X-Forwarded-Proto': url.proto,
    'X-Forwarded-Host': url.host,
    'X-Forwarded-Uri': url.uri,
  }
  const headers = { ...forwarded, ...OF_SENDER[sender], ...(isPreflight && OF_PREFLIGHT) }
  return scanHeaders(Object.entries(headers).flat())
}
